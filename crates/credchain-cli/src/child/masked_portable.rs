//! A program whose output goes through the redactor, where there are no pseudo-terminals: it
//! writes to pipes.

use std::io::{self, Read, Write};
use std::process::{ExitCode, Stdio};
use std::thread;

use credchain::redact::Stream;
use zeroize::Zeroizing;

use super::{Beside, Mask, Program, code, not_started, waiting};
use crate::failure::Failure;

const BLOCK: usize = 64 << 10;

pub(super) fn run(program: &Program<'_>, mask: &Mask, beside: Beside) -> Result<ExitCode, Failure> {
    let mut command = program.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = match command.spawn() {
        Ok(running) => running,
        Err(error) => return Ok(not_started(program.name(), &error)),
    };
    let (output, error) = (running.stdout.take(), running.stderr.take());
    let status = thread::scope(|scope| {
        if let Some(output) = output {
            scope.spawn(|| copy(output, io::stdout(), mask.stream(false)));
        }
        if let Some(error) = error {
            scope.spawn(|| copy(error, io::stderr(), mask.stream(false)));
        }
        running.wait()
    })
    .map_err(waiting)?;
    beside.finish();
    Ok(ExitCode::from(code(status)))
}

/// Hands on until either side is closed.
fn copy(mut source: impl Read, mut sink: impl Write, mut stream: Stream) -> io::Result<()> {
    let mut block = Zeroizing::new(vec![0; BLOCK]);
    let mut out = Zeroizing::new(Vec::new());
    loop {
        let count = match source.read(&mut block)? {
            0 => break,
            count => count,
        };
        out.clear();
        stream.push(&block[..count], &mut out);
        sink.write_all(&out)?;
        sink.flush()?;
    }
    out.clear();
    stream.finish(&mut out);
    sink.write_all(&out)?;
    sink.flush()
}
