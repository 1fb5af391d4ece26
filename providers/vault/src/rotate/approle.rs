//! Secret ids of the `approle` login. The server makes them, and says each once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use credchain_core::{
    Abilities, Account, Context, Error, Issued, Kind, Result, Secret, Settings, Target, Verdict,
    async_trait,
};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{Moment, change, check_rights, lacking, mount, named, object, probe, text};
use crate::client::Call;
use crate::document::quoted;
use crate::error::{Ask, garbled};
use crate::login::Server;

/// What the server says of a login with a role id or secret id that it does not take; the second
/// is what older ones say.
const REFUSALS: &[&str] = &["invalid role or secret id", "invalid secret id"];

/// Under which name the tag is in a secret id's metadata.
const TAG: &str = "credchain";

/// Fewer uses than this and trial logins would use a secret id up.
const MIN_USES: u64 = 10;

/// How many secret ids of one role are looked at.
const MAX_LISTED: usize = 1000;

/// The secret ids of one role.
pub(super) struct AppRole {
    server: Arc<Server>,
    mount: String,
    role: String,
}

#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    bind_secret_id: bool,
    #[serde(default)]
    secret_id_num_uses: u64,
}

/// A secret id as its accessor tells of it.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    creation_time: Moment,
    #[serde(default)]
    expiration_time: Moment,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl AppRole {
    pub(super) fn new(server: Arc<Server>, settings: &Settings) -> Result<Self> {
        Ok(Self {
            server,
            mount: mount(settings, "approle")?,
            role: named(settings, "role")?,
        })
    }

    /// A path below the role.
    fn path(&self, below: &str) -> String {
        format!("auth/{}/role/{}/{below}", self.mount, self.role)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str, cx: &Context) -> Result<T> {
        let reply = self.server.send(Call::get(path), cx).await?;
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| match error.kind() {
                Kind::NotFound => self.no_role(),
                _ => lacking(error, path),
            })?;
        let data = envelope.data.ok_or_else(unexpected)?;
        serde_json::from_str(data.get()).map_err(|_| unexpected())
    }

    fn no_role(&self) -> Error {
        let message = format!("there is no role `{}` at `{}`", self.role, self.mount);
        Error::new(Kind::Misconfigured, message)
            .with_hint(format!("`vault list auth/{}/role` shows them", self.mount))
    }

    async fn role_id(&self, cx: &Context) -> Result<String> {
        #[derive(Deserialize)]
        struct Told {
            role_id: String,
        }
        let told: Told = self.read(&self.path("role-id"), cx).await?;
        Ok(told.role_id)
    }

    /// The accessors of all secret ids.
    async fn accessors(&self, cx: &Context) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Told {
            keys: Vec<String>,
        }
        let path = self.path("secret-id");
        let call = Call::get(&path).query("list", "true");
        let reply = self.server.send(call, cx).await?;
        if reply.is_missing() {
            return Ok(Vec::new());
        }
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| lacking(error, &path))?;
        let data = envelope.data.ok_or_else(unexpected)?;
        let told: Told = serde_json::from_str(data.get()).map_err(|_| unexpected())?;
        if told.keys.len() > MAX_LISTED {
            let message = format!("the role has more than {MAX_LISTED} secret ids");
            return Err(Error::new(Kind::Invalid, message).with_hint(format!(
                "`vault write -f auth/{}/tidy/secret-id` removes the expired ones",
                self.mount
            )));
        }
        Ok(told.keys)
    }

    /// What is known of one; nothing if it is gone by now.
    async fn look_up(&self, accessor: &str, cx: &Context) -> Result<Option<Issued>> {
        let path = self.path("secret-id-accessor/lookup");
        let body = object("secret_id_accessor", accessor);
        let call = Call::new("POST", &path).body(&body);
        let reply = self.server.send(call, cx).await?;
        if reply.is_missing() {
            return Ok(None);
        }
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| lacking(error, &path))?;
        let data = envelope.data.ok_or_else(unexpected)?;
        let entry: Entry = serde_json::from_str(data.get()).map_err(|_| unexpected())?;
        let mut issued = Issued::new(accessor);
        issued.created = entry.creation_time.0;
        // Expired ones stay until the server tidies up.
        let expired = entry
            .expiration_time
            .0
            .is_some_and(|end| end <= cx.clock().now());
        issued.enabled = !expired;
        issued.tag = entry.metadata.and_then(|mut metadata| metadata.remove(TAG));
        Ok(Some(issued))
    }
}

fn unexpected() -> Error {
    garbled("the answer is not what the AppRole login sends")
}

#[async_trait]
impl Target for AppRole {
    fn abilities(&self) -> Abilities {
        Abilities::issuing()
    }

    async fn preflight(&self, _: &Account, _: Option<&str>, cx: &Context) -> Result<()> {
        let path = format!("auth/{}/role/{}", self.mount, self.role);
        let below = [
            ("role-id", "read"),
            ("secret-id", "update"),
            ("secret-id", "list"),
            ("secret-id-accessor/lookup", "update"),
            ("secret-id-accessor/destroy", "update"),
        ]
        .map(|(below, capability)| (self.path(below), capability));
        let mut needed = vec![(path.as_str(), "read")];
        needed.extend(
            below
                .iter()
                .map(|(path, capability)| (path.as_str(), *capability)),
        );
        check_rights(&self.server, &needed, cx).await?;
        let role: Role = self.read(&path, cx).await?;
        if !role.bind_secret_id {
            let message = "the role takes logins without a secret id, so no trial tells anything";
            return Err(Error::new(Kind::Misconfigured, message).with_hint(format!(
                "`vault write {path} bind_secret_id=true` changes that"
            )));
        }
        if (1..MIN_USES).contains(&role.secret_id_num_uses) {
            let message = format!(
                "the role's secret ids are used up after {} logins, and each trial is one",
                role.secret_id_num_uses
            );
            return Err(Error::new(Kind::Misconfigured, message).with_hint(format!(
                "`vault write {path} secret_id_num_uses=0`, or {MIN_USES} and more"
            )));
        }
        self.role_id(cx).await.map(drop)
    }

    async fn probe(&self, account: &Account, cx: &Context) -> Result<Verdict> {
        let secret_id = text(&account.secret)?;
        let role_id = self.role_id(cx).await?;
        let path = format!("auth/{}/login", self.mount);
        let body = Zeroizing::new(format!(
            "{{\"role_id\":{},\"secret_id\":{}}}",
            *quoted(&role_id),
            *quoted(secret_id)
        ));
        probe(&self.server, &path, &body, REFUSALS, cx).await
    }

    async fn issue(&self, tag: &str, cx: &Context) -> Result<Account> {
        #[derive(Deserialize)]
        struct Made<'a> {
            secret_id: &'a str,
            secret_id_accessor: &'a str,
        }
        let path = self.path("secret-id");
        // The server takes the metadata as a text that is JSON in turn.
        let metadata = serde_json::json!({ TAG: tag }).to_string();
        let body = object("metadata", &metadata);
        let call = Call::new("POST", &path).body(&body);
        let reply = self.server.send(call, cx).await?;
        let envelope =
            reply
                .accepted(Ask::Write)
                .map_err(|error| match (error.kind(), reply.status) {
                    (Kind::Misconfigured, 404) => self.no_role(),
                    _ => lacking(error, &path),
                })?;
        let data = envelope.data.ok_or_else(unexpected)?;
        let made: Made<'_> = serde_json::from_str(data.get()).map_err(|_| unexpected())?;
        let secret = Secret::from(made.secret_id.to_owned());
        Ok(Account::new(made.secret_id_accessor, secret))
    }

    async fn issued(&self, cx: &Context) -> Result<Vec<Issued>> {
        let accessors = self.accessors(cx).await?;
        let reads: Vec<_> = accessors
            .iter()
            .map(|accessor| self.look_up(accessor, cx))
            .collect();
        stream::iter(reads)
            .buffered(self.server.client.settings.max_connections)
            .try_filter_map(async |issued| Ok(issued))
            .try_collect()
            .await
    }

    async fn revoke(&self, id: &str, cx: &Context) -> Result<()> {
        let path = self.path("secret-id-accessor/destroy");
        let body = object("secret_id_accessor", id);
        let Err(error) = change(&self.server, &path, &body, cx).await else {
            return Ok(());
        };
        if matches!(error.kind(), Kind::Denied | Kind::Unauthenticated) {
            return Err(error);
        }
        // Of one that is gone the server answers as if it were broken itself.
        match self.accessors(cx).await {
            Ok(left) if !left.iter().any(|accessor| accessor == id) => Ok(()),
            _ => Err(error),
        }
    }
}

impl fmt::Debug for AppRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppRole")
            .field("mount", &self.mount)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
