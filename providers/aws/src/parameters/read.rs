//! Reading: one, many, and what there is.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_sdk_ssm::types::{Parameter, ParameterStringFilter};
use credchain_core::{Error, Kind, Listed, Result, Secret, Version};
use futures_util::{StreamExt as _, stream};

use super::{BATCH, GET, LIST};
use crate::address::{Address, reference_to};
use crate::error::{Failed, Failure};
use crate::session::{Ask, call};

/// How many parameters one question may be about.
const BATCH_SIZE: usize = 10;

/// How many questions are under way at a time.
const CONCURRENCY: usize = 4;

/// One version of one parameter, whole.
pub(crate) async fn get(
    ask: Ask<'_>,
    address: &Address,
    version: Option<&Version>,
) -> Result<Secret> {
    let name = match version {
        // A number or a label.
        Some(version) => format!("{}:{version}", address.as_str()),
        None => address.as_str().to_owned(),
    };
    let request = ask
        .session
        .parameters
        .get_parameter()
        .name(name)
        .with_decryption(true);
    let answer = call(ask.cx, GET, request.send()).await;
    match answer.map_err(Failed::into_error)?.parameter {
        Some(parameter) => stored(ask, parameter),
        None => Err(Failed::new(GET, Failure::Unreadable).into_error()),
    }
}

/// The current versions of these parameters, whole.
pub(crate) async fn get_many(
    ask: Ask<'_>,
    addresses: &[Address],
) -> HashMap<Address, Result<Secret>> {
    let chunks: Vec<_> = addresses
        .chunks(BATCH_SIZE)
        .map(|chunk| get_chunk(ask, chunk))
        .collect();
    let answers: Vec<_> = stream::iter(chunks).buffered(CONCURRENCY).collect().await;
    answers.into_iter().flatten().collect()
}

async fn get_chunk(ask: Ask<'_>, addresses: &[Address]) -> Vec<(Address, Result<Secret>)> {
    let mut answers = match get_at_once(ask, addresses).await {
        Ok(answers) => answers,
        // Single reads would fail just the same.
        Err(failed) if failed.kind().is_transient() || failed.kind() == Kind::Unauthenticated => {
            let error = failed.into_error();
            return addresses
                .iter()
                .map(|address| (address.clone(), Err(error.clone())))
                .collect();
        }
        // It may be about one parameter only: a name, or a policy for another path.
        Err(_) => HashMap::new(),
    };
    let singles: Vec<_> = addresses
        .iter()
        .map(|address| {
            let answered = answers.remove(address.as_str());
            async move {
                let answer = match answered {
                    Some(answer) => answer,
                    None => get(ask, address, None).await,
                };
                (address.clone(), answer)
            }
        })
        .collect();
    stream::iter(singles).buffered(BATCH_SIZE).collect().await
}

/// What one question about several parameters tells: values, and names that there are not.
async fn get_at_once<'a>(
    ask: Ask<'_>,
    addresses: &'a [Address],
) -> Result<HashMap<&'a str, Result<Secret>>, Failed> {
    let names = addresses
        .iter()
        .map(|address| address.as_str().to_owned())
        .collect();
    let request = ask.session.parameters.get_parameters();
    let request = request.set_names(Some(names)).with_decryption(true);
    let answer = call(ask.cx, BATCH, request.send()).await?;
    let asked = |name: Option<&str>, arn: Option<&str>| {
        let given = |address: &&Address| {
            let address = Some(address.as_str());
            address == name || address == arn
        };
        addresses.iter().find(given).map(Address::as_str)
    };
    let mut answers = HashMap::new();
    for missing in answer.invalid_parameters() {
        if let Some(address) = asked(Some(missing), None) {
            answers.insert(address, Err(Error::not_found()));
        }
    }
    for parameter in answer.parameters.unwrap_or_default() {
        if let Some(address) = asked(parameter.name(), parameter.arn()) {
            answers.insert(address, stored(ask, parameter));
        }
    }
    Ok(answers)
}

fn stored(ask: Ask<'_>, parameter: Parameter) -> Result<Secret> {
    let Some(value) = parameter.value else {
        return Err(Failed::new(GET, Failure::Unreadable).into_error());
    };
    if value.len() > ask.settings.max_size {
        return Err(
            Error::new(Kind::Invalid, "the value is larger than setting `max_size`")
                .with_hint("raise `max_size` if the value is meant to be so large"),
        );
    }
    let changed = parameter.last_modified_date;
    Ok(Secret::from(value).with_meta(|meta| {
        meta.version = u64::try_from(parameter.version).ok().map(Version::number);
        meta.created = changed.and_then(|changed| SystemTime::try_from(changed).ok());
    }))
}

/// What is stored under the link's prefix and `prefix`.
pub(crate) async fn list(ask: Ask<'_>, prefix: &str) -> Result<Vec<Listed>> {
    let prefix = format!("{}{prefix}", ask.settings.prefix);
    let known = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    if !prefix.chars().all(known) {
        // No name has such a character, and AWS would refuse the question.
        return Ok(Vec::new());
    }
    let filter = match prefix.as_str() {
        "" | "/" => None,
        prefix => {
            let filter = ParameterStringFilter::builder()
                .key("Name")
                .option("BeginsWith");
            let filter = filter.values(prefix).build();
            Some(filter.map_err(|_| Failed::new(LIST, Failure::Unasked).into_error())?)
        }
    };
    let mut listed = Vec::new();
    let mut page: Option<String> = None;
    loop {
        let request = ask.session.parameters.describe_parameters().max_results(50);
        let request = request
            .set_parameter_filters(filter.clone().map(|filter| vec![filter]))
            .set_next_token(page.clone());
        let answer = call(ask.cx, LIST, request.send())
            .await
            .map_err(Failed::into_error)?;
        for entry in answer.parameters() {
            let name = entry.name().filter(|name| name.starts_with(&prefix));
            let Some(reference) = name.and_then(|name| reference_to(name, ask.settings)) else {
                continue;
            };
            let mut one = Listed::new(reference);
            one.version = u64::try_from(entry.version()).ok().map(Version::number);
            let changed = entry.last_modified_date().copied();
            one.created = changed.and_then(|changed| SystemTime::try_from(changed).ok());
            listed.push(one);
        }
        match answer.next_token.filter(|token| !token.is_empty()) {
            Some(next) if page.as_ref() != Some(&next) => page = Some(next),
            _ => return Ok(listed),
        }
    }
}
