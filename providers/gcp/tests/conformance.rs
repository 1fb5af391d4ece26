//! The promises of every provider, kept with a fake of Secret Manager. It is not Google's.

mod support;

use std::sync::Arc;

use credchain_conformance::Limits;
use serde_json::json;

use crate::support::{FakeSecretManager, cx, gcp_with};

credchain_conformance::suite! {
    name: fake_secret_manager,
    start: || async { FakeSecretManager::start() },
    provider: |fake: &FakeSecretManager| Arc::new(gcp_with(&fake.url(), json!({}), &fake.token)),
    context: |_fake: &FakeSecretManager| cx(),
    secrets: |fake: &FakeSecretManager| vec![fake.token.clone()],
    limits: Limits::none()
        .refuses_values("Secret Manager holds no empty values", <[u8]>::is_empty)
        .refuses_names("the characters that Secret Manager takes", |name| {
            name.len() > 255
                || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        }),
}
