//! Programs of the user's own, one for each thing that rotation asks of a target.

mod environment;
mod fill;
mod output;
mod process;

use std::fmt;
use std::time::Duration;

use credchain_core::{
    Abilities, Account, Context, Error, Issued, Kind, Project, Result, Secret, Settings, Target,
    Verdict, async_trait,
};
use zeroize::Zeroizing;

use self::fill::{Filling, fill};
use self::process::{Finished, Launch, MAX_OUTPUT, Unfinished};
use super::{Setup, wrong};

/// How long a program may take, unless the settings say otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a program exits with when it cannot tell now (`EX_TEMPFAIL` of sysexits.h).
const TRY_AGAIN: i32 = 75;

/// What a shell exits with when it cannot run, or find, what it was told to.
const NOT_RUN: [i32; 2] = [126, 127];

/// A target that is asked through programs: hooks.
///
/// A value goes to a program's standard input and nowhere else; `{id}` and `{tag}` stand in
/// arguments. A program exits with 0 when it is done, with 75 when it cannot tell now, and with
/// anything else when it fails for good; `verify` exits with 1 for a value that is refused. What
/// it writes to stderr is never shown, since it may quote the value.
pub struct Command {
    hooks: Vec<(Action, Vec<String>)>,
    abilities: Abilities,
    timeout: Duration,
    env: Vec<(String, String)>,
    withheld: Vec<String>,
    project: Project,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Verify,
    Apply,
    Issue,
    Issued,
    Disable,
    Enable,
    Revoke,
}

impl Action {
    const ALL: [Self; 7] = [
        Self::Verify,
        Self::Apply,
        Self::Issue,
        Self::Issued,
        Self::Disable,
        Self::Enable,
        Self::Revoke,
    ];

    /// The setting that names its program.
    const fn key(self) -> &'static str {
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

    /// What an exit code means; nothing if it means that all is well.
    fn kind_of(self, exit: Option<i32>) -> Option<Kind> {
        match exit {
            Some(0) => None,
            // Whoever was ended from outside may have done it or not.
            Some(TRY_AGAIN) | None => Some(Kind::Unavailable),
            // A value is not to blame for a program that did not run.
            Some(code) if NOT_RUN.contains(&code) => Some(Kind::Misconfigured),
            Some(_) if self == Self::Apply => Some(Kind::Invalid),
            Some(_) => Some(Kind::Misconfigured),
        }
    }
}

impl Command {
    /// A target from the table `[rotation.targets.NAME]`. Nothing is started yet.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for settings that contradict each other.
    pub fn new(settings: &Settings, setup: &Setup) -> Result<Self> {
        super::check_actions(settings)?;
        let mut hooks = Vec::new();
        for action in Action::ALL {
            let key = action.key();
            let Some(words) = settings.texts(key)? else {
                continue;
            };
            if words.first().is_none_or(String::is_empty) {
                return Err(wrong(format!("setting `{key}` names no program")));
            }
            if words.iter().any(|word| word.contains('\0')) {
                return Err(wrong(format!("setting `{key}` holds a NUL character")));
            }
            hooks.push((action, words));
        }
        Ok(Self {
            hooks,
            abilities: super::abilities(settings)?,
            timeout: settings.duration("timeout")?.unwrap_or(TIMEOUT),
            env: variables(settings)?,
            withheld: setup.withheld.clone(),
            project: setup.project.clone(),
        })
    }

    fn hook(&self, action: Action) -> Result<&[String]> {
        let hook = self.hooks.iter().find(|(other, _)| *other == action);
        hook.map(|(_, words)| words.as_slice()).ok_or_else(|| {
            Error::new(
                Kind::Unsupported,
                format!("this target has no `{}`", action.key()),
            )
        })
    }

    /// Runs the program of an action, and judges nothing but whether it came to an end.
    async fn run(
        &self,
        action: Action,
        filling: Filling<'_>,
        input: &[u8],
        cx: &Context,
    ) -> Result<Finished> {
        let words = self.hook(action)?;
        let (program, args) = words
            .split_first()
            .ok_or_else(|| wrong("a hook names no program"))?;
        let mut env = environment::inherited(cx.env(), &self.withheld);
        for (name, value) in &self.env {
            environment::assign(&mut env, name, value);
        }
        let base = self.project.base();
        let directory = if base.as_os_str().is_empty() {
            ".".as_ref()
        } else {
            base
        };
        let launch = Launch {
            program: environment::find(program, cx.env(), &self.project)?,
            args: fill(args, filling)?,
            env,
            directory: directory.to_owned(),
            input: Zeroizing::new(input.to_vec()),
        };
        let patience = cx
            .remaining()
            .map_or(self.timeout, |left| left.min(self.timeout));
        let finished = process::run(launch, patience, cx.clock()).await;
        let key = action.key();
        let finished = finished.map_err(|unfinished| match unfinished {
            Unfinished::Late => {
                let message = format!("the program of `{key}` did not end in time");
                Error::new(Kind::Unavailable, message)
                    .with_hint("it was ended; `timeout` says how long it may take")
            }
            Unfinished::NotStarted(error) => cannot_start(program, &error),
        })?;
        if finished.complained {
            tracing::debug!("the program of `{key}` wrote to stderr");
        }
        Ok(finished)
    }

    /// Runs the program of an action that has to succeed.
    async fn done(
        &self,
        action: Action,
        filling: Filling<'_>,
        input: &[u8],
        cx: &Context,
    ) -> Result<Finished> {
        let finished = self.run(action, filling, input, cx).await?;
        match action.kind_of(finished.exit) {
            None => Ok(finished),
            Some(kind) => Err(failed(action, kind, &finished)),
        }
    }

    /// What the program of an action printed.
    async fn printed(
        &self,
        action: Action,
        filling: Filling<'_>,
        cx: &Context,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let finished = self.done(action, filling, &[], cx).await?;
        finished.output.ok_or_else(|| {
            wrong(format!(
                "the program of `{}` printed more than {} KiB",
                action.key(),
                MAX_OUTPUT >> 10
            ))
        })
    }

    async fn change(&self, action: Action, id: &str, cx: &Context) -> Result<()> {
        let filling = Filling {
            id: Some(id),
            tag: None,
        };
        self.done(action, filling, &[], cx).await.map(drop)
    }
}

#[async_trait]
impl Target for Command {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    async fn preflight(&self, _: &Account, _: Option<&str>, cx: &Context) -> Result<()> {
        for (_, words) in &self.hooks {
            if let Some(program) = words.first() {
                environment::find(program, cx.env(), &self.project)?;
            }
        }
        Ok(())
    }

    async fn probe(&self, account: &Account, cx: &Context) -> Result<Verdict> {
        let value = account.secret.expose();
        let finished = self
            .run(Action::Verify, Filling::of(account), value, cx)
            .await?;
        match (finished.exit, Action::Verify.kind_of(finished.exit)) {
            (_, None) => Ok(Verdict::Accepted),
            (Some(1), _) => Ok(Verdict::Refused),
            (_, Some(kind)) => Err(failed(Action::Verify, kind, &finished)),
        }
    }

    async fn apply(&self, account: &Account, cx: &Context) -> Result<()> {
        let value = account.secret.expose();
        let filling = Filling::of(account);
        self.done(Action::Apply, filling, value, cx).await.map(drop)
    }

    async fn issue(&self, tag: &str, cx: &Context) -> Result<Account> {
        let filling = Filling {
            id: None,
            tag: Some(tag),
        };
        let printed = self.printed(Action::Issue, filling, cx).await?;
        let (mut id, secret) = output::issued_key(&printed)?;
        if id.is_empty() {
            id = super::tagged(self.issued(cx).await?, tag);
        }
        Ok(Account::new(id, Secret::new(secret.to_vec())))
    }

    async fn issued(&self, cx: &Context) -> Result<Vec<Issued>> {
        let printed = self.printed(Action::Issued, Filling::default(), cx).await?;
        output::listed_keys(&printed)
    }

    async fn disable(&self, id: &str, cx: &Context) -> Result<()> {
        self.change(Action::Disable, id, cx).await
    }

    async fn enable(&self, id: &str, cx: &Context) -> Result<()> {
        self.change(Action::Enable, id, cx).await
    }

    async fn revoke(&self, id: &str, cx: &Context) -> Result<()> {
        self.change(Action::Revoke, id, cx).await
    }
}

impl fmt::Debug for Command {
    // Arguments and variables are left out: a user may have put a secret where it does not belong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions: Vec<_> = self.hooks.iter().map(|(action, _)| action).collect();
        f.debug_struct("Command")
            .field("hooks", &actions)
            .finish_non_exhaustive()
    }
}

fn variables(settings: &Settings) -> Result<Vec<(String, String)>> {
    let Some(table) = settings.table("env")? else {
        return Ok(Vec::new());
    };
    let mut variables = Vec::new();
    for name in table.keys() {
        let value = table.text(name)?.unwrap_or_default();
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(wrong("an entry of `env` can be no variable"));
        }
        variables.push((name.to_owned(), value.to_owned()));
    }
    Ok(variables)
}

fn cannot_start(program: &str, error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidInput => {
            environment::not_executable(program)
        }
        // Such as a file without a first line that names its interpreter.
        _ if error.raw_os_error().is_some_and(is_no_program) => {
            environment::not_executable(program)
        }
        _ => Error::new(
            Kind::Unavailable,
            format!("the program `{program}` cannot be started now"),
        ),
    }
}

#[cfg(unix)]
fn is_no_program(code: i32) -> bool {
    code == rustix::io::Errno::NOEXEC.raw_os_error()
}

#[cfg(not(unix))]
fn is_no_program(_: i32) -> bool {
    false
}

fn failed(action: Action, kind: Kind, finished: &Finished) -> Error {
    let key = action.key();
    let message = match finished.exit {
        None => format!("the program of `{key}` was ended by a signal"),
        Some(TRY_AGAIN) => format!("the program of `{key}` asks to be tried again"),
        Some(code) => format!("the program of `{key}` failed with exit code {code}"),
    };
    let error = Error::new(kind, message);
    if finished.complained {
        error.with_hint("run it by hand to see its own message, which is never repeated here")
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exit_code_has_its_kind() {
        use Action::{Apply, Issue, Verify};
        for (action, exit, kind) in [
            (Verify, Some(0), None),
            (Verify, Some(2), Some(Kind::Misconfigured)),
            (Verify, Some(75), Some(Kind::Unavailable)),
            (Verify, Some(127), Some(Kind::Misconfigured)),
            (Verify, None, Some(Kind::Unavailable)),
            (Apply, Some(0), None),
            (Apply, Some(1), Some(Kind::Invalid)),
            (Apply, Some(75), Some(Kind::Unavailable)),
            (Apply, Some(126), Some(Kind::Misconfigured)),
            (Apply, None, Some(Kind::Unavailable)),
            (Issue, Some(1), Some(Kind::Misconfigured)),
            (Issue, Some(75), Some(Kind::Unavailable)),
        ] {
            assert_eq!(action.kind_of(exit), kind, "{action:?} {exit:?}");
        }
    }
}
