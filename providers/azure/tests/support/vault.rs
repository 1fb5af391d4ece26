//! A fake of one Key Vault.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use credchain_core::Context;
use credchain_provider_azure::Azure;
use credchain_tests::faults::{FakeHttp, Reply, Request};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::entra::{FakeEntra, TENANT};

/// How many entries a page has, as documented.
const PAGE: usize = 25;

/// Holds secrets for as long as the test runs. It is not Key Vault.
#[derive(Debug)]
pub(crate) struct FakeKeyVault {
    pub(crate) entra: FakeEntra,
    http: FakeHttp,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By name in small letters.
    secrets: BTreeMap<String, Entry>,
    deleted: BTreeMap<String, Entry>,
    /// Deletions that are not complete yet, and how often one may ask until they are.
    deleting: BTreeMap<String, usize>,
    writes: u64,
    /// Whether time stands still: Key Vault counts whole seconds.
    still: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    /// The newest last.
    versions: Vec<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    id: String,
    value: String,
    tags: Value,
    attributes: Value,
}

impl FakeKeyVault {
    pub(crate) fn start() -> Self {
        let entra = FakeEntra::start();
        let state = Arc::new(Mutex::new(State::default()));
        let (inside, is_known) = (state.clone(), entra.judge());
        let http = FakeHttp::start(move |request| {
            if is_known(request) {
                lock(&inside).answer(request)
            } else {
                challenge("https://vault.azure.net")
            }
        });
        Self { entra, http, state }
    }

    pub(crate) fn url(&self) -> String {
        self.http.url()
    }

    /// A provider that asks this vault.
    pub(crate) fn azure(&self, table: Value) -> Azure {
        super::azure(&self.url(), &self.entra, table)
    }

    /// The world with a login for this vault in it.
    pub(crate) fn cx(&self) -> Context {
        super::cx(&self.entra)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.http.requests()
    }

    /// The requests so far: method and path, without the version of the interface.
    pub(crate) fn asked(&self) -> Vec<String> {
        let told = |request: &Request| {
            let path = request.path.split('?').next().unwrap_or_default();
            format!("{} {path}", request.method)
        };
        self.requests().iter().map(told).collect()
    }

    /// Stores a value behind the provider's back, with attributes of its own.
    pub(crate) fn plant(&self, name: &str, value: &str, attributes: Value) {
        let mut state = lock(&self.state);
        state.put(name, value, json!({}), attributes);
    }

    /// All that is written from now on is written in the same second.
    pub(crate) fn stop_time(&self) {
        lock(&self.state).still = true;
    }

    /// Deletions take so many questions to complete.
    pub(crate) fn delete_slowly(&self, name: &str, questions: usize) {
        lock(&self.state).deleting.insert(name.into(), questions);
    }
}

/// What Key Vault says to a request without a token that it knows.
pub(crate) fn challenge(resource: &str) -> Reply {
    let challenge = format!(
        r#"Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="{resource}""#
    );
    refusal(401, "Unauthorized", None).header("WWW-Authenticate", &challenge)
}

/// A refusal in Key Vault's own form.
pub(crate) fn refusal(status: u16, code: &str, inner: Option<&str>) -> Reply {
    let mut error = json!({"code": code, "message": "canary in the message"});
    if let Some(inner) = inner {
        error["innererror"] = json!({"code": inner});
    }
    Reply::json(status, &json!({ "error": error }))
}

fn missing() -> Reply {
    refusal(404, "SecretNotFound", None)
}

fn refused(reason: &str) -> Reply {
    let _ = reason;
    refusal(400, "BadParameter", None)
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if !query
            .split('&')
            .any(|pair| pair == "api-version=2025-07-01")
        {
            return refused("the version of the interface is missing");
        }
        let host = request.header("host").unwrap_or_default();
        let base = format!("http://{host}");
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let body = || serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
        match (request.method.as_str(), &parts[..]) {
            ("GET", ["secrets"]) => {
                let items: Vec<_> = self
                    .secrets
                    .values()
                    .map(|entry| entry.item(&base))
                    .collect();
                page(&items, path, query, &base)
            }
            ("GET", ["secrets", name, "versions"]) => {
                let entry = self.secrets.get(&name.to_lowercase());
                let items = entry.map(|entry| entry.history(&base)).unwrap_or_default();
                page(&items, path, query, &base)
            }
            ("GET", ["secrets", name]) => self.read(name, None, &base),
            ("GET", ["secrets", name, version]) => self.read(name, Some(version), &base),
            ("PUT", ["secrets", name]) => self.write(name, &body(), &base),
            ("PATCH", ["secrets", name, version]) => self.change(name, version, &body(), &base),
            ("DELETE", ["secrets", name]) => self.delete(name, &base),
            ("DELETE", ["deletedsecrets", name]) => self.purge(name),
            _ => refusal(405, "MethodNotAllowed", None),
        }
    }

    fn read(&self, name: &str, version: Option<&str>, base: &str) -> Reply {
        let Some(entry) = self.secrets.get(&name.to_lowercase()) else {
            return missing();
        };
        let held = match version {
            None => entry.versions.last(),
            Some(version) => entry.versions.iter().find(|held| held.id == version),
        };
        match held {
            None => missing(),
            Some(held) if held.attributes["enabled"] == false => {
                refusal(403, "Forbidden", Some("SecretDisabled"))
            }
            Some(held) => Reply::json(200, &entry.bundle(held, base)),
        }
    }

    fn write(&mut self, name: &str, body: &Value, base: &str) -> Reply {
        let Some(value) = body["value"].as_str() else {
            return refused("there is no value");
        };
        let named = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if value.len() > 25 * 1024 || name.len() > 127 || !named {
            return refused("the value or the name is none");
        }
        if self.deleted.contains_key(&name.to_lowercase()) {
            return refusal(409, "Conflict", Some("ObjectIsDeletedButRecoverable"));
        }
        self.put(name, value, body["tags"].clone(), json!({}));
        let entry = &self.secrets[&name.to_lowercase()];
        let held = entry.versions.last().expect("it was written");
        Reply::json(200, &entry.bundle(held, base))
    }

    fn put(&mut self, name: &str, value: &str, tags: Value, mut attributes: Value) {
        self.writes += 1;
        // A second for each write, unless a test wants to see several in one.
        let second = if self.still { 0 } else { self.writes };
        let mut default = |key: &str, value: Value| {
            let attributes = attributes.as_object_mut().expect("a table");
            attributes.entry(key).or_insert(value);
        };
        default("enabled", json!(true));
        default("created", json!(1_700_000_000 + second));
        default("updated", json!(1_700_000_000 + second));
        default("recoveryLevel", json!("Recoverable+Purgeable"));
        let held = Held {
            id: format!("{:032x}", u128::from(self.writes) * 0x9e37_79b9_7f4a_7c15),
            value: value.to_owned(),
            tags,
            attributes,
        };
        let entry = self.secrets.entry(name.to_lowercase());
        let entry = entry.or_insert_with(|| Entry {
            name: name.to_owned(),
            versions: Vec::new(),
        });
        entry.versions.push(held);
    }

    fn change(&mut self, name: &str, version: &str, body: &Value, base: &str) -> Reply {
        let Some(entry) = self.secrets.get_mut(&name.to_lowercase()) else {
            return missing();
        };
        let mut versions = entry.versions.iter_mut();
        let Some(held) = versions.find(|held| held.id == version) else {
            return missing();
        };
        if let Some(enabled) = body["attributes"]["enabled"].as_bool() {
            held.attributes["enabled"] = json!(enabled);
        }
        let held = held.clone();
        Reply::json(200, &entry.item_of(&held, base))
    }

    fn delete(&mut self, name: &str, base: &str) -> Reply {
        let name = name.to_lowercase();
        let Some(entry) = self.secrets.remove(&name) else {
            return missing();
        };
        let mut told = entry.item(base);
        told["recoveryId"] = json!(format!("{base}/deletedsecrets/{}", entry.name));
        told["deletedDate"] = json!(1_700_000_000);
        self.deleted.insert(name, entry);
        Reply::json(200, &told)
    }

    fn purge(&mut self, name: &str) -> Reply {
        let name = name.to_lowercase();
        if let Some(left) = self.deleting.get_mut(&name).filter(|left| **left > 0) {
            *left -= 1;
            return refusal(409, "Conflict", Some("ObjectIsBeingDeleted"));
        }
        match self.deleted.remove(&name) {
            Some(_) => Reply::Answer(204, Vec::new(), Vec::new()),
            None => missing(),
        }
    }
}

impl Entry {
    fn item(&self, base: &str) -> Value {
        let attributes = self.versions.last().map(|held| held.attributes.clone());
        json!({"id": format!("{base}/secrets/{}", self.name), "attributes": attributes})
    }

    fn item_of(&self, held: &Held, base: &str) -> Value {
        let id = format!("{base}/secrets/{}/{}", self.name, held.id);
        json!({"id": id, "attributes": held.attributes, "tags": held.tags})
    }

    /// In an order that is documented nowhere.
    fn history(&self, base: &str) -> Vec<Value> {
        self.versions
            .iter()
            .map(|held| self.item_of(held, base))
            .collect()
    }

    fn bundle(&self, held: &Held, base: &str) -> Value {
        let mut bundle = self.item_of(held, base);
        bundle["value"] = json!(held.value);
        bundle
    }
}

fn page(items: &[Value], path: &str, query: &str, base: &str) -> Reply {
    let decoded = percent_decode_str(query).decode_utf8_lossy().into_owned();
    let token = decoded
        .split('&')
        .find_map(|pair| pair.strip_prefix("$skiptoken="));
    let start: usize = token.and_then(|token| token.parse().ok()).unwrap_or(0);
    let end = items.len().min(start + PAGE);
    let next = (end < items.len())
        .then(|| format!("{base}{path}?api-version=2025-07-01&$skiptoken={end}&maxresults={PAGE}"));
    Reply::json(200, &json!({"value": items[start..end], "nextLink": next}))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
