//! The login of a person, of which a token is kept for the programs that come later.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use credchain_core::files::{Draft, Refused, directory_of, occupant, sync_directory};
use credchain_core::{Context, Error, Interactive, Kept, Kind, Login, Result, Secret, async_trait};

use crate::auth::{Auth, Person, read_token, token_file, warn_if_shared, with_password};
use crate::provider::{Vault, identity};

/// Begins the name of a file in the making.
const DRAFT: &str = ".vault-token-";

impl Vault {
    pub(crate) fn person(&self) -> Option<&Person> {
        match &self.settings().auth {
            Auth::Person(person) => Some(person),
            Auth::Token(_) | Auth::Login { .. } => None,
        }
    }

    fn needed_person(&self) -> Result<&Person> {
        self.person()
            .ok_or_else(|| Error::unsupported("a person's login with this `auth`"))
    }
}

#[async_trait]
impl Interactive for Vault {
    fn question(&self) -> String {
        let username = self.person().map_or("", |person| &person.username);
        format!("password of {username}")
    }

    async fn log_in(&self, answer: &Secret, cx: &Context) -> Result<Login> {
        let person = self.needed_person()?;
        let (below, body) = with_password(&person.username, answer)?;
        let server = self.server();
        let (token, _, _) = server.exchange(&person.mount, &below, body, cx).await?;
        let own = server.look_up(&token, cx).await?;
        let kept = match &person.kept {
            Some(name) => Kept::Credential(name.clone(), Some(token)),
            None => Kept::File(keep(token_file(cx).ok_or_else(no_home)?, token).await?),
        };
        Ok(Login::new(identity(own, cx), kept))
    }

    async fn log_out(&self, cx: &Context) -> Result<Kept> {
        let person = self.needed_person()?;
        let (token, kept) = if let Some(name) = &person.kept {
            let token = self.server().credential(name, cx).await?;
            (token, Kept::Credential(name.clone(), None))
        } else {
            let file = token_file(cx).ok_or_else(no_home)?;
            let token = read_token(file.clone(), warn_if_shared).await?;
            (token.ok_or_else(Error::not_found)?, Kept::File(file))
        };
        self.server().give_up(&token, cx).await?;
        if let Kept::File(file) = &kept {
            remove(file.clone()).await?;
        }
        Ok(kept)
    }
}

fn no_home() -> Error {
    Error::new(
        Kind::Misconfigured,
        "there is no home directory to keep a token in",
    )
    .with_hint("set `HOME`, or `auth.token` to a credential that keeps it")
}

/// Leaves the token as `vault login` does, so that its tools find it.
async fn keep(file: PathBuf, token: Secret) -> Result<PathBuf> {
    let path = file.clone();
    on_files(file, move || {
        occupant(&path)?;
        write(&path, &token).map_err(Refused::Io)?;
        Ok(path)
    })
    .await
}

async fn remove(file: PathBuf) -> Result<()> {
    let path = file.clone();
    on_files(file, move || {
        let gone = std::fs::remove_file(&path).and_then(|()| sync_directory(directory_of(&path)));
        gone.map_err(Refused::Io)
    })
    .await
}

fn write(path: &Path, token: &Secret) -> io::Result<()> {
    let mut draft = Draft::private(path, DRAFT)?;
    draft.write_all(token.expose())?;
    draft.replace()
}

async fn on_files<T: Send + 'static>(
    file: PathBuf,
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    match done {
        Ok(done) => done.map_err(|refused| {
            let message = format!("`{}` {refused}", file.display());
            Error::new(Kind::Misconfigured, message)
        }),
        Err(_) => Err(Error::new(Kind::Internal, "a task on files did not finish")),
    }
}
