//! What every command starts from: the options, the project, a way to wait.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use credchain::{Context, Credchain, Environment, Error, Kind, Name, Prompt, Resolution};

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::terminal::TerminalPrompt;

/// One run of the command.
#[derive(Debug)]
pub(crate) struct App {
    global: Global,
    output: Output,
    progress: Progress,
    interrupted: Arc<AtomicBool>,
}

impl App {
    pub(crate) fn new(global: Global, output: Output) -> Self {
        let progress = Progress::new(global.quiet);
        Self {
            global,
            output,
            progress,
            interrupted: Arc::default(),
        }
    }

    /// Whether the user pressed Ctrl-C when a provider asked for something. Whatever came of the
    /// missing answer is then of no interest.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// How to speak to the user.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// A word to the person who waits.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The options that every command takes.
    pub(crate) fn global(&self) -> &Global {
        &self.global
    }

    /// The caller's environment.
    #[expect(
        clippy::unused_self,
        reason = "reached through the run like everything from outside"
    )]
    pub(crate) fn env(&self) -> Environment {
        Environment::process()
    }

    /// The variables with credchain's own secrets, which no program that it starts gets.
    pub(crate) fn own_secrets(&self) -> Vec<OsString> {
        let names = self.env().all().into_iter().map(|(name, _)| name);
        names
            .filter(|name| name.to_str().is_some_and(credchain::is_own_secret))
            .collect()
    }

    /// Whether there is a person who can be asked.
    pub(crate) fn interactive(&self) -> bool {
        !self.global.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// How providers ask the person, if there is one.
    pub(crate) fn prompt(&self) -> Option<Arc<dyn Prompt>> {
        let prompt = || TerminalPrompt::new(self.progress.clone(), self.interrupted.clone());
        self.interactive().then(|| Arc::new(prompt()) as _)
    }

    /// Opens the project of the working directory.
    pub(crate) fn open(&self) -> Result<Credchain, Failure> {
        let mut context = Context::system();
        if let Some(prompt) = self.prompt() {
            context = context.with_interactive(true).with_prompt(prompt);
        }
        let mut opener = Credchain::opener().one_shot().context(context);
        if let Some(config) = &self.global.config {
            opener = opener.config(config);
        }
        if let Some(profile) = &self.global.profile {
            opener = opener.profile(profile);
        }
        if let Some(timeout) = self.global.timeout {
            opener = opener.timeout(timeout);
        }
        let credchain = opener.open()?;
        // In JSON, standard error holds one document or nothing; `config check` has the warnings.
        for warning in credchain
            .loaded()
            .warnings
            .iter()
            .filter(|_| !self.output.is_json())
        {
            self.output
                .rendered(warning.render(self.output.color_err()).trim_end());
        }
        Ok(credchain)
    }

    /// Opens the project for a command that needs declared credentials.
    pub(crate) fn open_declared(&self) -> Result<(Credchain, Vec<Name>), Failure> {
        let credchain = self.open()?;
        let names = credchain.declared()?;
        if names.is_empty() && !credchain.loaded().configured {
            let error = Error::new(
                Kind::Misconfigured,
                "no `credchain.toml` and no `.env` here",
            )
            .with_hint("`resolve init` sets up this project");
            return Err(error.into());
        }
        Ok((credchain, names))
    }

    /// Opens the project for a command that injects the credentials named, or else all that are.
    pub(crate) fn open_injected(&self, only: &[String]) -> Result<(Credchain, Vec<Name>), Failure> {
        let (credchain, declared) = self.open_declared()?;
        let names = injected(only, &declared, &credchain)?;
        Ok((credchain, names))
    }

    /// Parses a name as typed.
    pub(crate) fn name(text: &str) -> Result<Name, Failure> {
        text.parse::<Name>()
            .map_err(|error| Failure::usage(error.to_string()))
    }

    /// Resolves names and waits for the answers.
    pub(crate) fn resolve(
        &self,
        credchain: &Credchain,
        names: &[Name],
    ) -> Result<Vec<Resolution>, Failure> {
        self.wait(credchain.resolve_many(names))
    }

    /// Waits for an answer from a provider, with a word to the person who waits.
    pub(crate) fn wait<T: Send>(&self, work: impl Future<Output = T> + Send) -> Result<T, Failure> {
        Ok(self
            .progress
            .during("waiting for an answer", || credchain::block_on(work))?)
    }

    /// The same for what is read from this process and from files.
    pub(crate) fn wait_at_hand<T: Send>(
        &self,
        work: impl Future<Output = T> + Send,
    ) -> Result<T, Failure> {
        let read = || credchain::block_on_at_hand(work);
        Ok(self.progress.during("reading", read)?)
    }

    /// The working directory.
    pub(crate) fn working_directory() -> Result<PathBuf, Failure> {
        std::env::current_dir().map_err(|error| Failure::io("finding the working directory", error))
    }
}

/// Of the declared credentials those that a command line names, or else all that programs get.
pub(crate) fn injected(
    only: &[String],
    declared: &[Name],
    credchain: &Credchain,
) -> Result<Vec<Name>, Failure> {
    if !only.is_empty() {
        return chosen(only, declared, credchain);
    }
    let injected = declared.iter().filter(|name| credchain.is_injected(name));
    Ok(injected.cloned().collect())
}

/// The declared credentials that a command line names.
///
/// # Errors
/// Every name that is not declared, with what it may have been meant to be: programs get declared
/// credentials only, since those are what trust was asked for.
pub(crate) fn chosen(
    texts: &[String],
    declared: &[Name],
    credchain: &Credchain,
) -> Result<Vec<Name>, Failure> {
    let names: Vec<Name> = texts
        .iter()
        .map(|text| App::name(text))
        .collect::<Result<_, _>>()?;
    let unknown: Vec<Error> = names
        .iter()
        .filter(|name| !declared.contains(name))
        .map(|name| undeclared(name, declared, credchain, "it is not declared"))
        .collect();
    if unknown.is_empty() {
        Ok(names)
    } else {
        Err(Failure::Credentials(unknown))
    }
}

/// The refusal of a name that is not declared, with the nearest one that is.
pub(crate) fn undeclared(
    name: &Name,
    declared: &[Name],
    credchain: &Credchain,
    message: &'static str,
) -> Error {
    let hint = match nearest(name, declared) {
        Some(near) => format!("did you mean `{near}`?"),
        None if credchain.loaded().configured => {
            format!("add `[credentials.{name}]` to `credchain.toml`")
        }
        None => "`resolve init` sets up this project".to_owned(),
    };
    Error::new(Kind::Misconfigured, message)
        .for_credential(name)
        .with_hint(hint)
}

/// The declared name that was probably meant, however it was written.
pub(crate) fn nearest<'a>(name: &Name, declared: &'a [Name]) -> Option<&'a Name> {
    let plain = |name: &Name| name.as_str().to_ascii_lowercase().replace(['-', '.'], "_");
    let candidates: Vec<String> = declared.iter().map(plain).collect();
    let near =
        credchain::config::did_you_mean(&plain(name), candidates.iter().map(String::as_str))?;
    let at = candidates.iter().position(|candidate| candidate == near)?;
    declared.get(at)
}
