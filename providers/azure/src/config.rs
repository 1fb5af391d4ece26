//! What `[providers.NAME]` with `type = "azure"` may say.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use credchain_core::{
    Context, CredentialSource, Error, Kind, Name, Result, Setting, Settings as Table, Setup, Shape,
};

use crate::address::is_taken;
use crate::endpoint::Endpoints;

/// Every key of the provider's table.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "vault",
        Shape::Text,
        "The vault: its name, or its address such as `https://NAME.vault.azure.net`. Default: `AZURE_KEYVAULT_URL`.",
    ),
    Setting::new(
        "prefix",
        Shape::Text,
        "What every name begins with. Default: nothing.",
    ),
    Setting::new(
        "path",
        Shape::Text,
        "The parts of a name before the credential's own, for credentials without an `at`.",
    )
    .or("\"{project}/{profile}\""),
    Setting::new(
        "auth",
        Shape::Table(AUTH),
        "How to log in. Default: the first way of the usual chain that is there.",
    ),
    Setting::new(
        "resource",
        Shape::Url,
        "What a token is asked for, in a cloud of its own; the vault's host must be below it. Default: by the vault's host.",
    ),
    Setting::new(
        "authority",
        Shape::Url,
        "Where logins go. Default: `AZURE_AUTHORITY_HOST`, else by the vault's host.",
    ),
    Setting::new(
        "ca",
        Shape::Path,
        "A PEM file with certificates to trust besides the system's.",
    ),
    Setting::new(
        "purge",
        Shape::Bool,
        "Whether `delete` also purges the secret, so that nobody can recover it.",
    )
    .or("false"),
    Setting::new(
        "max_connections",
        Shape::Integer { min: 1, max: 256 },
        "How many secrets of a batch are read at a time.",
    )
    .or("16"),
];

const DEFAULT_CONNECTIONS: usize = 16;

const AUTH: &[Setting] = &[
    Setting::new(
        "method",
        Shape::Choice(&[
            "default",
            "client_secret",
            "workload_identity",
            "managed_identity",
            "azure_cli",
        ]),
        "The way. Default: `client_secret` if one is named, else `default`.",
    ),
    Setting::new(
        "tenant",
        Shape::Text,
        "The tenant's id or domain. Default: `AZURE_TENANT_ID`.",
    ),
    Setting::new(
        "client_id",
        Shape::Text,
        "The id of the application or of the managed identity. Default: `AZURE_CLIENT_ID`.",
    ),
    Setting::new(
        "client_secret",
        Shape::Credential,
        "The application's secret. Default: `AZURE_CLIENT_SECRET`.",
    ),
    Setting::new(
        "token_file",
        Shape::Path,
        "The file with the token of a federated identity. Default: `AZURE_FEDERATED_TOKEN_FILE`.",
    ),
];

/// Settings that are known to be right.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) endpoints: Endpoints,
    pub(crate) prefix: String,
    /// With its placeholders.
    pub(crate) path: String,
    pub(crate) auth: Auth,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) purge: bool,
    pub(crate) max_connections: usize,
}

/// How to log in.
#[derive(Clone)]
pub(crate) struct Auth {
    pub(crate) method: Method,
    pub(crate) tenant: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Name>,
    pub(crate) token_file: Option<PathBuf>,
    /// Where the secret to log in with comes from.
    pub(crate) source: Arc<dyn CredentialSource>,
    /// The variables that no program of ours gets: what other links log in with.
    pub(crate) withheld: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Default,
    ClientSecret,
    WorkloadIdentity,
    ManagedIdentity,
    AzureCli,
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let table = &setup.settings;
        let expanded =
            |key| Ok::<_, Error>(table.text(key)?.map(|text| setup.project.expand(text)));
        let connections = table.integer("max_connections")?;
        Ok(Self {
            endpoints: Endpoints::new(setup)?,
            prefix: prefix(expanded("prefix")?)?,
            path: table
                .text("path")?
                .unwrap_or("{project}/{profile}")
                .to_owned(),
            auth: Auth::new(setup)?,
            ca: table.path("ca")?.map(|ca| setup.project.base().join(ca)),
            purge: table.bool("purge")?.unwrap_or(false),
            max_connections: connections
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| *number > 0)
                .unwrap_or(DEFAULT_CONNECTIONS),
        })
    }
}

impl Auth {
    fn new(setup: &Setup) -> Result<Self> {
        let table = setup.settings.table("auth")?.unwrap_or_else(Table::default);
        let text = |key: &str| -> Result<Option<String>> {
            match table.text(key)? {
                Some(text) if !is_id(text) => Err(wrong(format!(
                    "setting `auth.{key}` has letters, digits, `.` and `-`"
                ))),
                text => Ok(text.map(str::to_owned)),
            }
        };
        let client_secret = table.credential("client_secret")?;
        let token_file = table.path("token_file")?;
        let method = match table.text("method")? {
            None if client_secret.is_some() => Method::ClientSecret,
            None if token_file.is_some() => Method::WorkloadIdentity,
            None | Some("default") => Method::Default,
            Some("client_secret") => Method::ClientSecret,
            Some("workload_identity") => Method::WorkloadIdentity,
            Some("managed_identity") => Method::ManagedIdentity,
            Some("azure_cli") => Method::AzureCli,
            Some(_) => return Err(wrong("setting `auth.method` is none of those there are")),
        };
        if client_secret.is_some() && method != Method::ClientSecret {
            return Err(wrong(
                "`auth.client_secret` is for the method `client_secret`",
            ));
        }
        if token_file.is_some() && method != Method::WorkloadIdentity {
            return Err(wrong(
                "`auth.token_file` is for the method `workload_identity`",
            ));
        }
        Ok(Self {
            method,
            tenant: text("tenant")?,
            client_id: text("client_id")?,
            client_secret,
            token_file: token_file.map(|file| setup.project.base().join(file)),
            source: setup.credentials.clone(),
            withheld: setup.withheld.clone(),
        })
    }

    /// The tenant, by the settings, else by the environment.
    pub(crate) fn tenant(&self, cx: &Context) -> Result<Option<String>> {
        id(self.tenant.as_ref(), "AZURE_TENANT_ID", cx)
    }

    /// The application's or the identity's id, by the settings, else by the environment.
    pub(crate) fn client_id(&self, cx: &Context) -> Result<Option<String>> {
        id(self.client_id.as_ref(), "AZURE_CLIENT_ID", cx)
    }
}

fn prefix(text: Option<String>) -> Result<String> {
    let text = text.unwrap_or_default();
    if !text.chars().all(is_taken) {
        return Err(
            wrong("setting `prefix` has letters, digits and `-`").with_hint(
                "Key Vault takes nothing else in names; `path` is escaped, `prefix` is not",
            ),
        );
    }
    Ok(text)
}

impl fmt::Debug for Auth {
    // Without the source: what it holds, others have to hide.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("method", &self.method)
            .field("tenant", &self.tenant)
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("token_file", &self.token_file)
            .finish_non_exhaustive()
    }
}

fn id(setting: Option<&String>, variable: &str, cx: &Context) -> Result<Option<String>> {
    match setting.cloned().or_else(|| cx.env().text(variable)) {
        Some(text) if !is_id(&text) => Err(wrong(format!(
            "`{variable}` has letters, digits, `.` and `-`"
        ))),
        text => Ok(text),
    }
}

/// Ids and domains become parts of addresses and arguments of programs.
fn is_id(text: &str) -> bool {
    let taken = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && text.len() <= 253 && text.chars().all(taken)
}

pub(crate) fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Misconfigured, message.into())
}

#[cfg(test)]
mod tests {
    use credchain_core::{Environment, LinkName, Project};
    use serde_json::json;

    use super::*;

    fn settings(table: serde_json::Value) -> Result<Settings> {
        let setup = Setup::new(LinkName::literal("azure"))
            .with_settings(Table::from_json(table))
            .in_project(Project::new("pipeline", "/project").with_profile("prod"));
        Settings::new(&setup)
    }

    fn world(variables: &[(&str, &str)]) -> Context {
        Context::system().with_env(Environment::fixed(variables.iter().copied()))
    }

    #[test]
    fn every_mistake_is_misconfigured() {
        let secret = json!({"credential": "secret"});
        for table in [
            json!({"prefix": "team/"}),
            json!({"prefix": "team_"}),
            json!({"auth": {"method": "magic"}}),
            json!({"auth": {"tenant": "../canary"}}),
            json!({"auth": {"tenant": "-canary"}}),
            json!({"auth": {"client_id": "a b"}}),
            json!({"auth": {"method": "azure_cli", "client_secret": secret}}),
            json!({"auth": {"token_file": "t", "client_secret": secret}}),
        ] {
            let error = settings(table.clone()).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{table}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn the_method_follows_from_what_is_given() {
        let method = |auth| settings(json!({"auth": auth})).unwrap().auth.method;
        assert_eq!(method(json!({})), Method::Default);
        let secret = json!({"client_secret": {"credential": "secret"}});
        assert_eq!(method(secret), Method::ClientSecret);
        let file = json!({"token_file": "token"});
        assert_eq!(method(file), Method::WorkloadIdentity);
    }

    #[test]
    fn the_environment_says_who_the_settings_do_not() {
        let auth = settings(json!({})).unwrap().auth;
        let tenant = |tenant| auth.tenant(&world(&[("AZURE_TENANT_ID", tenant)]));
        let told = tenant("contoso.example.com").unwrap();
        assert_eq!(told.as_deref(), Some("contoso.example.com"));
        assert_eq!(tenant("a/b").unwrap_err().kind(), Kind::Misconfigured);
        let set = settings(json!({"auth": {"tenant": "set"}})).unwrap().auth;
        let told = set.tenant(&world(&[("AZURE_TENANT_ID", "other")]));
        assert_eq!(told.unwrap().as_deref(), Some("set"));
    }
}
