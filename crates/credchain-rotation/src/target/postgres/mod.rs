//! The roles of a Postgres server.

mod config;
mod connect;
mod error;
mod gate;
mod layout;
mod rights;
mod scram;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use credchain_core::{
    Abilities, Account, Context, CredentialSource, Error, Kind, Result, Settings, Target, Verdict,
    async_trait,
};

use self::config::{Accounts, Admin, Config, Endpoint};
use self::connect::{Connector, Login, Session};
use self::error::Failure;
use self::gate::Policy;
use super::{Setup, wrong};

/// Ends what an account is doing.
const END_SESSIONS: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename::text = $1 AND pid <> pg_backend_pid()";

/// A target whose accounts are roles of a Postgres server.
///
/// The server never sees a new password: it gets the SCRAM-SHA-256 verifier, made here. A login
/// counts only where the server asks for SCRAM; one that lets everybody in is an error and not a
/// success. With one `user` its password is swapped, by an administrator or by itself; two `users`
/// take turns, and [`preflight`](Target::preflight) makes sure that either can use what the other
/// made.
pub struct Postgres {
    config: Config,
    connector: Connector,
    credentials: Arc<dyn CredentialSource>,
    /// What an account without an administrator logs in with to change its password.
    known: Mutex<Option<Account>>,
}

impl Postgres {
    /// A target from the table `[rotation.targets.NAME]`. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for settings that contradict each other.
    pub fn new(settings: &Settings, setup: &Setup) -> Result<Self> {
        let config = Config::new(settings, setup)?;
        let connector = Connector::new(config.database.clone(), config.tls, config.ca.clone());
        Ok(Self {
            config,
            connector,
            credentials: setup.credentials.clone(),
            known: Mutex::new(None),
        })
    }

    /// SECURITY: a stored value names its account; no other role is ever touched for it.
    fn check_account(&self, id: &str) -> Result<()> {
        if self.config.accounts.names().contains(&id) {
            return Ok(());
        }
        Err(wrong(format!(
            "the role `{}` is not one that is rotated here",
            credchain_core::printable(id)
        )))
    }

    fn remember(&self, account: &Account) {
        if self.config.admin.is_none() {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(account.clone());
        }
    }

    /// Logs in where changes are made, as who makes them.
    async fn administer(&self, cx: &Context) -> Result<Session> {
        let session = match &self.config.admin {
            Some(admin) => self.as_admin(admin, cx).await?,
            None => self.as_itself(cx).await?,
        };
        // SECURITY: what other users of the database made must not be taken for the catalogue.
        let mut prepare = "SET search_path = pg_catalog, pg_temp".to_owned();
        if self.config.admin.is_none() {
            // A role may change its own password only while it acts as itself.
            prepare.push_str("; SET ROLE NONE");
        }
        let prepared = session.run(&prepare, cx).await;
        prepared.map_err(|failure| failure.at(&self.config.primary))?;
        Ok(session)
    }

    async fn as_admin(&self, admin: &Admin, cx: &Context) -> Result<Session> {
        let password = match &admin.password {
            Some(name) => Some(self.credentials.needed(name, cx).await?),
            None => None,
        };
        let login = Login {
            role: &admin.role,
            password: password.as_ref().map(credchain_core::Secret::expose),
            policy: if password.is_some() {
                Policy::Enter
            } else {
                Policy::Known
            },
        };
        let session = self
            .connector
            .connect(&self.config.primary, &login, cx)
            .await;
        session.map_err(|failure| {
            let error = failure.at(&self.config.primary);
            if failure.is_refusal() {
                error.with_hint("that was the login of `admin`: look at `admin_password`")
            } else {
                error
            }
        })
    }

    async fn as_itself(&self, cx: &Context) -> Result<Session> {
        let known = self.known();
        let known = known.ok_or_else(|| {
            Error::new(
                Kind::Internal,
                "a role is to change its own password, and nobody said which one works",
            )
        })?;
        let login = login_of(&known);
        let session = self
            .connector
            .connect(&self.config.primary, &login, cx)
            .await;
        session.map_err(|failure| failure.at(&self.config.primary))
    }

    fn known(&self) -> Option<Account> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Whether one server takes a login.
    async fn ask(
        &self,
        endpoint: &Endpoint,
        account: &Account,
        cx: &Context,
    ) -> Result<Verdict, Failure> {
        let login = login_of(account);
        match self.connector.connect(endpoint, &login, cx).await {
            Ok(session) => {
                session.run("SELECT 1", cx).await?;
                session.close(cx).await;
                Ok(Verdict::Accepted)
            }
            Err(failure) if failure.is_refusal() => Ok(Verdict::Refused),
            Err(failure) => Err(failure),
        }
    }

    /// Changes a role, and ends its sessions if that is wanted.
    async fn alter(&self, id: &str, clause: &str, ends: bool, cx: &Context) -> Result<()> {
        self.check_account(id)?;
        let session = self.administer(cx).await?;
        let statement = format!("ALTER ROLE {} {clause}", quoted(id));
        let at = |failure: Failure| failure.at(&self.config.primary);
        session.run(&statement, cx).await.map_err(at)?;
        if ends && self.config.end_sessions {
            // After the change, so that nobody slips in between.
            session.rows(END_SESSIONS, &[&id], cx).await.map_err(at)?;
        }
        session.close(cx).await;
        Ok(())
    }

    fn in_turn(&self, operation: &'static str) -> Result<()> {
        match self.config.accounts {
            Accounts::Two(..) => Ok(()),
            Accounts::One(_) => Err(Error::unsupported(operation)),
        }
    }
}

#[async_trait]
impl Target for Postgres {
    fn abilities(&self) -> Abilities {
        match self.config.accounts {
            Accounts::One(_) => Abilities::accepting(),
            Accounts::Two(..) => Abilities::accepting().disabling(),
        }
    }

    async fn preflight(&self, current: &Account, next: Option<&str>, cx: &Context) -> Result<()> {
        self.check_account(&current.id)?;
        if let Some(next) = next {
            self.check_account(next)?;
        }
        self.connector.prepare().await?;
        self.remember(current);
        let session = self.administer(cx).await?;
        let roles = rights::check(&self.config, &session, cx).await?;
        // What is left of a rotation is not stopped by a layout that was changed meanwhile.
        if next.is_some() {
            layout::check(&self.config, &roles, &session, cx).await?;
        }
        session.close(cx).await;
        Ok(())
    }

    async fn probe(&self, account: &Account, cx: &Context) -> Result<Verdict> {
        self.check_account(&account.id)?;
        let mut answers = Vec::new();
        for endpoint in self.config.endpoints() {
            answers.push((endpoint, self.ask(endpoint, account, cx).await));
        }
        let verdict = agreed(&answers)?;
        if verdict == Verdict::Accepted {
            self.remember(account);
        }
        Ok(verdict)
    }

    async fn apply(&self, account: &Account, cx: &Context) -> Result<()> {
        self.check_account(&account.id)?;
        scram::check(&account.secret)?;
        let primary = &self.config.primary;
        // The same password with another salt is another verifier, and poolers that hand on the
        // old one would be locked out.
        let asked = self.ask(primary, account, cx).await;
        let accepted = asked.map_err(|failure| failure.at(primary))? == Verdict::Accepted;
        if !accepted {
            let verifier = scram::verifier(&account.secret, self.config.iterations)?;
            let login = match self.config.accounts {
                Accounts::One(_) => "",
                Accounts::Two(..) => "LOGIN ",
            };
            let clause = format!("{login}PASSWORD {}", literal(&verifier));
            self.alter(&account.id, &clause, false, cx).await?;
        }
        self.remember(account);
        Ok(())
    }

    async fn disable(&self, id: &str, cx: &Context) -> Result<()> {
        self.in_turn("disabling")?;
        self.alter(id, "NOLOGIN", true, cx).await
    }

    async fn enable(&self, id: &str, cx: &Context) -> Result<()> {
        self.in_turn("enabling")?;
        self.alter(id, "LOGIN", false, cx).await
    }

    async fn revoke(&self, id: &str, cx: &Context) -> Result<()> {
        self.in_turn("revoking")?;
        self.alter(id, "PASSWORD NULL", true, cx).await
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("primary", &self.config.primary)
            .field("accounts", &self.config.accounts)
            .finish_non_exhaustive()
    }
}

fn login_of(account: &Account) -> Login<'_> {
    Login {
        role: &account.id,
        password: Some(account.secret.expose()),
        policy: Policy::Judge,
    }
}

/// What all servers say. If they do not say the same, it is said what each of them does, failures
/// first.
fn agreed(answers: &[(&Endpoint, Result<Verdict, Failure>)]) -> Result<Verdict> {
    if let [(endpoint, Err(failure))] = answers {
        return Err(failure.at(endpoint));
    }
    let all = |wanted| {
        answers
            .iter()
            .all(|(_, answer)| matches!(answer, Ok(it) if *it == wanted))
    };
    for verdict in [Verdict::Accepted, Verdict::Refused] {
        if all(verdict) {
            return Ok(verdict);
        }
    }
    let mut said = Vec::new();
    let mut first = None;
    for (endpoint, answer) in answers {
        if let Err(failure) = answer {
            first.get_or_insert(failure);
            let (message, kind) = (failure.message(), failure.kind());
            said.push(format!("`{endpoint}`: {message} ({kind})"));
        }
    }
    for (endpoint, answer) in answers {
        match answer {
            Ok(Verdict::Accepted) => said.push(format!("`{endpoint}`: accepted")),
            Ok(_) => said.push(format!("`{endpoint}`: refused")),
            Err(_) => {}
        }
    }
    // A standby that is behind catches up.
    let kind = first.map_or(Kind::Unavailable, Failure::kind);
    let message = format!("the servers do not agree: {}", said.join("; "));
    let error = Error::new(kind, message);
    match first.and_then(Failure::hint) {
        Some(hint) => Err(error.with_hint(hint.to_owned())),
        None => Err(error),
    }
}

/// A name as SQL takes it, whatever is in it. It holds no NUL: roles are checked for that.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL takes it, whatever the server makes of backslashes.
fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_end_where_they_should() {
        assert_eq!(quoted("a\"; DROP ROLE b; --"), "\"a\"\"; DROP ROLE b; --\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\'; --"), "E'\\\\''; --'");
    }

    #[test]
    fn servers_that_do_not_agree_are_all_told_failures_first() {
        let hosts = ["a", "b", "c"].map(|host| Endpoint::Tcp(host.into(), 1));
        let [a, b, c] = &hosts;
        let yes = || Ok(Verdict::Accepted);
        let no = || Ok(Verdict::Refused);
        assert_eq!(
            agreed(&[(a, yes()), (b, yes())]).unwrap(),
            Verdict::Accepted
        );
        assert_eq!(agreed(&[(a, no()), (b, no())]).unwrap(), Verdict::Refused);
        let error = agreed(&[(a, yes()), (b, no())]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unavailable: the servers do not agree: `a:1`: accepted; `b:1`: refused"
        );
        let full = Failure::Sql("53300".into());
        let gone = Failure::Sql("3D000".into());
        let error = agreed(&[(a, no()), (b, Err(gone)), (c, Err(full))]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "misconfigured: the servers do not agree: `b:1`: there is no such database (SQLSTATE \
             3D000) (misconfigured); `c:1`: there are too many connections (SQLSTATE 53300) \
             (unavailable); `a:1`: refused"
        );
    }
}
