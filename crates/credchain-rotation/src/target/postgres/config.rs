//! What `[rotation.targets.NAME]` with `type = "postgres"` says, checked.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use credchain_core::{Error, Kind, Name, Result, Settings};
use percent_encoding::percent_decode_str;

use super::super::{Setup, wrong};

/// The iterations that Postgres itself makes by default.
const ITERATIONS: u32 = 4096;

/// More of them our own client refuses to make: a server that could ask for any number could
/// keep it busy for ever (CVE-2026-42198 in another one).
const MOST_ITERATIONS: u32 = 100_000;

const PORT: u16 = 5432;

/// Settings that are known to be right.
pub(super) struct Config {
    /// Where changes are made, and every probe asks first.
    pub(super) primary: Endpoint,
    /// Where every probe asks as well.
    pub(super) others: Vec<Endpoint>,
    pub(super) database: String,
    pub(super) accounts: Accounts,
    pub(super) admin: Option<Admin>,
    pub(super) tls: bool,
    pub(super) ca: Option<PathBuf>,
    pub(super) end_sessions: bool,
    pub(super) iterations: u32,
}

/// The role that changes passwords.
#[derive(Clone)]
pub(super) struct Admin {
    pub(super) role: String,
    /// Nothing where the server knows it by other means, such as the user of this process.
    pub(super) password: Option<Name>,
}

/// The roles that are rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Accounts {
    /// One, whose password is swapped.
    One(String),
    /// Two in turn.
    Two(String, String),
}

impl Accounts {
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::One(only) => vec![only],
            Self::Two(a, b) => vec![a, b],
        }
    }
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Tcp(String, u16),
    /// The directory of a socket, and the number in its name.
    Unix(PathBuf, u16),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(directory, port) => write!(f, "{}:{port}", directory.display()),
        }
    }
}

impl Endpoint {
    fn is_here(&self) -> bool {
        match self {
            Self::Tcp(host, _) => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
            Self::Unix(..) => true,
        }
    }
}

impl Config {
    pub(super) fn new(settings: &Settings, setup: &Setup) -> Result<Self> {
        let Some(url) = settings.text("url")? else {
            return Err(wrong("setting `url` is missing"));
        };
        let (mut endpoints, database) = servers(url)?;
        let here = endpoints.iter().all(Endpoint::is_here);
        let tls = match settings.text("tls")? {
            None => !here,
            Some("verify") => true,
            Some("off") => false,
            Some(_) => return Err(wrong("setting `tls` is `verify` or `off`")),
        };
        let unix = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Unix(..));
        if tls && endpoints.iter().any(unix) {
            return Err(wrong("connections over a socket's file are not encrypted")
                .with_hint("set `tls = \"off\"`: they do not leave this machine"));
        }
        let iterations = settings.integer("iterations")?;
        let iterations = iterations.map_or(Some(ITERATIONS), |number| u32::try_from(number).ok());
        let iterations =
            iterations.filter(|number| (ITERATIONS..=MOST_ITERATIONS).contains(number));
        let iterations = iterations.ok_or_else(|| {
            wrong(format!(
                "setting `iterations` is at least {ITERATIONS} and at most {MOST_ITERATIONS}"
            ))
        })?;
        let accounts = accounts(settings)?;
        Ok(Self {
            primary: endpoints.remove(0),
            others: endpoints,
            database,
            admin: admin(settings, &accounts)?,
            accounts,
            tls,
            ca: settings.path("ca")?.map(|ca| setup.project.base().join(ca)),
            end_sessions: settings.bool("end_sessions")?.unwrap_or(false),
            iterations,
        })
    }

    /// Every server, the one where changes are made first.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.primary).chain(&self.others)
    }
}

fn accounts(settings: &Settings) -> Result<Accounts> {
    let accounts = match (settings.text("user")?, settings.texts("users")?) {
        (Some(user), None) => Accounts::One(user.to_owned()),
        (None, Some(users)) => match <[String; 2]>::try_from(users) {
            Ok([a, b]) if a != b => Accounts::Two(a, b),
            _ => return Err(wrong("setting `users` names two different roles")),
        },
        _ => {
            return Err(wrong("one of `user` and `users` has to be set")
                .with_hint("`users` names two roles in turn, so that one always works"));
        }
    };
    for name in accounts.names() {
        check_role(name)?;
    }
    Ok(accounts)
}

fn admin(settings: &Settings, accounts: &Accounts) -> Result<Option<Admin>> {
    let password = settings.credential("admin_password")?;
    let Some(role) = settings.text("admin")? else {
        if password.is_some() {
            return Err(wrong("`admin_password` needs `admin` beside it"));
        }
        if let Accounts::Two(..) = accounts {
            return Err(wrong("two accounts in turn need an `admin`")
                .with_hint("an account that is new, or disabled, cannot change its own password"));
        }
        return Ok(None);
    };
    check_role(role)?;
    if accounts.names().contains(&role) {
        return Err(
            wrong("`admin` is one of the accounts that are rotated").with_hint(
                "after the first rotation nobody could log in to do the next one; for a role that \
                 changes its own password leave `admin` out",
            ),
        );
    }
    Ok(Some(Admin {
        role: role.to_owned(),
        password,
    }))
}

fn check_role(name: &str) -> Result<()> {
    if name.is_empty() || name.contains('\0') {
        return Err(wrong("a role's name is not empty and holds no NUL"));
    }
    // The server would cut it, and then it is another one.
    if name.len() > 63 {
        return Err(wrong("a role's name has at most 63 bytes"));
    }
    Ok(())
}

/// The servers and the database of an address. Written by hand, since no parser of addresses
/// takes several hosts.
fn servers(url: &str) -> Result<(Vec<Endpoint>, String)> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .ok_or_else(|| wrong("setting `url` begins with `postgres://`"))?;
    // SECURITY: what stands there is not repeated, since it may be a password.
    if rest.contains('@') {
        return Err(wrong("setting `url` has neither a user nor a password")
            .with_hint("`user` or `users` name the roles, and rotation knows their passwords"));
    }
    if rest.contains(['?', '#']) {
        return Err(wrong("setting `url` has no parameters")
            .with_hint("`tls` and `ca` are settings of their own"));
    }
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    let database = decoded(database)?;
    if database.is_empty() || database.contains('\0') {
        return Err(wrong("setting `url` names no database")
            .with_hint("`postgres://HOST:PORT/DATABASE`; any that the accounts may connect to"));
    }
    let endpoints = hosts.split(',').map(endpoint).collect::<Result<_>>()?;
    Ok((endpoints, database))
}

fn endpoint(text: &str) -> Result<Endpoint> {
    let unusable = || wrong("setting `url` has a host that is none");
    // An IPv6 address has brackets, and a directory `%2F` for each slash.
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(unusable)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| unusable())?,
        None if port.is_empty() => PORT,
        None => return Err(unusable()),
    };
    let host = decoded(host)?;
    if host.is_empty() || host.chars().any(char::is_control) {
        return Err(unusable());
    }
    if host.starts_with('/') {
        if cfg!(not(unix)) {
            let message = "sockets with a file are not offered on this system";
            return Err(Error::new(Kind::Unsupported, message));
        }
        return Ok(Endpoint::Unix(host.into(), port));
    }
    Ok(Endpoint::Tcp(host, port))
}

fn decoded(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| wrong("setting `url` is no text"))
}

#[cfg(test)]
mod tests {
    use credchain_core::Project;
    use serde_json::{Value, json};

    use super::*;

    fn config(change: Value) -> Result<Config> {
        let mut table = json!({"url": "postgres://127.0.0.1/app", "user": "app"});
        if let (Value::Object(table), Value::Object(change)) = (&mut table, change) {
            table.extend(change);
            table.retain(|_, value| !value.is_null());
        }
        let setup = Setup::new(Project::new("p", "/"));
        Config::new(&Settings::from_json(table), &setup)
    }

    #[test]
    fn servers_and_database_come_from_the_address() {
        let tcp = |host: &str, port| Endpoint::Tcp(host.into(), port);
        for (url, expected, database) in [
            ("postgres://h/d", vec![tcp("h", 5432)], "d"),
            ("postgresql://h:1/d%2Fe", vec![tcp("h", 1)], "d/e"),
            ("postgres://a:1,b/d", vec![tcp("a", 1), tcp("b", 5432)], "d"),
            ("postgres://[::1]:7/d", vec![tcp("::1", 7)], "d"),
            (
                "postgres://%2Frun%2Fpg:7/d",
                vec![Endpoint::Unix("/run/pg".into(), 7)],
                "d",
            ),
        ] {
            assert_eq!(
                servers(url).unwrap(),
                (expected, database.to_owned()),
                "{url}"
            );
        }
        assert_eq!(tcp("::1", 7).to_string(), "[::1]:7");
    }

    #[test]
    fn what_could_not_work_is_misconfigured_and_no_password_is_repeated() {
        let change = json!({"url": "postgres://u:hunter2@h/d"});
        let error = config(change).err().unwrap();
        assert!(!format!("{error:?}").contains("hunter2"));
        let admin = |role: &str| json!({"admin": role, "users": ["a", "b"], "user": null});
        for change in [
            json!({"url": null}),
            json!({"url": "mysql://h/d"}),
            json!({"url": "postgres://u@h/d"}),
            json!({"url": "postgres://h"}),
            json!({"url": "postgres://h/"}),
            json!({"url": "postgres://h/d?sslmode=disable"}),
            json!({"url": "postgres://h:x/d"}),
            json!({"url": "postgres://h,/d"}),
            json!({"url": "postgres://[::1/d"}),
            json!({"url": "postgres:///d"}),
            json!({"user": null}),
            json!({"user": ""}),
            json!({"user": "a\0"}),
            json!({"user": "x".repeat(64)}),
            json!({"users": ["a", "b"], "admin": "c"}),
            json!({"users": ["a", "b"], "user": null}),
            json!({"users": ["a", "a"], "user": null, "admin": "c"}),
            json!({"users": ["a"], "user": null, "admin": "c"}),
            admin("a"),
            json!({"admin": "app"}),
            json!({"admin_password": {"credential": "x"}}),
            json!({"iterations": 4095}),
            json!({"iterations": 100_001}),
            json!({"tls": "prefer"}),
            json!({"url": "postgres://%2Frun/d", "tls": "verify"}),
        ] {
            let kind = config(change.clone()).err().map(|error| error.kind());
            assert_eq!(kind, Some(Kind::Misconfigured), "{change}");
        }
        assert!(config(admin("c")).is_ok());
    }

    #[test]
    fn connections_are_encrypted_unless_they_stay_on_this_machine() {
        for (url, tls) in [
            ("postgres://db.example.com/d", true),
            ("postgres://127.0.0.1,db.example.com/d", true),
            ("postgres://127.0.0.1,localhost,[::1]/d", false),
            ("postgres://%2Frun/d", false),
        ] {
            assert_eq!(config(json!({"url": url})).unwrap().tls, tls, "{url}");
        }
        let change = json!({"url": "postgres://h/d", "tls": "off"});
        assert!(!config(change).unwrap().tls);
    }
}
