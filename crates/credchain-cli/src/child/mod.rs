//! Running a program: in place of this process, or as a child that is waited for, its output as
//! it is or without secrets.

#[cfg(unix)]
mod filter;
#[cfg(unix)]
mod follow;
#[cfg(unix)]
mod masked;
#[cfg(not(unix))]
#[path = "masked_portable.rs"]
mod masked;
#[cfg(unix)]
mod pty;
#[cfg(unix)]
mod relay;
#[cfg(unix)]
pub(crate) mod session;
#[cfg(unix)]
mod wait;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{Command, ExitCode};

use credchain::redact::{Redactor, Stream};
use credchain::{Error, LeaseKeeper};

use crate::failure::Failure;
use crate::injection::SecretFiles;

/// What to run, with which environment.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) command: &'a [OsString],
    pub(crate) environment: &'a [(OsString, OsString)],
}

/// How to hide secrets in what a program writes.
#[derive(Debug)]
pub(crate) struct Mask {
    pub(crate) redactor: Redactor,
    /// Whether to look for patterns on a terminal too, where a key that may begin one then waits
    /// for the next.
    pub(crate) patterns_on_terminals: bool,
    /// Whether to say at the end that something was hidden where it is not expected.
    pub(crate) tells: bool,
}

/// What has to go on beside the program, and to end with it.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) files: SecretFiles,
    pub(crate) leases: Option<LeaseKeeper>,
}

impl Program<'_> {
    fn name(&self) -> &OsString {
        // Checked by `launch` before anything else.
        &self.command[0]
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.name());
        command.args(&self.command[1..]);
        self.give_environment(&mut command);
        command
    }

    fn give_environment(&self, command: &mut Command) {
        command.env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }
}

impl Mask {
    fn stream(&self, to_terminal: bool) -> Stream {
        if to_terminal && !self.patterns_on_terminals {
            self.redactor.stream_of_values()
        } else {
            self.redactor.stream()
        }
    }
}

impl Beside {
    fn is_needed(&self) -> bool {
        self.files.need_cleaning() || self.leases.is_some()
    }

    /// The program is done, and its code is what counts.
    fn finish(self) {
        drop(self.files);
        let ended: Result<(), Error> = self.leases.map_or(Ok(()), LeaseKeeper::finish);
        if let Err(error) = ended {
            warn(&format!("leases may be left behind: {error}"));
        }
    }
}

/// Runs the program to its exit code.
pub(crate) fn launch(
    program: &Program<'_>,
    mask: Option<&Mask>,
    beside: Beside,
) -> Result<ExitCode, Failure> {
    if program.command.is_empty() {
        return Err(Failure::usage("no program was given"));
    }
    match mask {
        Some(mask) => masked::run(program, mask, beside),
        None if beside.is_needed() => run_beside(program, beside),
        None => Ok(replace(program)),
    }
}

/// Becomes the program: same process, so signals, job control and exit code need no help.
#[cfg(unix)]
fn replace(program: &Program<'_>) -> ExitCode {
    use std::os::unix::process::CommandExt as _;
    not_started(program.name(), &program.command().exec())
}

#[cfg(not(unix))]
fn replace(program: &Program<'_>) -> ExitCode {
    match program.command().status() {
        Ok(status) => ExitCode::from(code(status)),
        Err(error) => not_started(program.name(), &error),
    }
}

/// Waits for the program because something has to be done beside it, and ended after it.
#[cfg(unix)]
fn run_beside(program: &Program<'_>, beside: Beside) -> Result<ExitCode, Failure> {
    let relay = relay::Relay::start(None).map_err(watching)?;
    let running = match program.command().spawn() {
        Ok(running) => running,
        Err(error) => return Ok(not_started(program.name(), &error)),
    };
    let pid = rustix::process::Pid::from_child(&running);
    relay.to(pid);
    let code = wait::for_child(pid, wait::stop_with_it).map_err(waiting)?;
    beside.finish();
    Ok(ExitCode::from(code))
}

#[cfg(not(unix))]
fn run_beside(program: &Program<'_>, beside: Beside) -> Result<ExitCode, Failure> {
    let status = match program.command().status() {
        Ok(status) => status,
        Err(error) => return Ok(not_started(program.name(), &error)),
    };
    beside.finish();
    Ok(ExitCode::from(code(status)))
}

#[cfg(not(unix))]
fn code(status: std::process::ExitStatus) -> u8 {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(255)
}

/// As shells do: 127 for a program that does not exist, 126 for one that cannot be executed.
fn not_started(program: &OsString, error: &io::Error) -> ExitCode {
    let missing = error.kind() == io::ErrorKind::NotFound;
    let name = crate::output::printable(&program.to_string_lossy());
    let what = match error.kind() {
        io::ErrorKind::NotFound => "no such program".to_owned(),
        io::ErrorKind::ArgumentListTooLong => {
            "the arguments and the environment are too long together".to_owned()
        }
        _ => error.to_string(),
    };
    let _ = writeln!(io::stderr().lock(), "error: cannot run `{name}`: {what}");
    ExitCode::from(if missing { 127 } else { 126 })
}

/// Says that something was masked, if it was.
fn tell_hidden(count: u64) {
    let (secrets, them) = match count {
        0 => return,
        1 => ("one secret".to_owned(), "it"),
        many => (format!("{many} secrets"), "them"),
    };
    warn(&format!(
        "{secrets} masked in what the program wrote; `--no-mask` shows {them}"
    ));
}

/// A word about what went on beside the program.
fn warn(text: &str) {
    let _ = writeln!(io::stderr().lock(), "warning: {text}");
}

#[cfg(unix)]
fn watching(error: io::Error) -> Failure {
    Failure::io("watching for signals", error)
}

fn waiting(error: io::Error) -> Failure {
    Failure::io("waiting for the program", error)
}
