//! A provider for a server.

#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use credchain_core::{
    Account, Context, CredentialSource, Environment, Error, LinkName, Name, Project, Provider as _,
    Reference, Result, Secret, Settings, Setup, Target, async_trait,
};
use credchain_provider_vault::Vault;
use credchain_tests::servers::OpenBao;
use serde_json::{Value, json};

/// The secrets that a login needs, by name.
#[derive(Debug, Default)]
pub(crate) struct Known(pub(crate) BTreeMap<&'static str, String>);

#[async_trait]
impl CredentialSource for Known {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        let value = self.0.get(name.as_str()).ok_or_else(Error::not_found)?;
        Ok(Secret::from(value.clone()))
    }
}

/// A provider with these settings, for project `demo`.
pub(crate) fn vault(settings: Value, known: &[(&'static str, &str)]) -> Arc<Vault> {
    let known = known
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    let setup = Setup::new(LinkName::literal("vault"))
        .with_settings(Settings::from_json(settings))
        .in_project(Project::new("demo", "."))
        .with_context(world(&[]))
        .with_credentials(Arc::new(Known(known)));
    Arc::new(Vault::from_setup(&setup).expect("the settings are right"))
}

/// A provider that has the root token.
pub(crate) fn rooted(bao: &OpenBao, mut settings: Value) -> Arc<Vault> {
    settings["address"] = json!(bao.url());
    settings["auth"] = json!({"method": "token", "token": {"credential": "root"}});
    vault(settings, &[("root", bao.root_token())])
}

/// The world with these variables and no others.
pub(crate) fn world(variables: &[(&str, &str)]) -> Context {
    let none = [("UNUSED", "")];
    let variables = if variables.is_empty() {
        &none
    } else {
        variables
    };
    Context::system().with_env(Environment::fixed(variables.iter().copied()))
}

pub(crate) fn at(reference: &str) -> Reference {
    reference.parse().expect("a reference")
}

/// A target of rotation with these settings.
pub(crate) fn target(vault: &Vault, kind: &str, settings: Value) -> Arc<dyn Target> {
    let rotatable = vault.as_rotatable().expect("there are targets");
    let target = rotatable.target(kind, &Settings::from_json(settings));
    target.expect("the settings are right")
}

/// A provider whose token has this policy and no other.
pub(crate) fn limited(bao: &OpenBao, rules: &str) -> Arc<Vault> {
    bao.policy("limited", rules);
    let token = bao.token(&["limited"], "1h", false);
    let auth = json!({"method": "token", "token": {"credential": "it"}});
    vault(
        json!({"address": bao.url(), "auth": auth}),
        &[("it", &token)],
    )
}

pub(crate) fn account(id: &str, secret: &str) -> Account {
    Account::new(id, Secret::new(secret))
}

/// How many tokens are alive.
pub(crate) fn tokens(bao: &OpenBao) -> usize {
    let list = bao.root("GET", "auth/token/accessors/?list=true", &Value::Null);
    list["data"]["keys"].as_array().map_or(0, Vec::len)
}
