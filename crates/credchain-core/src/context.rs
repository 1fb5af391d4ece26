//! The outside world, handed in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Clock, Error, Kind, Result, Secret};

/// What a provider may use of the world around it: environment, clock, randomness, a person at
/// the terminal, and how long there is left. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    env: Environment,
    clock: Clock,
    jitter: Option<f64>,
    interactive: bool,
    prompt: Option<Arc<dyn Prompt>>,
    deadline: Option<Duration>,
}

/// A way to ask the person at the terminal for a passphrase.
pub trait Prompt: fmt::Debug + Send + Sync {
    /// Asks and waits, on the calling thread; nothing if the person declined.
    fn secret(&self, question: &str) -> Result<Option<Secret>>;
}

impl Context {
    /// The process's own environment and clock; not interactive, no deadline.
    pub const fn system() -> Self {
        Self {
            env: Environment::process(),
            clock: Clock::system(),
            jitter: None,
            interactive: false,
            prompt: None,
            deadline: None,
        }
    }

    /// The same, with another environment.
    pub fn with_env(mut self, env: Environment) -> Self {
        self.env = env;
        self
    }

    /// The same, with another clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The same, with every random fraction fixed; for tests of back-off.
    pub fn with_jitter(mut self, fraction: f64) -> Self {
        self.jitter = Some(fraction);
        self
    }

    /// The same, with or without a person who can answer a prompt.
    pub fn with_interactive(mut self, interactive: bool) -> Self {
        self.interactive = interactive;
        self
    }

    /// The same, with a way to ask that person; it is used only while the context is interactive.
    pub fn with_prompt(mut self, prompt: Arc<dyn Prompt>) -> Self {
        self.prompt = Some(prompt);
        self
    }

    /// The same, ending no later than `left` from now.
    pub fn with_timeout(mut self, left: Duration) -> Self {
        let until = self.clock.monotonic().saturating_add(left);
        self.deadline = Some(self.deadline.map_or(until, |earlier| earlier.min(until)));
        self
    }

    /// The same, without a deadline: for work that outlives the one who asked for it.
    pub fn without_deadline(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// The environment variables.
    pub fn env(&self) -> &Environment {
        &self.env
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether a person can be asked.
    pub fn interactive(&self) -> bool {
        self.interactive
    }

    /// How to ask that person for a passphrase, if there is one to ask.
    pub fn prompt(&self) -> Option<&dyn Prompt> {
        self.prompt.as_deref().filter(|_| self.interactive)
    }

    /// How long there is left, if there is a deadline.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|until| until.saturating_sub(self.clock.monotonic()))
    }

    /// Does the work, but no longer than there is time left.
    ///
    /// What keeps to the deadline by itself, such as a layer that can fall back on an old value, is
    /// given a moment to say so.
    ///
    /// # Errors
    /// Those of the work; [`Kind::Unavailable`](crate::Kind::Unavailable) when time is up.
    pub async fn in_time<T>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        const MOMENT: Duration = Duration::from_millis(20);
        let Some(left) = self.remaining() else {
            return work.await;
        };
        let done = self.clock.timeout(left + MOMENT, work).await;
        done.unwrap_or_else(|| {
            Err(Error::new(
                Kind::Unavailable,
                "no answer before the deadline",
            ))
        })
    }

    /// A random fraction in `0.0..1.0`, for jitter. Not for secrets.
    pub fn fraction(&self) -> f64 {
        self.jitter.unwrap_or_else(|| {
            // Without randomness the middle is the fairest delay.
            getrandom::u32().map_or(0.5, |random| {
                f64::from(random) / (f64::from(u32::MAX) + 1.0)
            })
        })
    }
}

/// The environment variables that hold credchain's own secrets, or say where they are. No program
/// that credchain starts gets them, and none whose name starts with [`OWN_SECRETS_PREFIX`].
pub const OWN_SECRETS: [&str; 4] = [
    "CREDCHAIN_IDENTITY",
    "CREDCHAIN_IDENTITY_FILE",
    "CREDCHAIN_PASSPHRASE",
    "CREDCHAIN_PASSPHRASE_FILE",
];

/// The beginning of the names of credchain's token settings.
pub const OWN_SECRETS_PREFIX: &str = "CREDCHAIN_TOKEN";

/// Whether a variable is one of [`OWN_SECRETS`], or begins like a token setting.
///
/// ```
/// assert!(credchain_core::is_own_secret("CREDCHAIN_PASSPHRASE"));
/// assert!(credchain_core::is_own_secret("CREDCHAIN_TOKEN_KEY"));
/// assert!(!credchain_core::is_own_secret("CREDCHAIN_PROFILE"));
/// ```
pub fn is_own_secret(variable: &str) -> bool {
    // Windows does not distinguish case in the names of variables.
    let variable = if cfg!(windows) {
        std::borrow::Cow::Owned(variable.to_ascii_uppercase())
    } else {
        std::borrow::Cow::Borrowed(variable)
    };
    OWN_SECRETS.contains(&&*variable) || variable.starts_with(OWN_SECRETS_PREFIX)
}

/// Names, separated by commas, the environment variables that hold the path of a file with the
/// value, and not the value itself. `resolve exec` sets it for credentials with `as_file`, so that
/// a nested `resolve` finds the value.
pub const FILES_VARIABLE: &str = "CREDCHAIN_FILES";

/// Environment variables: the process's, read when asked, or a fixed set.
///
/// ```
/// use credchain_core::Environment;
/// let env = Environment::fixed([("API_KEY", "s3cret")]);
/// assert_eq!(env.get("API_KEY").unwrap(), "s3cret");
/// assert!(env.get("HOME").is_none());
/// ```
#[derive(Clone, Default)]
pub struct Environment(Option<Arc<BTreeMap<OsString, OsString>>>);

impl Environment {
    /// The process's own variables.
    pub const fn process() -> Self {
        Self(None)
    }

    /// These variables and no others.
    pub fn fixed<K: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables
            .into_iter()
            .map(|(k, v)| (k.into(), v.into()))
            .collect();
        Self(Some(Arc::new(variables)))
    }

    /// The value of a variable, if it is set.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the process's variables come in"
    )]
    pub fn get(&self, name: &str) -> Option<OsString> {
        match &self.0 {
            // `var_os` panics on none of these, but no variable can have such a name.
            None if name.is_empty() || name.contains(['=', '\0']) => None,
            None => std::env::var_os(name),
            Some(variables) => variables.get(std::ffi::OsStr::new(name)).cloned(),
        }
    }

    /// The value of a variable that is set, not empty, and UTF-8.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?
            .into_string()
            .ok()
            .filter(|text| !text.is_empty())
    }

    /// All variables.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the process's variables come in"
    )]
    pub fn all(&self) -> Vec<(OsString, OsString)> {
        match &self.0 {
            None => std::env::vars_os().collect(),
            Some(variables) => variables
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Environment(fixed)"
        } else {
            "Environment(process)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    #[test]
    fn a_later_timeout_does_not_extend_an_earlier_one() {
        let manual = ManualClock::new();
        let cx = Context::system()
            .with_clock(manual.clock())
            .with_timeout(Duration::from_secs(1))
            .with_timeout(Duration::from_secs(9));
        assert_eq!(cx.remaining(), Some(Duration::from_secs(1)));
        manual.advance(Duration::from_secs(5));
        assert_eq!(cx.remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn nobody_is_asked_unless_the_context_is_interactive() {
        #[derive(Debug)]
        struct Answer;
        impl Prompt for Answer {
            fn secret(&self, _: &str) -> Result<Option<Secret>> {
                Ok(Some(Secret::new("answer")))
            }
        }
        let cx = Context::system().with_prompt(Arc::new(Answer));
        assert!(cx.prompt().is_none());
        assert!(cx.with_interactive(true).prompt().is_some());
    }

    #[test]
    fn debug_shows_no_variables() {
        let cx = Context::system().with_env(Environment::fixed([("TOKEN", "canary")]));
        assert!(!format!("{cx:?}").contains("canary"));
    }
}
