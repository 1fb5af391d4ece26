//! `resolve export`

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum as _;
use credchain::audit_log::{Action, Destination};
use credchain::{Credchain, Error, Kind, Name};

use crate::app::App;
use crate::export::{Format, Variable, write_github};
use crate::failure::{self, Failure};

/// Arguments of `export`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    eval \"$(resolve export)\"                       sh, bash, zsh\n  \
    resolve export --format fish | source          fish\n  \
    resolve export --format docker > /dev/shm/env  docker run --env-file\n\n\
    Either every credential is printed or none is. If one is missing, the shell formats\n\
    print one failing command, so that the `eval` fails as well.")]
pub(crate) struct Args {
    /// How to write it
    #[arg(long, value_enum, default_value = "sh")]
    format: Format,
    /// Export only these credentials
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
}

/// Prints every credential, or one failing command.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let outcome = if args.format == Format::Github {
        github(args, app)
    } else {
        plain(args, app)
    };
    if let (Err(failure), Some(command)) = (
        &outcome,
        args.format
            .failing_command(outcome.as_ref().err().map_or(0, Failure::exit_code)),
    ) && !failure.is_closed_pipe()
    {
        app.output().data(command.as_bytes())?;
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// A misspelt `export` inside an `eval` must fail the `eval` like any other failure, although its
/// arguments could not be understood.
pub(crate) fn fail_early(arguments: &[OsString], code: u8) {
    let words: Vec<&str> = arguments
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .collect();
    if !words.contains(&"export") {
        return;
    }
    let asked =
        words
            .iter()
            .enumerate()
            .find_map(|(at, word)| match word.strip_prefix("--format")? {
                "" => words.get(at + 1).copied(),
                rest => rest.strip_prefix('='),
            });
    let format = asked.map_or(Ok(Format::Sh), |word| Format::from_str(word, true));
    if let Some(command) = format.ok().and_then(|format| format.failing_command(code)) {
        let _ = std::io::stdout().lock().write_all(command.as_bytes());
    }
}

fn plain(args: &Args, app: &App) -> Result<(), Failure> {
    let (credchain, variables) = variables(args, app)?;
    let set = |name: &String| app.env().get(name).is_some();
    let files = variables
        .iter()
        .map(|variable| format!("{}_FILE", variable.env));
    let detours: Vec<String> = files
        .filter(|file| set(file) && !variables.iter().any(|variable| variable.env == *file))
        .collect();
    let mut text = args.format.unset(&detours).into_bytes();
    text.extend_from_slice(&args.format.write(&variables)?);
    let done = app.output().data(&text);
    record(&credchain, &done);
    done
}

fn github(args: &Args, app: &App) -> Result<(), Failure> {
    let Some(file) = app.env().text("GITHUB_ENV").map(PathBuf::from) else {
        return Err(Failure::usage_with(
            "`GITHUB_ENV` is not set",
            "`--format github` is for a step of a GitHub Actions job",
        ));
    };
    let (credchain, variables) = variables(args, app)?;
    let done = write_github(&variables, &file, std::io::stdout().lock());
    record(&credchain, &done);
    Ok(done?)
}

/// Notes how it ended what was recorded before it began.
fn record<T, E>(credchain: &Credchain, done: &Result<T, E>) {
    let failed = || Err(Error::new(Kind::Internal, "it could not be written"));
    let done = done.as_ref().map_or_else(|_| failed(), |_| Ok(()));
    credchain.audit_after(Action::Export, None, None, &done);
}

fn variables(args: &Args, app: &App) -> Result<(Credchain, Vec<Variable>), Failure> {
    let (credchain, names) = app.open_injected(&args.only)?;
    let mut failed: Vec<Error> = credchain.refused_injections(&names);
    let mut variables = Vec::with_capacity(names.len());
    for (name, resolution) in names.iter().zip(app.resolve(&credchain, &names)?) {
        match resolution.result {
            Err(error) => failed.push(super::check::with_advice(&credchain, name, error)),
            Ok(_) if credchain.is_file(name) => failed.push(only_for_exec(name)),
            Ok(value) => {
                let env = credchain.env_name(name);
                variables.push(Variable {
                    name: name.clone(),
                    env,
                    value,
                    secret: credchain.is_secret(name),
                });
            }
        }
    }
    if failed.is_empty() {
        // What cannot be recorded is not printed.
        credchain.audit_before(Action::Export, Destination::Output)?;
        Ok((credchain, variables))
    } else {
        Err(Failure::Credentials(sorted(failed)))
    }
}

/// A file lives as long as the program that it was made for, and here is none.
fn only_for_exec(name: &Name) -> Error {
    Error::new(
        Kind::Unsupported,
        "a credential with `as_file` can only be handed to a program",
    )
    .for_credential(name)
    .with_hint("use `resolve exec`, or name the others with `--only`")
}

/// The most pressing first: it decides the exit code.
fn sorted(mut errors: Vec<Error>) -> Vec<Error> {
    let decisive = failure::kind(&errors);
    errors.sort_by_key(|error| error.kind() != decisive);
    errors
}
