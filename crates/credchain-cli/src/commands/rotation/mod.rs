//! `resolve rotation …`

mod register;
mod status;
mod work;

use std::process::ExitCode;

use credchain::{Credchain, Name};

use crate::app::App;
use crate::failure::Failure;

/// Arguments of `rotation`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve rotation status                        how old everything is, the most urgent first\n  \
    resolve rotation status --fail-on urgent       for a pipeline: exit 8 if something is\n  \
    resolve rotation register api_key --created 2026-01-15\n  \
    resolve rotation run db_password --dry-run     what would be done\n  \
    resolve rotation run --due                     for a timer: what it is time for\n\n\
    A rotation that was interrupted, even by a power failure, goes on with `resume`.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Show how old credentials are, and which rotations are under way
    Status(status::Args),
    /// Note when a credential was made that no backend tells the age of
    Register(register::Args),
    /// Replace values: start rotations, or go on with those under way
    Run(work::RunArgs),
    /// Go on with rotations that are under way
    Resume(work::ResumeArgs),
    /// Undo a rotation of which readers have seen nothing yet
    Abort(work::AbortArgs),
    /// Show the rotations that are over
    History(work::HistoryArgs),
}

/// Does what was asked.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    match &args.action {
        Action::Status(args) => status::run(args, app),
        Action::Register(args) => register::run(args, app),
        Action::Run(args) => work::run(args, app),
        Action::Resume(args) => work::resume(args, app),
        Action::Abort(args) => work::abort(args, app),
        Action::History(args) => work::history(args, app),
    }
}

/// The names that were typed, or else all that can be rotated.
fn named(names: &[String], credchain: &Credchain) -> Result<Vec<Name>, Failure> {
    if names.is_empty() {
        return Ok(credchain.rotatable().cloned().collect());
    }
    let declared: Vec<Name> = credchain.project().declared().cloned().collect();
    let mut found = Vec::new();
    for text in names {
        let name = App::name(text)?;
        if !declared.contains(&name) {
            let near = crate::app::nearest(&name, &declared);
            let message = format!("no credential `{name}` is declared");
            return Err(match near {
                Some(near) => Failure::usage_with(message, format!("did you mean `{near}`?")),
                None => Failure::usage(message),
            });
        }
        if !found.contains(&name) {
            found.push(name);
        }
    }
    Ok(found)
}

/// A length of time as typed.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    credchain::parse_duration(text).ok_or_else(|| "a time such as `30d` or `90d`".to_owned())
}
