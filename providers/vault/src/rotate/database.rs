//! Static roles of the database engine. The server owns the password of each, and serves it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use credchain_core::{
    Abilities, Account, Context, Error, Kind, Result, Settings, Target, Verdict, async_trait,
};
use serde::Deserialize;

use super::{Moment, change, check_rights, lacking, mount, named};
use crate::client::Call;
use crate::error::{Ask, garbled};
use crate::login::Server;

/// One static role.
pub(super) struct Database {
    server: Arc<Server>,
    mount: String,
    role: String,
}

impl Database {
    pub(super) fn new(server: Arc<Server>, settings: &Settings) -> Result<Self> {
        Ok(Self {
            server,
            mount: mount(settings, "database")?,
            role: named(settings, "role")?,
        })
    }

    fn path(&self, of: &str) -> String {
        format!("{}/{of}/{}", self.mount, self.role)
    }
}

#[async_trait]
impl Target for Database {
    fn abilities(&self) -> Abilities {
        Abilities::rotating()
    }

    async fn preflight(&self, _: &Account, _: Option<&str>, cx: &Context) -> Result<()> {
        let (read, rotate) = (self.path("static-creds"), self.path("rotate-role"));
        let needed = [(read.as_str(), "read"), (rotate.as_str(), "update")];
        check_rights(&self.server, &needed, cx).await?;
        self.rotated(cx).await.map(drop)
    }

    async fn probe(&self, _: &Account, _: &Context) -> Result<Verdict> {
        // Whether the server serves this value says nothing about the database.
        Err(Error::unsupported("a login to the database"))
    }

    async fn rotate(&self, since: SystemTime, cx: &Context) -> Result<()> {
        if self.rotated(cx).await?.is_some_and(|last| last >= since) {
            return Ok(());
        }
        change(&self.server, &self.path("rotate-role"), "{}", cx).await
    }

    async fn rotated(&self, cx: &Context) -> Result<Option<SystemTime>> {
        #[derive(Deserialize)]
        struct Served {
            #[serde(default)]
            last_vault_rotation: Moment,
        }
        let path = self.path("static-creds");
        let reply = self.server.send(Call::get(&path), cx).await?;
        let envelope = reply
            .accepted(Ask::Read)
            .map_err(|error| match error.kind() {
                Kind::Invalid | Kind::NotFound => {
                    let message = format!("there is no static role `{}`", self.role);
                    Error::new(Kind::Misconfigured, message).with_hint(format!(
                        "`vault list {}/static-roles` shows them",
                        self.mount
                    ))
                }
                _ => lacking(error, &path),
            })?;
        let unexpected = || garbled("the answer is not what the database engine sends");
        let data = envelope.data.ok_or_else(unexpected)?;
        let served: Served = serde_json::from_str(data.get()).map_err(|_| unexpected())?;
        Ok(served.last_vault_rotation.0)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("mount", &self.mount)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
