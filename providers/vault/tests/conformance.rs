//! The promises of every provider, kept by the KV engine in both versions.

mod common;

use std::sync::Arc;

use common::{rooted, world};
use credchain_conformance::Limits;
use credchain_core::Reference;
use credchain_provider_vault::Vault;
use credchain_tests::servers::OpenBao;
use serde_json::json;

fn limits() -> Limits {
    Limits::none()
        .refuses_names("a path has no empty, `.` or `..` part", |name| {
            name.split('/').any(|part| matches!(part, "" | "." | ".."))
        })
        .refuses_names("the server takes printable characters only", |name| {
            name.contains('\u{202e}')
        })
}

/// Below the conventional document, where listings look.
fn below(name: &str) -> Reference {
    Reference::new(format!("demo/default/{name}")).expect("a path")
}

fn with_mount(version: u8) -> OpenBao {
    let bao = OpenBao::dev();
    bao.mount_kv("kv", version);
    bao
}

fn v2(bao: &OpenBao) -> Arc<Vault> {
    rooted(bao, json!({"mount": "kv"}))
}

fn v1(bao: &OpenBao) -> Arc<Vault> {
    rooted(bao, json!({"mount": "kv", "kv_version": 1}))
}

credchain_conformance::suite! {
    name: kv_v2,
    start: || async { with_mount(2) },
    provider: |bao: &OpenBao| v2(bao),
    context: |_: &OpenBao| world(&[]),
    reference: below,
    secrets: |bao: &OpenBao| vec![bao.root_token().to_owned()],
    limits: limits(),
}

credchain_conformance::suite! {
    name: kv_v1,
    start: || async { with_mount(1) },
    provider: |bao: &OpenBao| v1(bao),
    context: |_: &OpenBao| world(&[]),
    reference: below,
    secrets: |bao: &OpenBao| vec![bao.root_token().to_owned()],
    limits: limits(),
}
