//! Nothing shows a secret, and errors are fit to print.

use std::error::Error as _;

use credchain_core::{Error, Expect, Reference, SetOptions, Version};

use super::values::hostile_names;
use crate::canary::Canary;
use crate::capture::Watcher;
use crate::verdict::{ensure, must};
use crate::{Broken, Subject, Verdict};

/// Longest message that still reads as one.
const MAX_MESSAGE: usize = 600;

/// No value, and none of the provider's own secrets, is in its `Debug`, in an error (its text,
/// `Debug`, hint and causes) or in anything that is logged at any level: not as it is, and not in
/// base64, hex or as a list of bytes.
pub async fn shows_no_secret(subject: &Subject) -> Verdict {
    let value = format!("canary{}{}", subject.nonce(), "zq7".repeat(4));
    let secrets = subject.secrets().iter().chain([&value]);
    let canaries: Vec<_> = secrets.filter_map(|secret| Canary::new(secret)).collect();
    let Some(watcher) = Watcher::start(canaries.clone()) else {
        return Err(Broken::new(
            "another tracing subscriber is installed, so logs cannot be checked; remove it from this test binary",
        ));
    };
    let place = subject.fresh("leak");
    subject
        .plant(&[(place.clone(), value.clone().into_bytes())])
        .await?;
    let mut shown = vec![("`Debug` before use", format!("{:?}", subject.provider()))];
    let secret = must("reading", subject.get(&place).await)?;
    shown.push((
        "a secret's metadata",
        format!("{secret:?} {:?}", secret.meta()),
    ));
    let several = [place.clone(), place.clone()];
    let batch = subject
        .provider()
        .get_many(&several, &subject.context())
        .await;
    shown.push(("a batch", format!("{batch:?}")));
    let description = subject
        .provider()
        .describe(&place, &subject.context())
        .await;
    shown.push(("a description", format!("{description:?}")));
    let listed = subject.provider().list(None, &subject.context()).await;
    shown.push(("a listing", format!("{listed:?}")));
    for error in failures(subject, &place, value.as_bytes()).await {
        shown.push(("an error", everything_in(&error)));
    }
    shown.push(("`Debug` after use", format!("{:?}", subject.provider())));
    shown.push(("`Debug` after use", format!("{:#?}", subject.provider())));
    for (what, text) in &shown {
        for canary in &canaries {
            if let Some(how) = canary.found_in(text) {
                return Err(Broken::new(format!("{what} shows a secret {how}")));
            }
        }
    }
    match watcher.found().first() {
        None => Ok(()),
        Some(found) => Err(Broken::new(found.clone())),
    }
}

/// Every error is one line without a full stop, and not a page long. That it has no line breaks
/// and no control characters is the error type's own doing.
pub async fn errors_are_one_short_line(subject: &Subject) -> Verdict {
    let place = subject.planted("message").await?;
    for error in failures(subject, &place, b"value").await {
        let message = error.message();
        ensure!(
            !message.trim().is_empty(),
            "an error ({}) has no message",
            error.kind()
        );
        ensure!(
            !message.ends_with('.'),
            "a message ends with a full stop: {error}"
        );
        ensure!(
            message.len() <= MAX_MESSAGE,
            "a message has {} bytes",
            message.len()
        );
    }
    Ok(())
}

/// Failures of every sort that can be provoked from outside, with `value` in the provider's hands.
async fn failures(subject: &Subject, place: &Reference, value: &[u8]) -> Vec<Error> {
    let provider = subject.provider();
    let cx = subject.context();
    let mut errors = Vec::new();
    let mut reads = vec![
        subject.fresh("leak_missing"),
        place
            .clone()
            .with_version(subject.missing_version().clone()),
    ];
    reads.extend(Version::new("no such version").map(|odd| place.clone().with_version(odd)));
    reads.extend(place.clone().with_field("no_such_field"));
    reads.extend(
        hostile_names(subject.nonce())
            .iter()
            .map(|name| subject.place(name)),
    );
    for reference in &reads {
        errors.extend(provider.get(reference, &cx).await.err());
    }
    for answer in provider.get_many(&reads[..4.min(reads.len())], &cx).await {
        errors.extend(answer.err());
    }
    errors.extend(
        provider
            .delete(&subject.fresh("leak_missing"), &cx)
            .await
            .err(),
    );
    errors.extend(
        provider
            .list(Some(subject.fresh("leak_missing").path()), &cx)
            .await
            .err(),
    );
    let mut awkward = value.to_vec();
    awkward.extend_from_slice(b"\0\xff");
    let mut huge = value.repeat(2);
    huge.resize(
        subject
            .capabilities()
            .max_value
            .map_or(64, |max| max.min(1 << 20) + 1),
        b'x',
    );
    for value in [value, &awkward, &huge] {
        for expect in [
            Expect::Absent,
            Expect::Version(subject.missing_version().clone()),
        ] {
            errors.extend(
                subject
                    .set(place, value, &SetOptions::expecting(expect))
                    .await
                    .err(),
            );
        }
    }
    let refused = hostile_names(subject.nonce());
    for name in refused
        .iter()
        .filter(|name| subject.limits().name_refused(name))
    {
        let options = SetOptions::default();
        errors.extend(
            subject
                .set(&subject.place(name), value, &options)
                .await
                .err(),
        );
    }
    errors
}

fn everything_in(error: &Error) -> String {
    let hint = error.hint().unwrap_or_default();
    let mut shown = vec![format!("{error}\n{error:?}\n{error:#?}\n{hint}")];
    let mut cause = error.source();
    while let Some(source) = cause {
        shown.push(format!("{source}\n{source:?}"));
        cause = source.source();
    }
    shown.join("\n")
}
