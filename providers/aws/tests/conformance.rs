//! The promises of every provider, kept by both services of the AWS emulator.

#![cfg(unix)]

mod support;

use std::sync::Arc;

use credchain_conformance::Limits;
use serde_json::json;

use crate::support::Moto;

credchain_conformance::suite! {
    name: secrets_manager,
    start: || async { Moto::start() },
    // Deleted at once: the emulator writes to a secret that waits for its deletion, AWS does not.
    provider: |moto: &Moto| Arc::new(moto.aws(json!({"recovery_window": "0s"}))),
    context: |moto: &Moto| moto.cx(),
    secrets: |moto: &Moto| vec![moto.secret_key.clone()],
    limits: Limits::none()
        .refuses_values("AWS holds no empty values", <[u8]>::is_empty)
        .refuses_names("the characters that Secrets Manager takes", |name| {
            !name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c))
        }),
}

credchain_conformance::suite! {
    name: parameter_store,
    start: || async { Moto::start() },
    provider: |moto: &Moto| Arc::new(moto.aws(json!({"service": "ssm"}))),
    context: |moto: &Moto| moto.cx(),
    secrets: |moto: &Moto| vec![moto.secret_key.clone()],
    limits: Limits::none()
        .refuses_values("AWS holds no empty values", <[u8]>::is_empty)
        .refuses_names("the characters and levels that Parameter Store takes", |name| {
            !name.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-".contains(c))
                || name.split('/').any(str::is_empty)
        }),
}
