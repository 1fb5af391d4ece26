//! What `[providers.NAME]` with `type = "vault"` may say.

use std::path::PathBuf;

use credchain_core::{Context, Error, Kind, Result, Setting, Setup, Shape};
use reqwest::Url;

use crate::auth::{AUTH, Auth};

const DEFAULT_MAX_SIZE: u64 = 16 << 20;
const DEFAULT_CONNECTIONS: i64 = 64;

/// Every key of the provider's table.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "address",
        Shape::Url,
        "Where the server is; without it `VAULT_ADDR`, then `BAO_ADDR`.",
    ),
    Setting::new(
        "socket",
        Shape::Path,
        "A Unix socket to reach it by, such as an agent's, instead of `address`.",
    ),
    Setting::new(
        "namespace",
        Shape::Text,
        "The namespace; without it `VAULT_NAMESPACE`, then `BAO_NAMESPACE`.",
    ),
    Setting::new("mount", Shape::Text, "Where the KV engine is mounted.").or("\"secret\""),
    Setting::new(
        "path",
        Shape::Text,
        "The document with the conventional fields; `{project}` and `{profile}` are replaced.",
    )
    .or("\"{project}/{profile}\""),
    Setting::new(
        "kv_version",
        Shape::Integer { min: 1, max: 2 },
        "The version of the KV engine at `mount`; set, it saves the request that finds out.",
    ),
    Setting::new("auth", AUTH, "How to log in.").or("{ method = \"token\" }"),
    Setting::new(
        "renew",
        Shape::Bool,
        "Whether a token that was handed in is renewed while the program runs; what a login gave \
         always is.",
    )
    .or("false"),
    Setting::new(
        "revoke_on_exit",
        Shape::Bool,
        "Whether leases and logins are revoked when the program is done with them.",
    )
    .or("false"),
    Setting::new(
        "ca",
        Shape::Path,
        "Certificates in PEM that the server's must come from, instead of the system's.",
    ),
    Setting::new(
        "allow_http",
        Shape::Bool,
        "Whether plain HTTP may be spoken to another machine.",
    )
    .or("false"),
    Setting::new(
        "skip_verify",
        Shape::Bool,
        "Whether any certificate is taken; warned about at every run.",
    )
    .or("false"),
    Setting::new(
        "redirect_hosts",
        Shape::List(&Shape::Text),
        "Other hosts that may get the token when the server sends us there.",
    ),
    Setting::new("max_size", Shape::Size, "The largest answer that is read.").or("\"16MiB\""),
    Setting::new(
        "max_connections",
        Shape::Integer { min: 1, max: 1024 },
        "How many requests are under way at once.",
    )
    .or("64"),
];

/// Settings that are known to be right.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the file, and they are independent"
)]
pub(crate) struct Settings {
    address: Option<Url>,
    socket: Option<PathBuf>,
    namespace: Option<String>,
    explicit: bool,
    pub(crate) mount: String,
    pub(crate) path: String,
    pub(crate) kv_version: Option<u8>,
    pub(crate) auth: Auth,
    pub(crate) renew: bool,
    pub(crate) revoke_on_exit: bool,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) allow_http: bool,
    pub(crate) skip_verify: bool,
    pub(crate) redirect_hosts: Vec<String>,
    pub(crate) max_size: u64,
    pub(crate) max_connections: usize,
}

/// Where the server is, and how to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The base of every request.
    pub(crate) base: Url,
    /// The socket that it goes through.
    pub(crate) socket: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let table = &setup.settings;
        let text = |key| Ok::<_, Error>(table.text(key)?.map(|text| setup.project.expand(text)));
        let path = |key| Ok::<_, Error>(text(key)?.map(|path| setup.project.base().join(path)));
        let flag = |key| Ok::<_, Error>(table.bool(key)?.unwrap_or(false));
        let number = |key| table.integer(key);
        let address = match table.text("address")? {
            Some(address) => Some(parse(address, "setting `address`")?),
            None => None,
        };
        let conventional = setup.project.expand("{project}/{profile}");
        let settings = Self {
            address,
            socket: path("socket")?,
            namespace: text("namespace")?,
            explicit: setup.explicit,
            mount: trimmed("mount", text("mount")?.as_deref().unwrap_or("secret"))?,
            path: trimmed("path", &text("path")?.unwrap_or(conventional))?,
            kv_version: number("kv_version")?.and_then(|version| u8::try_from(version).ok()),
            auth: Auth::new(table.table("auth")?.as_ref(), setup.project.base())?,
            renew: flag("renew")?,
            revoke_on_exit: flag("revoke_on_exit")?,
            ca: path("ca")?,
            allow_http: flag("allow_http")?,
            skip_verify: flag("skip_verify")?,
            redirect_hosts: table.texts("redirect_hosts")?.unwrap_or_default(),
            max_size: table.size("max_size")?.unwrap_or(DEFAULT_MAX_SIZE),
            max_connections: usize::try_from(
                number("max_connections")?.unwrap_or(DEFAULT_CONNECTIONS),
            )
            .unwrap_or(1),
        };
        if let Some(address) = &settings.address {
            settings.check(address)?;
        }
        Ok(settings)
    }

    /// Where the server is: by the settings, else by the environment.
    pub(crate) fn endpoint(&self, cx: &Context) -> Result<Endpoint> {
        if let Some(socket) = &self.socket {
            return through(socket.clone());
        }
        if let Some(base) = &self.address {
            return Ok(Endpoint {
                base: base.clone(),
                socket: None,
            });
        }
        for variable in ["VAULT_ADDR", "BAO_ADDR"] {
            let Some(address) = cx.env().text(variable) else {
                continue;
            };
            if let Some(socket) = address.strip_prefix("unix://") {
                return through(PathBuf::from(socket));
            }
            let base = parse(&address, variable)?;
            self.check(&base)?;
            return Ok(Endpoint { base, socket: None });
        }
        let (kind, message) = if self.explicit {
            (Kind::Misconfigured, "there is no address")
        } else {
            (Kind::Absent, "no address is set")
        };
        Err(Error::new(kind, message)
            .with_hint("set `address` in its table, or the variable `VAULT_ADDR`"))
    }

    pub(crate) fn namespace(&self, cx: &Context) -> Option<String> {
        let variable = |name| cx.env().text(name);
        let namespace = self.namespace.clone();
        namespace
            .or_else(|| variable("VAULT_NAMESPACE"))
            .or_else(|| variable("BAO_NAMESPACE"))
    }

    /// Whether the token may be sent this way.
    pub(crate) fn takes(&self, address: &Url) -> bool {
        address.scheme() == "https" || self.allow_http || is_loopback(address)
    }

    /// SECURITY: over plain HTTP everybody on the way reads the token and every value.
    fn check(&self, address: &Url) -> Result<()> {
        if self.takes(address) {
            return Ok(());
        }
        Err(Error::new(
            Kind::Misconfigured,
            "plain HTTP to another machine shows the token to everybody on the way",
        )
        .with_hint("use `https://`, or set `allow_http = true` if the way is safe"))
    }
}

fn parse(address: &str, what: &str) -> Result<Url> {
    let wrong = |why: &str| {
        Error::new(Kind::Misconfigured, format!("{what} {why}"))
            .with_hint("an address looks like `https://vault.example.com:8200`")
    };
    let mut url = Url::parse(address).map_err(|_| wrong("is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("is no address of a web server"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not hold a user or a password"));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn through(socket: PathBuf) -> Result<Endpoint> {
    if cfg!(not(unix)) {
        return Err(Error::new(
            Kind::Misconfigured,
            "there are no Unix sockets here",
        ));
    }
    Ok(Endpoint {
        base: parse("http://localhost", "the socket")?,
        socket: Some(socket),
    })
}

/// A path inside the server, without slashes at its ends.
pub(crate) fn trimmed(key: &str, path: &str) -> Result<String> {
    let path = path.trim_matches('/');
    let wrong = path.split('/').any(|part| matches!(part, "" | "." | ".."));
    if wrong || path.chars().any(char::is_control) {
        let message = format!("setting `{key}` is no path inside the server");
        return Err(Error::new(Kind::Misconfigured, message));
    }
    Ok(path.to_owned())
}

fn is_loopback(address: &Url) -> bool {
    let Some(host) = address.host_str() else {
        return false;
    };
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || plain
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use credchain_core::{Environment, LinkName, Project, Settings as Table};
    use serde_json::json;

    use super::*;

    fn settings(table: serde_json::Value) -> Result<Settings> {
        let setup = Setup::new(LinkName::literal("vault"))
            .with_settings(Table::from_json(table))
            .in_project(Project::new("demo", "/project").with_profile("prod"));
        Settings::new(&setup)
    }

    fn world(variables: &[(&str, &str)]) -> Context {
        Context::system().with_env(Environment::fixed(variables.iter().copied()))
    }

    #[test]
    fn wrong_settings_are_misconfigured() {
        for table in [
            json!({"address": "nowhere"}),
            json!({"address": "ftp://vault"}),
            json!({"address": "https://user@vault"}),
            json!({"address": "http://vault.example.com:8200"}),
            json!({"mount": "../sys"}),
            json!({"mount": ""}),
            json!({"path": "a//b"}),
            json!({"max_size": "big"}),
            json!({"auth": {"method": "approle"}}),
            json!({"auth": {"method": "approle", "role_id": "x", "secret_id": "literal"}}),
            json!({"auth": {"method": "jwt"}}),
            json!({"auth": {"method": "magic"}}),
        ] {
            let error = settings(table.clone()).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{table}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_or_for_those_who_insist() {
        for address in [
            "http://127.0.0.1:8200",
            "http://[::1]:8200",
            "http://localhost",
        ] {
            settings(json!({ "address": address })).unwrap();
        }
        let insisting = json!({"address": "http://vault.example.com", "allow_http": true});
        settings(insisting).unwrap();
        let unset = settings(json!({})).unwrap();
        let error = unset
            .endpoint(&world(&[("VAULT_ADDR", "http://vault")]))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
    }

    #[test]
    fn the_address_is_the_set_one_then_vaults_then_openbaos() {
        let both = world(&[("VAULT_ADDR", "https://v"), ("BAO_ADDR", "https://b")]);
        let host = |settings: &Settings, cx: &Context| {
            settings
                .endpoint(cx)
                .map(|endpoint| endpoint.base.host_str().unwrap().to_owned())
        };
        let set = settings(json!({"address": "https://s"})).unwrap();
        assert_eq!(host(&set, &both).unwrap(), "s");
        let unset = settings(json!({})).unwrap();
        assert_eq!(host(&unset, &both).unwrap(), "v");
        assert_eq!(
            host(&unset, &world(&[("BAO_ADDR", "https://b")])).unwrap(),
            "b"
        );
        assert_eq!(
            host(&unset, &world(&[])).unwrap_err().kind(),
            Kind::Misconfigured
        );
        let bare = Settings::new(&Setup::new(LinkName::literal("vault"))).unwrap();
        assert_eq!(host(&bare, &world(&[])).unwrap_err().kind(), Kind::Absent);
    }

    #[test]
    fn the_conventional_document_is_that_of_project_and_profile() {
        assert_eq!(settings(json!({})).unwrap().path, "demo/prod");
        let table = json!({"path": "/apps/{project}/", "mount": "kv/team/"});
        let settings = settings(table).unwrap();
        assert_eq!(
            (&*settings.path, &*settings.mount),
            ("apps/demo", "kv/team")
        );
    }
}
