//! Versions and labels.

use std::cmp::Reverse;
use std::time::SystemTime;

use aws_sdk_ssm::types::ParameterHistory;
use credchain_core::{Error, Kind, Result, Version, VersionState};

use super::{LABEL, VERSIONS};
use crate::address::Address;
use crate::error::Failed;
use crate::session::{Ask, call};

/// All versions, newest first.
pub(crate) async fn versions(ask: Ask<'_>, address: &Address) -> Result<Vec<VersionState>> {
    let mut states: Vec<(i64, VersionState)> = Vec::new();
    let mut page: Option<String> = None;
    loop {
        // Without decryption: values are of no interest here.
        let request = ask.session.parameters.get_parameter_history();
        let request = request
            .name(address.as_str())
            .with_decryption(false)
            .max_results(50)
            .set_next_token(page.clone());
        let answer = call(ask.cx, VERSIONS, request.send())
            .await
            .map_err(Failed::into_error)?;
        states.extend(answer.parameters().iter().filter_map(state));
        match answer.next_token.filter(|token| !token.is_empty()) {
            Some(next) if page.as_ref() != Some(&next) => page = Some(next),
            _ => break,
        }
    }
    states.sort_by_key(|(number, _)| Reverse(*number));
    Ok(states.into_iter().map(|(_, state)| state).collect())
}

fn state(entry: &ParameterHistory) -> Option<(i64, VersionState)> {
    let number = entry.version();
    let mut state = VersionState::new(Version::number(u64::try_from(number).ok()?));
    let changed = entry.last_modified_date().copied();
    state.created = changed.and_then(|changed| SystemTime::try_from(changed).ok());
    state.labels = entry.labels().to_vec();
    Some((number, state))
}

/// Moves a label to a version.
pub(crate) async fn stage(
    ask: Ask<'_>,
    address: &Address,
    version: &Version,
    label: &str,
) -> Result<()> {
    let Ok(number) = version.as_str().parse() else {
        return Err(Error::new(
            Kind::NotFound,
            "a parameter's versions are numbers",
        ));
    };
    let request = ask.session.parameters.label_parameter_version();
    let request = request
        .name(address.as_str())
        .parameter_version(number)
        .labels(label);
    let answer = call(ask.cx, LABEL, request.send())
        .await
        .map_err(Failed::into_error)?;
    if answer.invalid_labels().is_empty() {
        return Ok(());
    }
    Err(
        Error::new(Kind::Invalid, "Parameter Store takes no such label").with_hint(
            "a label has letters, digits and `_.-`, and begins with neither a digit, `aws` nor `ssm`",
        ),
    )
}
