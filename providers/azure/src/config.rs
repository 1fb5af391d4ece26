//! What `[providers.NAME]` with `type = "azure"` may say.

use std::path::PathBuf;
use std::sync::Arc;

use credchain_core::{
    Context, CredentialSource, Error, Kind, Name, Result, Setting, Settings as Table, Setup, Shape,
};
use reqwest::Url;

/// The clouds of Azure: what the host of a vault ends with, and where logins go.
///
/// The end of the host is also what a token is asked for.
const CLOUDS: [(&str, &str); 3] = [
    (PUBLIC, "https://login.microsoftonline.com"),
    ("vault.azure.cn", "https://login.chinacloudapi.cn"),
    (
        "vault.usgovcloudapi.net",
        "https://login.microsoftonline.us",
    ),
];

const PUBLIC: &str = "vault.azure.net";

/// The variable that names a vault if no setting does.
const VAULT_VARIABLE: &str = "AZURE_KEYVAULT_URL";

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
    vault: Option<Url>,
    explicit: bool,
    pub(crate) prefix: String,
    /// With its placeholders.
    pub(crate) path: String,
    pub(crate) auth: Auth,
    resource: Option<Url>,
    authority: Option<Url>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) purge: bool,
    pub(crate) max_connections: usize,
}

/// How to log in.
#[derive(Clone, Debug)]
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

/// Where to ask, where to log in, and for what.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The vault's address, without a path.
    pub(crate) vault: Url,
    /// What a token is asked for, without a slash at the end.
    pub(crate) resource: String,
    pub(crate) authority: Url,
}

impl Target {
    /// The vault's name, or what stands in its place.
    pub(crate) fn name(&self) -> &str {
        let host = self.vault.host_str().unwrap_or_default();
        host.split('.').next().unwrap_or_default()
    }
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let table = &setup.settings;
        let expanded =
            |key| Ok::<_, Error>(table.text(key)?.map(|text| setup.project.expand(text)));
        let url = |key: &str| -> Result<Option<Url>> {
            let address = table.text(key)?;
            address
                .map(|address| server(&format!("setting `{key}`"), address))
                .transpose()
        };
        let connections = table.integer("max_connections")?;
        let settings = Self {
            vault: expanded("vault")?
                .map(|vault| vault_address("setting `vault`", &vault))
                .transpose()?,
            explicit: setup.explicit,
            prefix: expanded("prefix")?.unwrap_or_default(),
            path: table
                .text("path")?
                .unwrap_or("{project}/{profile}")
                .to_owned(),
            auth: Auth::new(setup)?,
            resource: url("resource")?,
            authority: url("authority")?,
            ca: table.path("ca")?.map(|ca| setup.project.base().join(ca)),
            purge: table.bool("purge")?.unwrap_or(false),
            max_connections: connections
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| *number > 0)
                .unwrap_or(DEFAULT_CONNECTIONS),
        };
        if let Some(vault) = &settings.vault {
            settings.resource_of(vault)?;
        }
        Ok(settings)
    }

    /// Where to ask and to log in, by the settings, else by the environment.
    pub(crate) fn target(&self, cx: &Context) -> Result<Target> {
        let named = cx.env().text(VAULT_VARIABLE);
        let vault = match (&self.vault, named) {
            (Some(vault), _) => vault.clone(),
            (None, Some(named)) => vault_address(&format!("`{VAULT_VARIABLE}`"), &named)?,
            (None, None) => return Err(self.no_vault()),
        };
        let (resource, cloud) = self.resource_of(&vault)?;
        let variable = "AZURE_AUTHORITY_HOST";
        let authority = match (&self.authority, cx.env().text(variable)) {
            (Some(authority), _) => authority.clone(),
            (None, Some(authority)) => server(&format!("`{variable}`"), &authority)?,
            (None, None) => server("the cloud's authority", cloud)?,
        };
        Ok(Target {
            vault,
            resource,
            authority,
        })
    }

    /// What a token for this vault is asked for, and where.
    ///
    /// SECURITY: a token opens every vault that its owner may open, so it goes to no server but
    /// those of the service that it is for, and to this machine.
    fn resource_of(&self, vault: &Url) -> Result<(String, &'static str)> {
        let host = vault.host_str().unwrap_or_default();
        let below = |domain: &str| {
            let name = host
                .strip_suffix(domain)
                .and_then(|name| name.strip_suffix('.'));
            name.is_some_and(|name| !name.is_empty())
        };
        let (_, public) = CLOUDS[0];
        if let Some(resource) = &self.resource {
            if !below(resource.host_str().unwrap_or_default()) && !is_loopback(vault) {
                return Err(wrong(format!("`{host}` is not below setting `resource`")).with_hint(
                    "a token for one service is not shown to another; look at `vault` and `resource`",
                ));
            }
            return Ok((trimmed(resource), public));
        }
        let mut clouds = CLOUDS.iter();
        match clouds.find(|(domain, _)| below(domain)) {
            Some((domain, authority)) => Ok((format!("https://{domain}"), *authority)),
            None if is_loopback(vault) => Ok((format!("https://{PUBLIC}"), public)),
            None => Err(wrong(format!("`{host}` is no Key Vault of a known cloud")).with_hint(
                "a vault's host looks like `NAME.vault.azure.net`; `resource` and `authority` describe a cloud of its own",
            )),
        }
    }

    fn no_vault(&self) -> Error {
        let kind = if self.explicit {
            Kind::Misconfigured
        } else {
            Kind::Absent
        };
        Error::new(kind, "no vault is named").with_hint(format!(
            "set `vault = \"NAME\"` for this provider, or the variable `{VAULT_VARIABLE}`"
        ))
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

/// The address of a vault that is given by it or by its name alone.
fn vault_address(named: &str, vault: &str) -> Result<Url> {
    if vault.contains("://") {
        return server(named, vault);
    }
    let taken = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if vault.is_empty() || vault.len() > 24 || !vault.chars().all(taken) {
        return Err(
            wrong(format!("{named} is neither a vault's name nor an address")).with_hint(
                "it looks like `pipeline-prod` or `https://pipeline-prod.vault.azure.net`",
            ),
        );
    }
    server(named, &format!("https://{vault}.{PUBLIC}"))
}

/// A server that secrets go to: a scheme and a host, and nothing else.
pub(crate) fn server(named: &str, address: &str) -> Result<Url> {
    let plain = || {
        wrong(format!(
            "{named} must be `https://`, a host and perhaps a port"
        ))
    };
    let url = Url::parse(address).map_err(|_| plain())?;
    // A user's name in an address would be a secret in a place that is shown.
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let host = url.host_str().is_some_and(|host| !host.is_empty());
    if !bare || !host || url.path() != "/" || url.fragment().is_some() {
        return Err(plain());
    }
    match url.scheme() {
        "https" => Ok(url),
        // SECURITY: over `http://` everybody on the way reads what is sent.
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(plain()),
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || plain
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn trimmed(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
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

    fn target(table: serde_json::Value) -> (String, String, String) {
        let target = settings(table).unwrap().target(&world(&[])).unwrap();
        let (vault, authority) = (trimmed(&target.vault), trimmed(&target.authority));
        (vault, target.resource, authority)
    }

    #[test]
    fn a_vault_is_named_or_addressed_and_its_host_tells_the_cloud() {
        for (vault, host, resource, authority) in [
            (
                "app-{profile}",
                "app-prod.vault.azure.net",
                "vault.azure.net",
                "login.microsoftonline.com",
            ),
            (
                "https://a.vault.azure.net/",
                "a.vault.azure.net",
                "vault.azure.net",
                "login.microsoftonline.com",
            ),
            (
                "https://a.vault.azure.cn",
                "a.vault.azure.cn",
                "vault.azure.cn",
                "login.chinacloudapi.cn",
            ),
            (
                "https://a.vault.usgovcloudapi.net",
                "a.vault.usgovcloudapi.net",
                "vault.usgovcloudapi.net",
                "login.microsoftonline.us",
            ),
        ] {
            let expected = [host, resource, authority].map(|host| format!("https://{host}"));
            let (vault, resource, authority) = target(json!({"vault": vault}));
            assert_eq!([vault, resource, authority], expected);
        }
        let local = target(json!({"vault": "http://127.0.0.1:8080"}));
        assert_eq!(local.1, "https://vault.azure.net");
    }

    #[test]
    fn every_mistake_is_misconfigured() {
        let secret = json!({"credential": "secret"});
        for table in [
            json!({"vault": ""}),
            json!({"vault": "a b"}),
            json!({"vault": "http://a.vault.azure.net"}),
            json!({"vault": "https://user:canary@a.vault.azure.net"}),
            json!({"vault": "https://a.vault.azure.net/canary"}),
            json!({"vault": "https://vault.azure.net"}),
            json!({"vault": "https://vault.azure.net.example.com"}),
            json!({"vault": "https://avault.azure.net"}),
            json!({"vault": "https://example.com"}),
            json!({"vault": "https://example.com", "resource": "https://vault.azure.net"}),
            json!({"vault": "a", "authority": "http://login.example.com"}),
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
    fn a_cloud_of_its_own_is_described_by_resource_and_authority() {
        let table = json!({
            "vault": "https://a.vault.local.stack.example",
            "resource": "https://vault.local.stack.example",
            "authority": "https://login.stack.example",
        });
        let (_, resource, authority) = target(table);
        assert_eq!(resource, "https://vault.local.stack.example");
        assert_eq!(authority, "https://login.stack.example");
    }

    #[test]
    fn the_environment_names_what_the_settings_do_not() {
        let unset = settings(json!({})).unwrap();
        let variables = [
            ("AZURE_KEYVAULT_URL", "https://b.vault.azure.net/"),
            ("AZURE_AUTHORITY_HOST", "https://login.example.com/"),
            ("AZURE_TENANT_ID", "contoso.example.com"),
        ];
        let target = unset.target(&world(&variables)).unwrap();
        assert_eq!(target.vault.host_str(), Some("b.vault.azure.net"));
        assert_eq!(target.name(), "b");
        assert_eq!(target.authority.host_str(), Some("login.example.com"));
        let tenant = unset.auth.tenant(&world(&variables)).unwrap();
        assert_eq!(tenant.as_deref(), Some("contoso.example.com"));
        let odd = [("AZURE_TENANT_ID", "a/b")];
        assert!(unset.auth.tenant(&world(&odd)).is_err());
        let missing = unset.target(&world(&[])).unwrap_err();
        assert_eq!(missing.kind(), Kind::Misconfigured);
        let bare = Settings::new(&Setup::new(LinkName::literal("azure"))).unwrap();
        assert_eq!(bare.target(&world(&[])).unwrap_err().kind(), Kind::Absent);
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
}
