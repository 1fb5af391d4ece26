//! The `resolve` command: credentials through one ordered chain of providers.

mod app;
mod child;
mod cli;
mod commands;
mod declare;
mod doctor;
mod export;
mod failure;
mod fast;
mod files;
mod ignore;
mod injection;
mod log;
mod output;
mod progress;
mod shell;
mod target;
mod terminal;

use std::process::ExitCode;

use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    harden();
    let arguments: Vec<_> = std::env::args_os().collect();
    #[cfg(unix)]
    if let Some(code) = child::session::lead(&arguments) {
        return code;
    }
    // Building clap's command tree costs more than a whole look-up in the environment does, so
    // commands that sit in loops and prompts go past it.
    let parsed = match fast::parse(&arguments) {
        Some(parsed) => Ok(parsed),
        None => cli::parse(&arguments),
    };
    let (global, command) = match parsed {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    log::start(&global);
    let output = Output::new(&global);
    let own_codes = command.uses_childs_codes();
    let app = App::new(global, output.clone());
    match commands::run(command, &app) {
        _ if app.was_interrupted() => finish(&Failure::Interrupted, &output, own_codes),
        Ok(code) => code,
        Err(failure) => finish(&failure, &output, own_codes),
    }
}

fn finish(failure: &Failure, output: &Output, own_codes: bool) -> ExitCode {
    // Whoever reads our output has seen enough: `resolve list | head -1` is no failure.
    if failure.is_closed_pipe() {
        return ExitCode::SUCCESS;
    }
    output.failure(failure);
    // `exec` leaves all codes to its child but 125: see `docs/cli.md`.
    ExitCode::from(if own_codes { 125 } else { failure.exit_code() })
}

/// Keeps values out of core dumps and away from other processes' debuggers. A refusal is no
/// reason to stop: it only means less protection, on a system that offers none.
///
/// A panic tells where it happened and nothing more: its message could quote anything.
fn harden() {
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write as _;
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = writeln!(
            std::io::stderr().lock(),
            "error: a defect in credchain, at {place}"
        );
    }));
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
