//! Passwords of the `userpass` login.

use std::fmt;
use std::sync::Arc;

use credchain_core::{
    Abilities, Account, Context, Error, Kind, Result, Settings, Target, Verdict, async_trait,
};

use super::{change, check_rights, is_name, mount, named, object, probe, text};
use crate::client::Call;
use crate::error::Ask;
use crate::login::Server;

/// What the server says of a user that it does not know, or not by this password.
const REFUSALS: &[&str] = &["invalid username or password"];

/// The longest password of which the server keeps a hash. It answers a longer one as if it were
/// broken itself, and asking again would never end.
const MAX_PASSWORD: usize = 72;

/// The users at a mount.
pub(super) struct Userpass {
    server: Arc<Server>,
    mount: String,
    user: String,
}

impl Userpass {
    pub(super) fn new(server: Arc<Server>, settings: &Settings) -> Result<Self> {
        Ok(Self {
            server,
            mount: mount(settings, "userpass")?,
            user: named(settings, "user")?,
        })
    }

    /// The user whom an account names.
    fn user<'a>(&'a self, id: &'a str) -> Result<&'a str> {
        match id {
            "" => Ok(&self.user),
            id if is_name(id) => Ok(id),
            _ => Err(Error::new(Kind::Invalid, "no user can have such a name")),
        }
    }

    fn path(&self, user: &str) -> String {
        format!("auth/{}/users/{user}", self.mount)
    }

    /// Finds out whether there is such a user, if that may be seen.
    async fn check_user(&self, user: &str, cx: &Context) -> Result<()> {
        let path = self.path(user);
        let reply = self.server.send(Call::get(&path), cx).await?;
        match reply.accepted(Ask::Read) {
            Err(error) if error.kind() == Kind::NotFound => {
                let message = format!("there is no user `{user}` at `{}`", self.mount);
                Err(Error::new(Kind::Misconfigured, message)
                    .with_hint(format!("`vault list auth/{}/users` shows them", self.mount)))
            }
            // A login tells as well.
            Err(error) if error.kind() == Kind::Denied => Ok(()),
            answer => answer.map(drop),
        }
    }
}

/// A password that the server can keep.
fn password(account: &Account) -> Result<&str> {
    let password = text(&account.secret)?;
    if password.len() > MAX_PASSWORD || password.contains('\0') {
        let message = format!("a password has at most {MAX_PASSWORD} bytes, none of them NUL");
        return Err(Error::new(Kind::Invalid, message));
    }
    Ok(password)
}

#[async_trait]
impl Target for Userpass {
    fn abilities(&self) -> Abilities {
        Abilities::accepting()
    }

    async fn preflight(&self, current: &Account, next: Option<&str>, cx: &Context) -> Result<()> {
        let mut users = vec![self.user(&current.id)?];
        users.extend(next.map(|next| self.user(next)).transpose()?);
        users.dedup();
        let paths: Vec<String> = users
            .iter()
            .map(|user| format!("{}/password", self.path(user)))
            .collect();
        let needed: Vec<_> = paths.iter().map(|path| (path.as_str(), "update")).collect();
        check_rights(&self.server, &needed, cx).await?;
        for user in users {
            self.check_user(user, cx).await?;
        }
        Ok(())
    }

    async fn probe(&self, account: &Account, cx: &Context) -> Result<Verdict> {
        let user = self.user(&account.id)?;
        let path = format!("auth/{}/login/{user}", self.mount);
        let body = object("password", text(&account.secret)?);
        probe(&self.server, &path, &body, REFUSALS, cx).await
    }

    async fn apply(&self, account: &Account, cx: &Context) -> Result<()> {
        let path = format!("{}/password", self.path(self.user(&account.id)?));
        let body = object("password", password(account)?);
        change(&self.server, &path, &body, cx).await
    }
}

impl fmt::Debug for Userpass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Userpass")
            .field("mount", &self.mount)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
