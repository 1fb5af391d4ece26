//! A stand-in for Secret Manager, and providers that ask it.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test binary uses a part of this, and panics as tests do"
)]

mod fake;
mod issuer;
mod scene;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use credchain_core::{
    Context, CredentialSource, Environment, Error, LinkName, Name, Project, Provider as _,
    Reference, Result, Secret, SetOptions, Settings, Setup, Version, async_trait,
};
use credchain_provider_gcp::Gcp;
use serde_json::{Value, json};

pub(crate) use self::fake::{FakeSecretManager, PROJECT, refusal};
pub(crate) use self::issuer::{FakeIssuer, form};
pub(crate) use self::scene::{ACCOUNT, Account, Scene, read};

/// A provider with these settings, which logs in with a token unless they say otherwise.
pub(crate) fn gcp(url: &str, table: Value) -> Gcp {
    gcp_with(url, table, "token")
}

/// The same with this token.
pub(crate) fn gcp_with(url: &str, table: Value, token: &str) -> Gcp {
    let setup = setup(url, table, true).with_credentials(Kept::new(token));
    Gcp::from_setup(&setup).expect("right settings")
}

/// Settings for an address.
pub(crate) fn setup(url: &str, mut table: Value, token: bool) -> Setup {
    let given = table.as_object_mut().expect("a table");
    given.entry("endpoint").or_insert_with(|| json!(url));
    if token {
        given.entry("project").or_insert_with(|| json!(PROJECT));
        given
            .entry("access_token")
            .or_insert_with(|| json!({"credential": "kept"}));
    }
    Setup::new(LinkName::literal("gcp"))
        .with_settings(Settings::from_json(table))
        .in_project(Project::new("pipeline", "/project"))
}

/// A world in which nobody is logged in.
pub(crate) fn cx() -> Context {
    world([])
}

/// A world with these variables.
pub(crate) fn world<const N: usize>(variables: [(&str, &str); N]) -> Context {
    Context::system().with_env(Environment::fixed(variables))
}

pub(crate) fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

pub(crate) async fn get(gcp: &Gcp, text: &str) -> Result<String> {
    let secret = gcp.get(&reference(text), &cx()).await?;
    Ok(String::from_utf8_lossy(secret.expose()).into_owned())
}

pub(crate) async fn set(gcp: &Gcp, text: &str, value: &str) -> Result<Version> {
    let options = SetOptions::default();
    gcp.set(&reference(text), &Secret::new(value), &options, &cx())
        .await
}

/// The one credential that another link holds.
#[derive(Debug)]
pub(crate) struct Kept {
    value: Secret,
    read: AtomicUsize,
}

impl Kept {
    pub(crate) fn new(value: &str) -> Arc<Self> {
        Arc::new(Self {
            value: Secret::new(value),
            read: AtomicUsize::new(0),
        })
    }

    /// How often it was read.
    pub(crate) fn count(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl CredentialSource for Kept {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        if name.as_str() != "kept" {
            return Err(Error::not_found());
        }
        self.read.fetch_add(1, Ordering::SeqCst);
        Ok(self.value.clone())
    }
}
