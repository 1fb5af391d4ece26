//! Reading: one, many, and what there is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretValueEntry};
use aws_smithy_types::{Blob, DateTime};
use credchain_core::{Error, Kind, Listed, Result, Secret, Version};
use futures_util::{StreamExt as _, stream};

use super::{BATCH, GET, LIST};
use crate::address::{Address, CURRENT, Selector, reference_to};
use crate::error::{Failed, Failure};
use crate::session::{Ask, call};

/// How many secrets one question may be about.
const BATCH_SIZE: usize = 20;

/// How many questions are under way at a time.
const CONCURRENCY: usize = 4;

/// Whether questions about several secrets are worth asking.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The policy allows single reads only; learnt once, so that no batch pays for it again.
    denied: AtomicBool,
}

/// One version of one secret, whole.
pub(crate) async fn get(ask: Ask<'_>, address: &Address, version: &Selector) -> Result<Secret> {
    let request = ask
        .session
        .secrets
        .get_secret_value()
        .secret_id(address.as_str());
    let request = match version {
        Selector::Id(id) => request.version_id(id),
        // The default is the same stage; said aloud, it is also what the log of AWS shows.
        Selector::Stage(stage) => request.version_stage(stage),
    };
    let answer = match call(ask.cx, GET, request.send()).await {
        Ok(answer) => answer,
        Err(failed) => return Err(ask.explained(failed, address).await),
    };
    let created = answer.created_date().copied();
    stored(ask, answer.secret_string, answer.secret_binary)
        .map(|secret| dated(secret, answer.version_id.as_deref(), created))
}

/// The current versions of these secrets, whole.
pub(crate) async fn get_many(
    ask: Ask<'_>,
    batch: &Batch,
    addresses: &[Address],
) -> HashMap<Address, Result<Secret>> {
    let chunks: Vec<_> = addresses
        .chunks(BATCH_SIZE)
        .map(|chunk| get_chunk(ask, batch, chunk))
        .collect();
    let answers: Vec<_> = stream::iter(chunks).buffered(CONCURRENCY).collect().await;
    answers.into_iter().flatten().collect()
}

async fn get_chunk(
    ask: Ask<'_>,
    batch: &Batch,
    addresses: &[Address],
) -> Vec<(Address, Result<Secret>)> {
    let mut answers = if addresses.len() < 2 || batch.denied.load(Ordering::Relaxed) {
        HashMap::new()
    } else {
        match get_at_once(ask, addresses).await {
            Ok(answers) => answers,
            Err(failed) if concerns_all(&failed) => {
                let error = failed.into_error();
                return addresses
                    .iter()
                    .map(|address| (address.clone(), Err(error.clone())))
                    .collect();
            }
            Err(failed) => {
                if failed.kind() == Kind::Denied {
                    batch.denied.store(true, Ordering::Relaxed);
                    tracing::debug!("{BATCH} is denied: secrets are read one by one from now on");
                }
                HashMap::new()
            }
        }
    };
    let singles: Vec<_> = addresses
        .iter()
        .map(|address| {
            let answered = answers.remove(address.as_str());
            async move { (address.clone(), settle(ask, address, answered).await) }
        })
        .collect();
    stream::iter(singles).buffered(BATCH_SIZE).collect().await
}

/// The answer about one secret of a batch; asked again alone if the batch said nothing about it.
async fn settle(
    ask: Ask<'_>,
    address: &Address,
    answered: Option<Result<Secret, Failed>>,
) -> Result<Secret> {
    match answered {
        Some(Ok(secret)) => bounded(ask, secret),
        Some(Err(failed)) => Err(ask.explained(failed, address).await),
        None => get(ask, address, &Selector::Stage(CURRENT.to_owned())).await,
    }
}

/// Whether single reads would fail just the same. Anything else may be about one secret only,
/// and must not become the answer about the others.
fn concerns_all(failed: &Failed) -> bool {
    failed.kind().is_transient() || failed.kind() == Kind::Unauthenticated
}

type Answers<'a> = HashMap<&'a str, Result<Secret, Failed>>;

/// What one question about several secrets tells, which may be in several pages.
async fn get_at_once<'a>(ask: Ask<'_>, addresses: &'a [Address]) -> Result<Answers<'a>, Failed> {
    let mut answers = Answers::new();
    let mut page: Option<String> = None;
    // A server that pages for ever ends here: no page has to be empty.
    for _ in 0..=addresses.len() {
        let ids = addresses
            .iter()
            .map(|address| address.as_str().to_owned())
            .collect();
        let request = ask.session.secrets.batch_get_secret_value();
        let request = request
            .set_secret_id_list(Some(ids))
            .set_next_token(page.take());
        let answer = call(ask.cx, BATCH, request.send()).await?;
        for failure in answer.errors() {
            if let Some(address) = asked(addresses, failure.secret_id(), None) {
                let code = failure.error_code().unwrap_or_default().to_owned();
                let failed = Failed::new(GET, Failure::Code(code, None));
                answers.insert(address, Err(failed));
            }
        }
        for entry in answer.secret_values.unwrap_or_default() {
            if let Some(address) = asked(addresses, entry.name(), entry.arn()) {
                // One without a value is asked about again, alone.
                if let Some(secret) = of_entry(entry) {
                    answers.insert(address, Ok(secret));
                }
            }
        }
        page = answer.next_token.filter(|token| !token.is_empty());
        if page.is_none() {
            break;
        }
    }
    Ok(answers)
}

/// The address that was meant. A secret answers by its name to whoever asked by name, and to
/// whoever asked by ARN too.
fn asked<'a>(addresses: &'a [Address], name: Option<&str>, arn: Option<&str>) -> Option<&'a str> {
    let given = |address: &&Address| {
        let address = Some(address.as_str());
        address == name || address == arn
    };
    addresses.iter().find(given).map(Address::as_str)
}

fn of_entry(entry: SecretValueEntry) -> Option<Secret> {
    let created = entry.created_date;
    let secret = value(entry.secret_string, entry.secret_binary)?;
    Some(dated(secret, entry.version_id.as_deref(), created))
}

fn stored(ask: Ask<'_>, text: Option<String>, bytes: Option<Blob>) -> Result<Secret> {
    // Without a value AWS answers with an error, so this is somebody else's answer.
    let Some(secret) = value(text, bytes) else {
        return Err(Failed::new(GET, Failure::Unreadable).into_error());
    };
    bounded(ask, secret)
}

/// What was stored, as bytes; whether as text or as binary is no difference to the reader.
fn value(text: Option<String>, bytes: Option<Blob>) -> Option<Secret> {
    text.map(Secret::from)
        .or_else(|| bytes.map(|bytes| Secret::new(bytes.into_inner())))
}

fn bounded(ask: Ask<'_>, secret: Secret) -> Result<Secret> {
    if secret.expose().len() > ask.settings.max_size {
        return Err(
            Error::new(Kind::Invalid, "the value is larger than setting `max_size`")
                .with_hint("raise `max_size` if the value is meant to be so large"),
        );
    }
    Ok(secret)
}

fn dated(secret: Secret, version: Option<&str>, created: Option<DateTime>) -> Secret {
    secret.with_meta(|meta| {
        meta.version = version.and_then(|version| Version::new(version).ok());
        meta.created = created.and_then(|created| SystemTime::try_from(created).ok());
    })
}

/// What is stored under the link's prefix and `prefix`, without what waits for its deletion.
pub(crate) async fn list(ask: Ask<'_>, prefix: &str) -> Result<Vec<Listed>> {
    let prefix = format!("{}{prefix}", ask.settings.prefix);
    let known = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    if !prefix.chars().all(known) {
        // No name has such a character, and a `!` would turn the filter around.
        return Ok(Vec::new());
    }
    let filter = (!prefix.is_empty()).then(|| {
        Filter::builder()
            .key(FilterNameStringType::Name)
            .values(&prefix)
            .build()
    });
    let mut listed = Vec::new();
    let mut page: Option<String> = None;
    loop {
        let request = ask.session.secrets.list_secrets().max_results(100);
        let request = request
            .set_filters(filter.clone().map(|filter| vec![filter]))
            .set_next_token(page.clone());
        let answer = call(ask.cx, LIST, request.send())
            .await
            .map_err(Failed::into_error)?;
        for entry in answer.secret_list() {
            let name = entry.name().filter(|name| name.starts_with(&prefix));
            let Some(reference) = name.and_then(|name| reference_to(name, ask.settings)) else {
                continue;
            };
            let mut one = Listed::new(reference);
            let current = entry.secret_versions_to_stages().and_then(|versions| {
                let mut of_stage = versions.iter();
                of_stage.find(|(_, stages)| stages.iter().any(|stage| stage == CURRENT))
            });
            one.version = current.and_then(|(id, _)| Version::new(id).ok());
            let changed = entry.last_changed_date().or(entry.created_date());
            one.created = changed.and_then(|changed| SystemTime::try_from(*changed).ok());
            listed.push(one);
        }
        match answer.next_token.filter(|token| !token.is_empty()) {
            Some(next) if page.as_ref() != Some(&next) => page = Some(next),
            _ => return Ok(listed),
        }
    }
}
