//! What `[rotation.targets.NAME]` with `type = "http"` says, checked.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use credchain_core::{Name, Result, Settings};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;

use super::super::{Setup, wrong};
use super::fill::{Filling, Place, mentions, path};

/// How long a request may take, unless the settings say otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What means that a value is refused, unless the settings say otherwise.
const REFUSE: [u16; 2] = [401, 403];

/// What is asked of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Verify,
    Apply,
    Issue,
    Issued,
    Disable,
    Enable,
    Revoke,
}

impl Action {
    pub(super) const ALL: [Self; 7] = [
        Self::Verify,
        Self::Apply,
        Self::Issue,
        Self::Issued,
        Self::Disable,
        Self::Enable,
        Self::Revoke,
    ];

    /// The setting that describes its request.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Apply => "apply",
            Self::Issue => "issue",
            Self::Issued => "issued",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Revoke => "revoke",
        }
    }

    const fn usual_method(self) -> Method {
        match self {
            Self::Verify | Self::Issued => Method::GET,
            Self::Revoke => Method::DELETE,
            _ => Method::POST,
        }
    }

    /// The places that there is something for.
    const fn knows(self, place: Place) -> bool {
        match place {
            Place::Admin => true,
            Place::Id => !matches!(self, Self::Issue | Self::Issued),
            Place::Secret | Place::Basic => matches!(self, Self::Verify | Self::Apply),
            Place::Tag => matches!(self, Self::Issue),
        }
    }
}

/// Settings that are known to be right.
pub(super) struct Config {
    pub(super) base: Url,
    pub(super) ca: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) admin: Option<Name>,
    pub(super) requests: Vec<Request>,
}

/// One request, with its places still empty.
pub(super) struct Request {
    pub(super) action: Action,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Body,
    /// Nothing for any of 200 to 299.
    accept: Option<Vec<u16>>,
    refuse: Vec<u16>,
    pub(super) pointers: Pointers,
}

pub(super) enum Body {
    None,
    Json(Value),
    Form(Vec<(String, String)>),
}

/// Where things are in an answer, as JSON pointers (RFC 6901).
#[derive(Default)]
pub(super) struct Pointers {
    pub(super) id: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) items: Option<String>,
    pub(super) created: Option<String>,
    pub(super) enabled: Option<String>,
    pub(super) tag: Option<String>,
}

impl Config {
    pub(super) fn new(settings: &Settings, setup: &Setup) -> Result<Self> {
        super::super::check_actions(settings)?;
        let allow_http = settings.bool("allow_http")?.unwrap_or(false);
        let Some(base) = settings.text("base")? else {
            return Err(wrong("setting `base` is missing"));
        };
        let base = address(base, allow_http)?;
        let admin = settings.credential("admin")?;
        let mut requests = Vec::new();
        for action in Action::ALL {
            if let Some(table) = settings.table(action.key())? {
                let request = Request::new(action, &table)?;
                request.check(&base, admin.is_some())?;
                requests.push(request);
            }
        }
        Ok(Self {
            base,
            ca: settings.path("ca")?.map(|ca| setup.project.base().join(ca)),
            timeout: settings.duration("timeout")?.unwrap_or(TIMEOUT),
            admin,
            requests,
        })
    }
}

/// A request's table, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    method: Option<String>,
    path: String,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    body: Option<Value>,
    form: Option<serde_json::Map<String, Value>>,
    accept: Option<Vec<u16>>,
    refuse: Option<Vec<u16>>,
    id: Option<String>,
    secret: Option<String>,
    items: Option<String>,
    created: Option<String>,
    enabled: Option<String>,
    tag: Option<String>,
}

impl Request {
    fn new(action: Action, settings: &Settings) -> Result<Self> {
        let key = action.key();
        let table: Table = settings
            .deserialize()
            .map_err(|_| wrong(format!("setting `{key}` describes no request")))?;
        let method = match table.method.as_deref() {
            None => action.usual_method(),
            Some(name) => Method::from_bytes(name.to_ascii_uppercase().as_bytes())
                .map_err(|_| wrong(format!("setting `{key}.method` is no method")))?,
        };
        let body = match (table.body, table.form) {
            (None, None) => Body::None,
            (Some(body), None) => Body::Json(json(key, body)?),
            (None, Some(form)) => Body::Form(texts(form, &format!("{key}.form"))?),
            (Some(_), Some(_)) => {
                return Err(wrong(format!("`{key}` has either `body` or `form`")));
            }
        };
        let headers = texts(table.headers, &format!("{key}.headers"))?;
        let headers = headers.into_iter().map(|(name, value)| {
            let parsed = HeaderName::from_bytes(name.as_bytes());
            let usable = HeaderValue::from_str(&value).is_ok();
            match parsed {
                Ok(name) if usable => Ok((name, value)),
                _ => Err(wrong(format!("an entry of `{key}.headers` is no header"))),
            }
        });
        Ok(Self {
            action,
            method,
            path: table.path,
            headers: headers.collect::<Result<_>>()?,
            body,
            accept: table.accept,
            refuse: table.refuse.unwrap_or_else(|| REFUSE.to_vec()),
            pointers: Pointers {
                id: pointer(key, "id", table.id)?,
                secret: pointer(key, "secret", table.secret)?,
                items: pointer(key, "items", table.items)?,
                created: pointer(key, "created", table.created)?,
                enabled: pointer(key, "enabled", table.enabled)?,
                tag: pointer(key, "tag", table.tag)?,
            },
        })
    }

    /// Whether an answer with this status means yes.
    pub(super) fn accepts(&self, status: u16) -> bool {
        match &self.accept {
            None => (200..300).contains(&status),
            Some(statuses) => statuses.contains(&status),
        }
    }

    /// Whether an answer with this status means that the value is refused.
    pub(super) fn refuses(&self, status: u16) -> bool {
        self.action == Action::Verify && self.refuse.contains(&status)
    }

    fn check(&self, base: &Url, has_admin: bool) -> Result<()> {
        let key = self.action.key();
        // SECURITY: servers and proxies keep addresses in their logs.
        if [Place::Secret, Place::Basic, Place::Admin]
            .iter()
            .any(|place| mentions(&self.path, *place))
        {
            return Err(wrong(format!("setting `{key}.path` would show a secret"))
                .with_hint("secrets go into `headers`, `body` or `form`"));
        }
        for text in self.texts() {
            for place in Place::ALL {
                let known = self.action.knows(place) && (place != Place::Admin || has_admin);
                if mentions(text, place) && !known {
                    let place = place.written();
                    let message = format!("setting `{key}` has `{place}`, which is nothing there");
                    return Err(wrong(message));
                }
            }
        }
        let sample = Filling {
            id: "x",
            tag: "x",
            ..Filling::default()
        };
        if path(base, &self.path, &sample).is_err() {
            return Err(wrong(format!("setting `{key}.path` is no path below `base`")).with_hint(
                "it begins with `/`, has no `.` and `..`, and what is not ASCII in it is percent-encoded",
            ));
        }
        if self.action == Action::Issue && self.pointers.secret.is_none() {
            return Err(wrong("`issue.secret` has to say where the value is"));
        }
        if self.action == Action::Issued && self.pointers.id.is_none() {
            return Err(wrong("`issued.id` has to say where a key's id is"));
        }
        if self.action == Action::Verify && self.refuse.iter().any(|status| self.accepts(*status)) {
            return Err(wrong(
                "a status is in both `verify.accept` and `verify.refuse`",
            ));
        }
        Ok(())
    }

    /// Every text that may have places.
    fn texts(&self) -> Vec<&str> {
        fn within<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::String(text) => found.push(text),
                Value::Array(items) => items.iter().for_each(|item| within(item, found)),
                Value::Object(members) => members.values().for_each(|item| within(item, found)),
                _ => {}
            }
        }
        let mut found = vec![self.path.as_str()];
        found.extend(self.headers.iter().map(|(_, value)| value.as_str()));
        match &self.body {
            Body::None => {}
            Body::Json(value) => within(value, &mut found),
            Body::Form(fields) => found.extend(fields.iter().map(|(_, value)| value.as_str())),
        }
        found
    }
}

/// Reads the address of the API.
///
/// SECURITY: over `http://` everybody on the way reads the secrets, so it goes no further than
/// this machine unless somebody said so.
fn address(text: &str, allow_http: bool) -> Result<Url> {
    let url = Url::parse(text).map_err(|_| wrong("setting `base` is no address"))?;
    let host = url.host_str().unwrap_or_default();
    let number = host.trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost"
        || number
            .parse::<IpAddr>()
            .is_ok_and(|number| number.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if allow_http || here => {}
        "http" => {
            return Err(wrong("setting `base` is not encrypted: `http://`")
                .with_hint("use `https://`, or set `allow_http = true` if the network is yours"));
        }
        _ => return Err(wrong("setting `base` must begin with `https://`")),
    }
    let secret = !url.username().is_empty() || url.password().is_some();
    if secret || url.query().is_some() || url.fragment().is_some() || host.is_empty() {
        return Err(wrong(
            "setting `base` is a host and a path, and nothing else",
        ));
    }
    Ok(url)
}

/// A body, which is JSON in a text.
fn json(key: &str, body: Value) -> Result<Value> {
    match body {
        // What it holds is not repeated: it may be a secret in the wrong place.
        Value::String(text) => serde_json::from_str(&text).map_err(|_| {
            wrong(format!("setting `{key}.body` is no JSON"))
                .with_hint("places such as `{secret}` stand inside its strings: `{\"password\": \"{secret}\"}`")
        }),
        value => Ok(value),
    }
}

fn texts(map: serde_json::Map<String, Value>, named: &str) -> Result<Vec<(String, String)>> {
    let entries = map.into_iter().map(|(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        _ => Err(wrong(format!("an entry of `{named}` is no text"))),
    });
    entries.collect()
}

fn pointer(key: &str, name: &str, pointer: Option<String>) -> Result<Option<String>> {
    match pointer {
        Some(text) if !text.is_empty() && !text.starts_with('/') => {
            let message = format!("setting `{key}.{name}` is no JSON pointer");
            Err(wrong(message).with_hint("such as `/data/id`; see RFC 6901"))
        }
        pointer => Ok(pointer),
    }
}

#[cfg(test)]
mod tests {
    use credchain_core::{Kind, Project};
    use serde_json::json;

    use super::*;

    fn config(change: Value) -> Result<Config> {
        let mut table = json!({
            "base": "https://api.example.com/v1",
            "verify": {"path": "/me", "headers": {"authorization": "Bearer {secret}"}},
            "apply": {"path": "/users/{id}", "body": "{\"password\": \"{secret}\"}"},
        });
        if let (Value::Object(table), Value::Object(change)) = (&mut table, change) {
            for (key, value) in change {
                table.insert(key, value);
            }
        }
        let setup = Setup::new(Project::new("p", "/"));
        Config::new(&Settings::from_json(table), &setup)
    }

    #[test]
    fn what_could_not_work_or_would_show_a_secret_is_misconfigured() {
        assert!(config(json!({})).is_ok());
        let verify = |request: Value| json!({ "verify": request });
        for change in [
            json!({"base": "http://api.example.com"}),
            json!({"base": "ftp://api.example.com"}),
            json!({"base": "https://user:pw@api.example.com"}),
            json!({"base": "https://api.example.com?x=1"}),
            json!({"base": "nothing"}),
            verify(json!({})),
            verify(json!({"path": "me"})),
            verify(json!({"path": "/../me"})),
            verify(json!({"path": "/me#x"})),
            verify(json!({"path": "/m e"})),
            verify(json!({"path": "/me?key={secret}"})),
            verify(json!({"path": "/me/{admin}"})),
            verify(json!({"path": "/me", "surprise": 1})),
            verify(json!({"path": "/me", "method": "G E T"})),
            verify(json!({"path": "/me", "headers": {"a b": "c"}})),
            verify(json!({"path": "/me", "headers": {"a": "c\r\nd: e"}})),
            verify(json!({"path": "/me", "headers": {"a": "{admin}"}})),
            verify(json!({"path": "/me", "headers": {"a": "{tag}"}})),
            verify(json!({"path": "/me", "body": "{"})),
            verify(json!({"path": "/me", "body": "{}", "form": {}})),
            verify(json!({"path": "/me", "accept": [401]})),
            verify(json!({"path": "/me", "id": "id"})),
            json!({"revoke": {"path": "/x", "headers": {"a": "{secret}"}}}),
        ] {
            let kind = config(change.clone()).err().map(|error| error.kind());
            assert_eq!(kind, Some(Kind::Misconfigured), "{change}");
        }
        for change in [
            json!({"base": "http://127.0.0.1:1"}),
            json!({"base": "http://[::1]:1/"}),
            json!({"base": "http://api.internal", "allow_http": true}),
            json!({"revoke": {"path": "/x/{id}?force=true"}}),
            json!({"admin": {"credential": "root"}, "revoke": {"path": "/x", "headers": {"a": "{admin}"}}}),
        ] {
            assert!(config(change.clone()).is_ok(), "{change}");
        }
    }
}
