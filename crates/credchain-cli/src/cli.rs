//! The command line: global options and one variant for each command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

#[cfg(feature = "oauth2")]
use crate::commands::token;
use crate::commands::{
    audit, check, completions, config, copy, delete, doctor, edit, exec, explain, export, generate,
    get, import, init, inject, list, login, man, providers, recipients, redact, rotation, scan,
    set, trust,
};
use crate::failure::Failure;
use crate::output::Output;

/// Credentials for scripts, pipelines and services: from the environment, `.env` files, an
/// encrypted file or any secret store, through one ordered chain
#[derive(Debug, Parser)]
#[command(
    name = "resolve",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Start here:\n  \
        resolve init                     set up this project with an encrypted store\n  \
        resolve set api_key              store a credential (asks for the value)\n  \
        resolve get api_key              print it\n  \
        resolve exec -- ./pipeline.sh    run a program with every credential in its environment\n\n\
        Exit codes: 0 fine, 1 internal, 2 usage, 3 missing, 4 denied, 5 unavailable,\n\
        6 configuration, 7 not trusted, 8 findings"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Use this configuration file, as your own word: it needs no `resolve trust`
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Use this profile; so does the variable `CREDCHAIN_PROFILE`
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Print JSON; errors as JSON on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Tell what is being done; twice tells more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Never ask anything
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Give up after this time, such as `5s`
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print one credential's exact bytes
    Get(get::Args),
    /// Run a program with the credentials in its environment
    Exec(exec::Args),
    /// Print the credentials for a shell, a `.env` file, or a CI runner
    Export(export::Args),
    /// Resolve everything and list all that is missing, with how to supply it
    Check(check::Args),
    /// Show every link that was asked for a credential
    Explain(explain::Args),
    /// Store a credential, read from standard input, a file or a prompt
    Set(set::Args),
    /// Remove a stored credential
    Delete(delete::Args),
    /// List what is stored and declared, without values
    List(list::Args),
    /// Move credentials from a `.env` file or another tool's project into a store
    Import(import::Args),
    /// Copy credentials from one provider to another
    Copy(copy::Args),
    /// Edit credentials in your editor
    Edit(edit::Args),
    /// Make a random credential
    Generate(generate::Args),
    /// Fill credentials into a template
    Inject(inject::Args),
    /// Hide credentials in what is piped through
    Redact(redact::Args),
    /// Find credentials in files, in what is staged and in the history of git
    Scan(scan::Args),
    /// Look for what gives secrets away: files, modes, literals, settings
    Doctor(doctor::Args),
    /// Manage who can open the age store
    Recipients(recipients::Args),
    /// Show, check or describe the configuration
    Config(config::Args),
    /// Set up this project: configuration, identity, store, ignored files
    Init(init::Args),
    /// Trust this project's configuration
    Trust(trust::Args),
    /// List the providers and the state of each configured one
    Providers(providers::Args),
    /// Print an OAuth 2.0 access token that is good for a while
    #[cfg(feature = "oauth2")]
    Token(token::Args),
    /// See how old credentials are, and replace their values
    Rotation(rotation::Args),
    /// Show the access log, or check that nobody changed it
    Audit(audit::Args),
    /// Log in to a provider, or for a token, whose settings leave that to you
    Login(login::Args),
    /// End a login
    Logout(login::LogoutArgs),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man(man::Args),
}

impl Command {
    /// Whether the exit codes belong to the program that the command runs.
    pub(crate) fn uses_childs_codes(&self) -> bool {
        matches!(self, Self::Exec(_))
    }
}

/// Parses a command line; what is wrong with it, and help, is printed here.
pub(crate) fn parse(arguments: &[OsString]) -> Result<(Global, Command), ExitCode> {
    let color = early_color(arguments);
    let parsed = Cli::command()
        .color(color)
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed
        .map(|cli| (cli.global, cli.command))
        .map_err(|error| {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            if code == 0 {
                // If even help cannot be printed there is nobody to tell.
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            explain(&error, arguments);
            export::fail_early(arguments, code);
            // `exec` leaves all codes to its child but 125.
            ExitCode::from(
                if command(arguments).is_some_and(|command| command == "exec") {
                    125
                } else {
                    code
                },
            )
        })
}

/// Says what is wrong with a command line, in the form that it asks for.
fn explain(error: &clap::Error, arguments: &[OsString]) {
    if !says(arguments, "--json") {
        let _ = error.print();
        return;
    }
    let text = error.to_string();
    let sentence = text.lines().next().unwrap_or_default();
    let message = sentence.strip_prefix("error: ").unwrap_or(sentence);
    let global = Global {
        json: true,
        ..Global::default()
    };
    let failure = Failure::usage_with(message, "`resolve --help` lists commands and options");
    Output::new(&global).failure(&failure);
}

/// The command that a command line names, which could not be understood: its first word that is
/// neither an option nor the value of one.
fn command(arguments: &[OsString]) -> Option<&OsString> {
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("-c" | "--config" | "-p" | "--profile" | "--color" | "--timeout") => {
                words.next();
            }
            Some(option) if option.starts_with('-') => {}
            _ => return Some(word),
        }
    }
    None
}

/// Whether a word stands in a command line that could not be understood, before the program that
/// `exec` is to run.
fn says(arguments: &[OsString], word: &str) -> bool {
    let own = arguments
        .iter()
        .skip(1)
        .take_while(|argument| *argument != "--");
    own.into_iter().any(|argument| argument == word)
}

/// Colour for help and usage errors, which clap prints before options are known.
fn early_color(arguments: &[OsString]) -> ColorChoice {
    let asked = arguments
        .iter()
        .zip(arguments.iter().skip(1).map(Some).chain([None]))
        .find_map(
            |(word, next)| match word.to_str()?.strip_prefix("--color")? {
                "" => next?.to_str(),
                rest => rest.strip_prefix('='),
            },
        );
    match asked {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    credchain::parse_duration(text).ok_or_else(|| "a time such as `500ms`, `5s` or `2m`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_is_found_behind_all_options_that_take_a_value() {
        let of = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            command(&words).cloned()
        };
        for line in [
            "resolve exec --nope",
            "resolve --json -q exec",
            "resolve --profile=ci exec",
        ] {
            assert_eq!(of(line), Some("exec".into()), "{line}");
        }
        assert_eq!(of("resolve get exec"), Some("get".into()));
        assert_eq!(of("resolve --json"), None);
        // Each global option with a value has to be known to `command`.
        for argument in Cli::command().get_arguments() {
            let takes_value = argument.get_action().takes_values();
            let long = argument.get_long().filter(|_| takes_value);
            if let Some(long) = long {
                let line = format!("resolve --{long} exec get");
                assert_eq!(of(&line), Some("get".into()), "{line}");
            }
        }
    }
}
