//! A fake of Secret Manager: it keeps secrets in memory and answers in the shapes that Google
//! documents. That a client works with it shows nothing about Google's own service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use credchain_tests::faults::{FakeHttp, Reply, Request};
use credchain_tests::servers::fresh_secret;
use serde_json::{Value, json};

pub(crate) const PROJECT: &str = "acme-test";

/// What Google calls the project in its answers.
const NUMBER: &str = "123456789";

/// A server that answers like Secret Manager.
#[derive(Debug)]
pub(crate) struct FakeSecretManager {
    server: FakeHttp,
    state: Arc<Mutex<State>>,
    pub(crate) token: String,
}

/// What it knows.
#[derive(Debug)]
pub(crate) struct State {
    /// By project and name.
    pub(crate) secrets: BTreeMap<(String, String), Stored>,
    /// The tokens that are accepted.
    pub(crate) tokens: BTreeSet<String>,
    /// The most entries that a page has.
    pub(crate) page: usize,
    /// Whether values come with a checksum of something else.
    pub(crate) corrupt: bool,
    /// Actions that are not allowed, as in `versions.get`.
    pub(crate) denied: BTreeSet<&'static str>,
}

#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) versions: Vec<StoredVersion>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) etag: u64,
}

#[derive(Debug)]
pub(crate) struct StoredVersion {
    data: Vec<u8>,
    pub(crate) state: &'static str,
    /// Whether the key of its encryption may be used.
    pub(crate) decrypts: bool,
}

impl FakeSecretManager {
    pub(crate) fn start() -> Self {
        let token = fresh_secret("token");
        let state = Arc::new(Mutex::new(State {
            secrets: BTreeMap::new(),
            tokens: BTreeSet::from([token.clone()]),
            page: 1000,
            corrupt: false,
            denied: BTreeSet::new(),
        }));
        let known = Arc::clone(&state);
        let server = FakeHttp::start(move |request| {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.answer(request).unwrap_or_else(|refused| refused)
        });
        Self {
            server,
            state,
            token,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it knows, for whoever gives out tokens.
    pub(crate) fn shared(&self) -> Arc<Mutex<State>> {
        Arc::clone(&self.state)
    }

    /// What was asked, as in `GET /v1/projects/…`.
    pub(crate) fn asked(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests
            .iter()
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }

    /// How often a value was read.
    pub(crate) fn reads(&self) -> usize {
        let asked = self.asked();
        asked.iter().filter(|one| one.ends_with(":access")).count()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Changes a stored secret of the project.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Stored)) {
        let mut state = self.state();
        let key = (PROJECT.to_owned(), name.to_owned());
        change(state.secrets.get_mut(&key).expect("a stored secret"));
    }
}

/// An error as Google words it; its text is one that must never be shown.
pub(crate) fn refusal(code: u16, status: &str) -> Reply {
    let error = json!({"code": code, "message": "canary in the message", "status": status});
    Reply::json(code, &json!({"error": error}))
}

type Answered = Result<Reply, Reply>;

impl State {
    fn answer(&mut self, request: &Request) -> Answered {
        let bearer = request.header("authorization").unwrap_or_default();
        let token = bearer.strip_prefix("Bearer ").unwrap_or_default();
        if !self.tokens.contains(token) {
            return Err(refusal(401, "UNAUTHENTICATED"));
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let query: BTreeMap<&str, &str> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        let path = path
            .strip_prefix("/v1/")
            .ok_or_else(|| refusal(404, "NOT_FOUND"))?;
        let (path, verb) = match path.rsplit_once('/') {
            Some((_, last)) => match last.split_once(':') {
                Some((_, verb)) => (&path[..path.len() - verb.len() - 1], verb),
                None => (path, ""),
            },
            None => (path, ""),
        };
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let parts: Vec<_> = path.split('/').collect();
        match (request.method.as_str(), &parts[..], verb) {
            ("GET", ["projects", project, "secrets"], "") => self.list(project, &query),
            ("POST", ["projects", project, "secrets"], "") => self.create(project, &query, &body),
            (method, ["projects", project, "secrets", name], verb) => {
                self.secret(project, name, (method, verb), &body)
            }
            ("GET", ["projects", project, "secrets", name, "versions"], "") => {
                self.allowed("versions.list")?;
                let page = self.page;
                let stored = self.stored(project, name)?;
                let newest_first = (1..=stored.versions.len()).rev();
                let entries = newest_first.map(|number| stored.entry(name, number));
                Ok(paged(
                    "versions",
                    &entries.collect::<Vec<_>>(),
                    page,
                    &query,
                ))
            }
            (method, ["projects", project, "secrets", name, "versions", version], verb) => {
                self.version((project, name, version), (method, verb))
            }
            _ => Err(refusal(501, "UNIMPLEMENTED")),
        }
    }

    fn allowed(&self, action: &str) -> Result<(), Reply> {
        if self.denied.contains(action) {
            return Err(refusal(403, "PERMISSION_DENIED"));
        }
        Ok(())
    }

    fn stored(&mut self, project: &str, name: &str) -> Result<&mut Stored, Reply> {
        let key = (project.to_owned(), name.to_owned());
        self.secrets
            .get_mut(&key)
            .ok_or_else(|| refusal(404, "NOT_FOUND"))
    }

    fn list(&self, project: &str, query: &BTreeMap<&str, &str>) -> Answered {
        self.allowed("secrets.list")?;
        let names = self.secrets.keys().filter(|(of, _)| of == project);
        let entries = names.map(|(_, name)| {
            json!({"name": format!("projects/{NUMBER}/secrets/{name}"),
                "replication": {"automatic": {}}, "createTime": "2026-01-02T03:04:05.678901Z"})
        });
        Ok(paged(
            "secrets",
            &entries.collect::<Vec<_>>(),
            self.page,
            query,
        ))
    }

    fn create(&mut self, project: &str, query: &BTreeMap<&str, &str>, body: &Value) -> Answered {
        self.allowed("secrets.create")?;
        let name = query.get("secretId").copied().unwrap_or_default();
        if name.is_empty() || !body["replication"]["automatic"].is_object() {
            return Err(refusal(400, "INVALID_ARGUMENT"));
        }
        let key = (project.to_owned(), name.to_owned());
        if self.secrets.contains_key(&key) {
            return Err(refusal(409, "ALREADY_EXISTS"));
        }
        self.secrets.insert(key, Stored::default());
        Ok(Reply::json(
            200,
            &json!({"name": format!("projects/{NUMBER}/secrets/{name}")}),
        ))
    }

    fn secret(
        &mut self,
        project: &str,
        name: &str,
        (method, verb): (&str, &str),
        body: &Value,
    ) -> Answered {
        match (method, verb) {
            ("GET", "") => {
                self.allowed("secrets.get")?;
                let stored = self.stored(project, name)?;
                Ok(Reply::json(200, &stored.about(name)))
            }
            ("DELETE", "") => {
                self.stored(project, name)?;
                self.secrets.remove(&(project.to_owned(), name.to_owned()));
                Ok(Reply::json(200, &json!({})))
            }
            ("PATCH", "") => {
                let stored = self.stored(project, name)?;
                if body["etag"] != json!(format!("\"{}\"", stored.etag)) {
                    return Err(refusal(409, "ABORTED"));
                }
                let aliases = serde_json::from_value(body["versionAliases"].clone());
                stored.aliases = aliases.map_err(|_| refusal(400, "INVALID_ARGUMENT"))?;
                stored.etag += 1;
                Ok(Reply::json(200, &stored.about(name)))
            }
            ("POST", "addVersion") => {
                self.allowed("versions.add")?;
                let stored = self.stored(project, name)?;
                stored.versions.push(sent(&body["payload"])?);
                Ok(Reply::json(200, &stored.entry(name, stored.versions.len())))
            }
            _ => Err(refusal(501, "UNIMPLEMENTED")),
        }
    }

    fn version(
        &mut self,
        (project, name, version): (&str, &str, &str),
        (method, verb): (&str, &str),
    ) -> Answered {
        let corrupt = self.corrupt;
        if (method, verb) == ("GET", "") {
            self.allowed("versions.get")?;
        }
        let stored = self.stored(project, name)?;
        let number = stored.number(version)?;
        let held = &mut stored.versions[number - 1];
        match (method, verb) {
            ("GET", "access") => {
                if held.state != "ENABLED" || !held.decrypts {
                    return Err(refusal(400, "FAILED_PRECONDITION"));
                }
                let sum = crc32c(&held.data) ^ u32::from(corrupt);
                let payload =
                    json!({"data": BASE64.encode(&held.data), "dataCrc32c": sum.to_string()});
                let name = format!("projects/{NUMBER}/secrets/{name}/versions/{number}");
                return Ok(Reply::json(200, &json!({"name": name, "payload": payload})));
            }
            ("GET", "") => {}
            ("POST", _) if held.state == "DESTROYED" => {
                return Err(refusal(400, "FAILED_PRECONDITION"));
            }
            ("POST", "disable") => held.state = "DISABLED",
            ("POST", "enable") => held.state = "ENABLED",
            ("POST", "destroy") => {
                held.state = "DESTROYED";
                held.data.clear();
            }
            _ => return Err(refusal(501, "UNIMPLEMENTED")),
        }
        Ok(Reply::json(200, &stored.entry(name, number)))
    }
}

impl Stored {
    fn number(&self, version: &str) -> Result<usize, Reply> {
        let missing = || refusal(404, "NOT_FOUND");
        let number = match version {
            "latest" => self.versions.len(),
            other => {
                let other = self.aliases.get(other).map_or(other, String::as_str);
                other.parse().map_err(|_| missing())?
            }
        };
        if number == 0 || number > self.versions.len() {
            return Err(missing());
        }
        Ok(number)
    }

    fn entry(&self, name: &str, number: usize) -> Value {
        json!({
            "name": format!("projects/{NUMBER}/secrets/{name}/versions/{number}"),
            "createTime": format!("2026-01-02T03:04:{:02}.678901Z", number % 60),
            "state": self.versions[number - 1].state,
            "replicationStatus": {"automatic": {}},
            "etag": "\"1\"",
        })
    }

    fn about(&self, name: &str) -> Value {
        json!({
            "name": format!("projects/{NUMBER}/secrets/{name}"),
            "replication": {"automatic": {}},
            "createTime": "2026-01-02T03:04:05.678901Z",
            "labels": {"team": "billing"},
            "etag": format!("\"{}\"", self.etag),
            "versionAliases": self.aliases,
        })
    }
}

fn sent(payload: &Value) -> Result<StoredVersion, Reply> {
    let invalid = || refusal(400, "INVALID_ARGUMENT");
    let data = payload["data"].as_str().ok_or_else(invalid)?;
    let data = BASE64.decode(data).map_err(|_| invalid())?;
    let fits = (1..=65_536).contains(&data.len());
    if !fits || payload["dataCrc32c"] != json!(crc32c(&data).to_string()) {
        return Err(invalid());
    }
    Ok(StoredVersion {
        data,
        state: "ENABLED",
        decrypts: true,
    })
}

fn paged(key: &str, entries: &[Value], most: usize, query: &BTreeMap<&str, &str>) -> Reply {
    let number = |key| query.get(key).and_then(|text: &&str| text.parse().ok());
    let start: usize = number("pageToken").unwrap_or(0);
    let size = most.min(number("pageSize").unwrap_or(most));
    let end = entries.len().min(start + size);
    let mut page = json!({"totalSize": entries.len()});
    // An empty list is left out, as Google does it.
    if start < end {
        page[key] = json!(entries[start..end]);
    }
    if end < entries.len() {
        page["nextPageToken"] = json!(end.to_string());
    }
    Reply::json(200, &page)
}

/// Bit by bit, unlike the provider's own.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
        }
    }
    !crc
}
