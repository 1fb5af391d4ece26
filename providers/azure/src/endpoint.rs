//! Which vault is asked, where logins go, and what a token is asked for.

use std::net::IpAddr;

use credchain_core::{Context, Error, Kind, Result, Setup};
use reqwest::Url;

use crate::config::wrong;

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

/// The variable that names the authority if no setting does.
const AUTHORITY_VARIABLE: &str = "AZURE_AUTHORITY_HOST";

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

/// What the settings say about that.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    vault: Option<Url>,
    resource: Option<Url>,
    authority: Option<Url>,
    /// Whether somebody set the provider up, so that a missing vault is a mistake.
    explicit: bool,
}

impl Endpoints {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let table = &setup.settings;
        let url = |key: &str| -> Result<Option<Url>> {
            let address = table.text(key)?;
            address
                .map(|address| server(&format!("setting `{key}`"), address))
                .transpose()
        };
        let vault = table
            .text("vault")?
            .map(|vault| setup.project.expand(vault));
        let endpoints = Self {
            vault: vault
                .map(|vault| vault_address("setting `vault`", &vault))
                .transpose()?,
            resource: url("resource")?,
            authority: url("authority")?,
            explicit: setup.explicit,
        };
        if let Some(vault) = &endpoints.vault {
            endpoints.resource_of(vault)?;
        }
        Ok(endpoints)
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
        let authority = match (&self.authority, cx.env().text(AUTHORITY_VARIABLE)) {
            (Some(authority), _) => authority.clone(),
            (None, Some(authority)) => server(&format!("`{AUTHORITY_VARIABLE}`"), &authority)?,
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
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn trimmed(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use credchain_core::{Environment, LinkName, Project, Settings};
    use serde_json::json;

    use super::*;

    fn endpoints(table: serde_json::Value) -> Result<Endpoints> {
        let setup = Setup::new(LinkName::literal("azure"))
            .with_settings(Settings::from_json(table))
            .in_project(Project::new("pipeline", "/project").with_profile("prod"));
        Endpoints::new(&setup)
    }

    fn world(variables: &[(&str, &str)]) -> Context {
        Context::system().with_env(Environment::fixed(variables.iter().copied()))
    }

    fn target(table: serde_json::Value) -> (String, String, String) {
        let target = endpoints(table).unwrap().target(&world(&[])).unwrap();
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
    fn a_server_that_may_not_have_the_token_is_misconfigured() {
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
        ] {
            let error = endpoints(table.clone()).unwrap_err();
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
        let unset = endpoints(json!({})).unwrap();
        let variables = [
            ("AZURE_KEYVAULT_URL", "https://b.vault.azure.net/"),
            ("AZURE_AUTHORITY_HOST", "https://login.example.com/"),
        ];
        let target = unset.target(&world(&variables)).unwrap();
        assert_eq!(target.vault.host_str(), Some("b.vault.azure.net"));
        assert_eq!(target.name(), "b");
        assert_eq!(target.authority.host_str(), Some("login.example.com"));
        let missing = unset.target(&world(&[])).unwrap_err();
        assert_eq!(missing.kind(), Kind::Misconfigured);
        let bare = Endpoints::new(&Setup::new(LinkName::literal("azure"))).unwrap();
        assert_eq!(bare.target(&world(&[])).unwrap_err().kind(), Kind::Absent);
    }
}
