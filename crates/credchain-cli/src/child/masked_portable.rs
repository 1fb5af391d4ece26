//! A program whose output goes through the redactor, where there are no pseudo-terminals: it
//! writes to pipes.

use std::io::{self, IsTerminal as _, Read, Write};
use std::process::{ExitCode, Stdio};
use std::thread;

use super::{Beside, Mask, Program, code, not_started, tell_hidden, waiting};
use crate::commands::redact::copy;
use crate::failure::Failure;

pub(super) fn run(program: &Program<'_>, mask: &Mask, beside: Beside) -> Result<ExitCode, Failure> {
    let mut command = program.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = match command.spawn() {
        Ok(running) => running,
        Err(error) => return Ok(not_started(program.name(), &error)),
    };
    let (output, error) = (running.stdout.take(), running.stderr.take());
    let (status, hidden) = thread::scope(|scope| {
        let output = output.map(|output| scope.spawn(|| hide(output, io::stdout(), mask)));
        let error = error.map(|error| scope.spawn(|| hide(error, io::stderr(), mask)));
        let status = running.wait();
        // A filter that panicked has said so, and shown nothing.
        let filters = output.into_iter().chain(error);
        let hidden: u64 = filters.filter_map(|filter| filter.join().ok()).sum();
        (status, hidden)
    });
    let status = status.map_err(waiting)?;
    beside.finish();
    let leaves_terminal = !(io::stdout().is_terminal() && io::stderr().is_terminal());
    if mask.tells && leaves_terminal {
        tell_hidden(hidden);
    }
    Ok(ExitCode::from(code(status)))
}

/// Hands on one stream of the program, and tells how many secrets were hidden.
fn hide(source: impl Read, sink: impl Write, mask: &Mask) -> u64 {
    let mut stream = mask.stream(false);
    // Whoever reads has seen enough, and the program will find out like we did.
    let _ = copy(source, sink, &mut stream);
    stream.replaced()
}
