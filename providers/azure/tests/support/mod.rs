//! Fakes of Key Vault and Entra, made from their documentation. Neither is the real thing: what
//! passes here is right about the documented shapes, and about nothing else.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test binary uses a part of this, and panics as tests do"
)]

mod entra;
mod vault;

use credchain_core::{
    Context, Environment, Error, LinkName, Project, Provider as _, Reference, Secret, SetOptions,
    Settings, Setup, Version,
};
use credchain_provider_azure::Azure;
use serde_json::{Value, json};

pub(crate) use self::entra::{FakeEntra, TENANT, form};
pub(crate) use self::vault::{FakeKeyVault, challenge, refusal};

/// The application that the tests log in as.
pub(crate) const CLIENT: &str = "11111111-2222-3333-4444-555555555555";

/// A provider that asks this vault and logs in there.
pub(crate) fn azure(vault: &str, entra: &FakeEntra, mut table: Value) -> Azure {
    let given = table.as_object_mut().expect("a table");
    for (key, value) in [("vault", vault), ("authority", &entra.url())] {
        given.entry(key).or_insert_with(|| json!(value));
    }
    Azure::from_setup(&setup(table)).expect("right settings")
}

pub(crate) fn setup(table: Value) -> Setup {
    Setup::new(LinkName::literal("azure"))
        .with_settings(Settings::from_json(table))
        .in_project(Project::new("pipeline", "/project"))
}

pub(crate) fn world<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Context {
    Context::system().with_env(Environment::fixed(variables))
}

/// The world of an application that has a secret.
pub(crate) fn cx(entra: &FakeEntra) -> Context {
    world([
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_CLIENT_SECRET", entra.secret()),
    ])
}

pub(crate) fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

pub(crate) async fn get(azure: &Azure, text: &str, cx: &Context) -> Result<String, Error> {
    let secret = azure.get(&reference(text), cx).await?;
    Ok(String::from_utf8_lossy(secret.expose()).into_owned())
}

pub(crate) async fn set(
    azure: &Azure,
    text: &str,
    value: &str,
    cx: &Context,
) -> Result<Version, Error> {
    let options = SetOptions::default();
    azure
        .set(&reference(text), &Secret::new(value), &options, cx)
        .await
}
