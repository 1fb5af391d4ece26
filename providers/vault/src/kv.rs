//! The KV engine in both versions, and any other path that can be read.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use credchain_core::{Context, Error, Kind, Lease, Reference, Result, Version, VersionState};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::beside::FOLDER;
use crate::client::{Call, Envelope, Reply};
use crate::document::Document;
use crate::error::{Ask, garbled};
use crate::login::Server;

/// How many documents a listing visits.
const MAX_LISTED: usize = 10_000;

/// Reads and writes documents.
pub(crate) struct Kv {
    pub(crate) server: Arc<Server>,
    /// The version of the engine at the mount, once it is known.
    version: OnceLock<u8>,
}

/// Where a reference leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A document of the configured mount.
    Kv(String),
    /// Any path of the server.
    Any(String),
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    version: u64,
    created_time: String,
    deletion_time: String,
    destroyed: bool,
    #[serde(rename = "custom_metadata")]
    custom: Option<BTreeMap<String, String>>,
}

impl Versioned<'_> {
    /// Whether it is what KV v2 answers, and no document with fields of the same names.
    fn is_one(&self) -> bool {
        self.data.is_some() && self.metadata.version > 0 && !self.metadata.created_time.is_empty()
    }
}

impl Place {
    pub(crate) fn of(reference: &Reference) -> Self {
        match reference.path().strip_prefix('/') {
            Some(absolute) => Self::Any(absolute.to_owned()),
            None => Self::Kv(reference.path().to_owned()),
        }
    }
}

impl Kv {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            version: OnceLock::new(),
        }
    }

    fn mount(&self) -> &str {
        &self.server.client.settings.mount
    }

    /// Which version the engine at the mount has: by the settings, else the server's word, which
    /// is asked for once.
    pub(crate) async fn version(&self, cx: &Context) -> Result<u8> {
        let known = || {
            let set = self.server.client.settings.kv_version;
            set.or_else(|| self.version.get().copied())
        };
        if let Some(version) = known() {
            return Ok(version);
        }
        // Who comes first asks for all, which also leaves a connection that all can share.
        let _turn = self.server.client.turn(cx).await?;
        if let Some(version) = known() {
            return Ok(version);
        }
        let mount = self.mount();
        let path = format!("sys/internal/ui/mounts/{mount}");
        let reply = self.server.send(Call::get(&path), cx).await?;
        if reply.status == 403 || reply.status == 404 {
            let message = format!("there is no mount `{mount}`, or the token may not see it");
            return Err(Error::new(Kind::Denied, message).with_hint(
                "`vault secrets list` shows the mounts; `mount` names another, and `kv_version` \
                 saves the look",
            ));
        }
        let version = detected(&reply.accepted(Ask::Read)?)?;
        Ok(*self.version.get_or_init(|| version))
    }

    /// The document at a place.
    pub(crate) async fn read(
        &self,
        place: &Place,
        version: Option<&Version>,
        cx: &Context,
    ) -> Result<Document> {
        match place {
            Place::Any(_) if version.is_some() => Err(Error::unsupported("a version there")),
            Place::Any(path) => self.read_any(path, cx).await,
            Place::Kv(path) => match self.version(cx).await? {
                1 if version.is_some() => Err(Error::unsupported("a version of a KV v1 secret")),
                1 => self.read_v1(path, cx).await,
                _ => self.read_v2(path, version, cx).await,
            },
        }
    }

    async fn read_v1(&self, path: &str, cx: &Context) -> Result<Document> {
        let full = format!("{}/{path}", self.mount());
        let reply = self.server.send(Call::get(&full), cx).await?;
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| explain(error, &full))?;
        Document::parse(envelope.data.ok_or_else(Error::not_found)?)
    }

    async fn read_any(&self, path: &str, cx: &Context) -> Result<Document> {
        let reply = self.server.send(Call::get(path), cx).await?;
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| explain(error, path))?;
        let data = envelope.data.ok_or_else(Error::not_found)?;
        let mut document = match serde_json::from_str::<Versioned<'_>>(data.get()) {
            // The path of a KV v2 document, written out.
            Ok(versioned) if versioned.is_one() => of_version(versioned)?,
            _ => Document::parse(data)?,
        };
        if !envelope.lease_id.is_empty() {
            let life = Duration::from_secs(envelope.lease_duration);
            document.lease = Some(Lease::new(envelope.lease_id, life, envelope.renewable));
        }
        Ok(document)
    }

    async fn read_v2(
        &self,
        path: &str,
        version: Option<&Version>,
        cx: &Context,
    ) -> Result<Document> {
        let mut number = String::new();
        if let Some(version) = version {
            number = self.numbered(path, version, cx).await?.to_string();
        }
        let full = format!("{}/data/{path}", self.mount());
        let mut call = Call::get(&full);
        if !number.is_empty() {
            call = call.query("version", &number);
        }
        let reply = self.server.send(call, cx).await?;
        if reply.is_missing() {
            return Err(self.missing(&reply, path));
        }
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| explain(error, &full))?;
        of_version(versioned(&envelope)?)
    }

    /// The number of a version that is named by it, or as the one before the current one.
    async fn numbered(&self, path: &str, version: &Version, cx: &Context) -> Result<u64> {
        if let Ok(number) = version.as_str().parse() {
            return Ok(number);
        }
        if version.as_str() != "previous" {
            return Err(Error::new(
                Kind::NotFound,
                "versions are numbers, or `previous`",
            ));
        }
        let current = self.current(path, cx).await?;
        if current < 2 {
            return Err(Error::new(Kind::NotFound, "there is no earlier version"));
        }
        Ok(current - 1)
    }

    /// The number of the newest version, deleted or not; zero if there never was one.
    async fn current(&self, path: &str, cx: &Context) -> Result<u64> {
        let full = format!("{}/data/{path}", self.mount());
        let reply = self.server.send(Call::get(&full), cx).await?;
        if reply.is_missing() {
            return Ok(newest(&reply));
        }
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| explain(error, &full))?;
        Ok(versioned(&envelope)?.metadata.version)
    }

    /// A miss, and what may be done if it was a deletion.
    fn missing(&self, reply: &Reply, path: &str) -> Error {
        let found = reply.envelope().ok();
        let metadata = found
            .as_ref()
            .and_then(|e| Some(versioned(e).ok()?.metadata));
        let mount = self.mount();
        match metadata {
            Some(gone) if gone.destroyed => Error::new(
                Kind::NotFound,
                format!("version {} was destroyed", gone.version),
            ),
            Some(gone) if !gone.deletion_time.is_empty() => {
                let number = gone.version;
                Error::new(Kind::NotFound, format!("version {number} was deleted")).with_hint(
                    format!("`vault kv undelete -mount={mount} -versions={number} {path}` brings it back"),
                )
            }
            _ => Error::not_found(),
        }
    }

    /// Writes all fields of a document, if `before` is still its newest version.
    ///
    /// Nothing for `before` means without a look, which is all that KV v1 can do. Tells the new
    /// version; `Conflict` if somebody else was faster.
    pub(crate) async fn write(
        &self,
        path: &str,
        fields: &str,
        before: Option<u64>,
        cx: &Context,
    ) -> Result<Version> {
        let Some(before) = before else {
            let full = format!("{}/{path}", self.mount());
            let call = Call::new("POST", &full).body(fields);
            let reply = self.server.send(call, cx).await?;
            reply
                .accepted(Ask::Write)
                .map_err(|error| explain(error, &full))?;
            return Version::new("current");
        };
        let full = format!("{}/data/{path}", self.mount());
        let body = Zeroizing::new(format!(
            "{{\"options\":{{\"cas\":{before}}},\"data\":{fields}}}"
        ));
        let call = Call::new("POST", &full).body(&body);
        let reply = self.server.send(call, cx).await?;
        // The same status stands for a lost race and for a value that is not taken.
        if reply.status == 400 && self.current(path, cx).await? != before {
            return Err(Error::new(Kind::Conflict, "somebody else wrote first"));
        }
        let envelope = reply
            .accepted(Ask::Write)
            .map_err(|error| explain(error, &full))?;
        let data = envelope.data.map_or("{}", |data| data.get());
        let written: Metadata = serde_json::from_str(data).map_err(|_| unexpected())?;
        Ok(Version::number(written.version))
    }

    /// The document to change: an empty one if there is none, and its newest version's number. Both
    /// are of one answer, so that nothing can come between.
    pub(crate) async fn to_change(
        &self,
        path: &str,
        cx: &Context,
    ) -> Result<(Document, Option<u64>)> {
        if self.version(cx).await? == 1 {
            let read = self.read(&Place::Kv(path.to_owned()), None, cx).await;
            return match read {
                Err(error) if error.kind() == Kind::NotFound => Ok((Document::default(), None)),
                read => read.map(|document| (document, None)),
            };
        }
        let full = format!("{}/data/{path}", self.mount());
        let reply = self.server.send(Call::get(&full), cx).await?;
        if reply.is_missing() {
            return Ok((Document::default(), Some(newest(&reply))));
        }
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| explain(error, &full))?;
        let versioned = versioned(&envelope)?;
        let number = versioned.metadata.version;
        Ok((of_version(versioned)?, Some(number)))
    }

    /// Removes a document; in KV v2 the version that was looked at, which can be brought back.
    ///
    /// `Conflict` if somebody wrote another one meanwhile: theirs stays.
    pub(crate) async fn delete(&self, path: &str, seen: Option<u64>, cx: &Context) -> Result<()> {
        let Some(seen) = seen else {
            let full = format!("{}/{path}", self.mount());
            return self.change("DELETE", &full, None, cx).await;
        };
        let full = format!("{}/delete/{path}", self.mount());
        let body = format!("{{\"versions\":[{seen}]}}");
        self.change("POST", &full, Some(&body), cx).await?;
        if self.current(path, cx).await? == seen {
            Ok(())
        } else {
            Err(Error::new(Kind::Conflict, "somebody else wrote first"))
        }
    }

    /// A change whose answer tells nothing but success.
    async fn change(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&str>,
        cx: &Context,
    ) -> Result<()> {
        let mut call = Call::new(method, path);
        call.body = body;
        let reply = self.server.send(call, cx).await?;
        reply
            .accepted(Ask::Write)
            .map(drop)
            .map_err(|error| explain(error, path))
    }

    /// Adds to what is stored beside a document in clear.
    pub(crate) async fn annotate(
        &self,
        path: &str,
        metadata: &BTreeMap<String, String>,
        cx: &Context,
    ) -> Result<()> {
        let full = format!("{}/metadata/{path}", self.mount());
        // What is sent replaces what is there.
        let mut all = self.read_v2(path, None, cx).await?.metadata;
        all.extend(metadata.clone());
        let body = serde_json::json!({ "custom_metadata": all }).to_string();
        self.change("POST", &full, Some(&body), cx).await
    }

    /// The documents at and below a folder.
    pub(crate) async fn documents(&self, folder: &str, cx: &Context) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<String>,
        }
        let v2 = self.version(cx).await? == 2;
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            let below = [self.mount(), if v2 { "metadata" } else { "" }, &folder];
            let below: Vec<&str> = below.into_iter().filter(|part| !part.is_empty()).collect();
            let path = below.join("/");
            let reply = self
                .server
                .send(Call::get(&path).query("list", "true"), cx)
                .await?;
            if reply.is_missing() {
                continue;
            }
            let envelope = reply
                .accepted(Ask::Read)
                .map_err(|error| explain(error, &path))?;
            let data = envelope.data.map_or("{\"keys\":[]}", |data| data.get());
            let keys: Keys = serde_json::from_str(data).map_err(|_| unexpected())?;
            for key in keys.keys {
                // What belongs to rotation is listed for whoever names its folder.
                if key.trim_end_matches('/') == FOLDER {
                    continue;
                }
                let below = |name: &str| match folder.as_str() {
                    "" => name.to_owned(),
                    folder => format!("{folder}/{name}"),
                };
                match key.strip_suffix('/') {
                    Some(name) => open.push(below(name)),
                    None => found.push(below(&key)),
                }
            }
            if found.len() + open.len() > MAX_LISTED {
                let message = format!("there are more than {MAX_LISTED} documents");
                return Err(Error::new(Kind::Invalid, message).with_hint("name a folder"));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// All versions of a document, newest first.
    pub(crate) async fn history(&self, path: &str, cx: &Context) -> Result<Vec<VersionState>> {
        #[derive(Deserialize)]
        struct History {
            #[serde(default)]
            versions: BTreeMap<u64, Metadata>,
        }
        let full = format!("{}/metadata/{path}", self.mount());
        let reply = self.server.send(Call::get(&full), cx).await?;
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| explain(error, &full))?;
        let data = envelope.data.ok_or_else(Error::not_found)?;
        let history: History = serde_json::from_str(data.get()).map_err(|_| unexpected())?;
        let state = |(number, metadata): (u64, Metadata)| {
            let mut state = VersionState::new(Version::number(number));
            state.created = humantime::parse_rfc3339(&metadata.created_time).ok();
            state.enabled = !metadata.destroyed && metadata.deletion_time.is_empty();
            state
        };
        let states = history.versions.into_iter().rev().map(state);
        let mut states: Vec<VersionState> = states.collect();
        if let Some(newest) = states.first_mut() {
            newest.labels.push("current".into());
        }
        Ok(states)
    }

    /// Deletes or destroys one version, if there is one.
    pub(crate) async fn take_away(
        &self,
        path: &str,
        version: &Version,
        how: &str,
        cx: &Context,
    ) -> Result<()> {
        let history = self.history(path, cx).await?;
        if !history.iter().any(|state| state.version == *version) {
            return Err(Error::new(Kind::NotFound, "there is no such version"));
        }
        let full = format!("{}/{how}/{path}", self.mount());
        let body = format!("{{\"versions\":[{version}]}}");
        self.change("POST", &full, Some(&body), cx).await
    }
}

/// What to ask for, where policy refuses.
fn explain(error: Error, path: &str) -> Error {
    if error.kind() == Kind::Denied {
        error.with_hint(format!(
            "`vault token capabilities {path}` shows what the token may do"
        ))
    } else {
        error
    }
}

fn detected(envelope: &Envelope<'_>) -> Result<u8> {
    #[derive(Deserialize)]
    struct Mount {
        #[serde(rename = "type", default)]
        engine: String,
        #[serde(default)]
        options: Option<BTreeMap<String, String>>,
    }
    let data = envelope.data.ok_or_else(unexpected)?;
    let mount: Mount = serde_json::from_str(data.get()).map_err(|_| unexpected())?;
    if !matches!(mount.engine.as_str(), "kv" | "generic") {
        return Err(Error::new(Kind::Misconfigured, "`mount` is no KV engine").with_hint(
            "other engines are read by whole paths: `at.vault = \"/database/creds/app#password\"`",
        ));
    }
    let version = mount
        .options
        .and_then(|mut options| options.remove("version"));
    Ok(if version.as_deref() == Some("2") {
        2
    } else {
        1
    })
}

fn versioned<'a>(envelope: &Envelope<'a>) -> Result<Versioned<'a>> {
    let data = envelope.data.ok_or_else(unexpected)?;
    serde_json::from_str(data.get()).map_err(|_| unexpected())
}

fn of_version(versioned: Versioned<'_>) -> Result<Document> {
    let metadata = versioned.metadata;
    let mut document = Document::parse(versioned.data.ok_or_else(Error::not_found)?)?;
    document.version = (metadata.version > 0).then(|| Version::number(metadata.version));
    document.created = humantime::parse_rfc3339(&metadata.created_time).ok();
    document.metadata = metadata.custom.unwrap_or_default();
    Ok(document)
}

/// The newest version by an answer that has no value: zero if there never was one.
fn newest(missing: &Reply) -> u64 {
    let envelope = missing.envelope().ok();
    let deleted = envelope.and_then(|envelope| Some(versioned(&envelope).ok()?.metadata.version));
    deleted.unwrap_or(0)
}

fn unexpected() -> Error {
    garbled("the answer is not what the KV engine sends")
}
