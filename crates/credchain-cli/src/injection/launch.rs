//! Starting the program: in place of this process, or as a child that is waited for.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{Command, ExitCode};

use super::Beside;
use crate::failure::Failure;

/// Runs the program to its exit code.
pub(super) fn launch(
    command: &[OsString],
    environment: &[(OsString, OsString)],
    beside: Beside,
) -> Result<ExitCode, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::usage("no program was given"));
    };
    let mut child = Command::new(program);
    child
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(k, v)| (k, v)));
    if beside.is_needed() {
        return wait(child, program, beside);
    }
    Ok(replace(child, program))
}

/// Becomes the program: same process, so signals, job control and exit code need no help.
#[cfg(unix)]
fn replace(mut child: Command, program: &OsString) -> ExitCode {
    use std::os::unix::process::CommandExt as _;
    not_started(program, &child.exec())
}

#[cfg(not(unix))]
fn replace(mut child: Command, program: &OsString) -> ExitCode {
    match child.status() {
        Ok(status) => ExitCode::from(code(status)),
        Err(error) => not_started(program, &error),
    }
}

/// Waits for the program because something has to be done beside it, and ended after it.
fn wait(mut child: Command, program: &OsString, beside: Beside) -> Result<ExitCode, Failure> {
    let relay =
        relay::Relay::start().map_err(|error| Failure::io("watching for signals", error))?;
    let mut running = match child.spawn() {
        Ok(running) => running,
        Err(error) => return Ok(not_started(program, &error)),
    };
    relay.to(running.id());
    let status = running
        .wait()
        .map_err(|error| Failure::io("waiting for the program", error))?;
    if let Err(error) = beside.finish() {
        // The program is done, and its code is what counts.
        let _ = writeln!(
            io::stderr().lock(),
            "warning: leases may be left behind: {error}"
        );
    }
    Ok(ExitCode::from(code(status)))
}

/// The program's own code; 128 + n if signal n ended it, as shells say it.
fn code(status: std::process::ExitStatus) -> u8 {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        if let Some(signal) = status.signal() {
            return u8::try_from(128 + signal).unwrap_or(255);
        }
    }
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(255)
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

#[cfg(unix)]
mod relay {
    //! Signals that end this process are passed on, so that it is the program that decides.

    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};

    use rustix::process::{Pid, Signal, kill_process};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    use signal_hook::iterator::Signals;

    pub(super) struct Relay {
        target: Arc<Target>,
    }

    /// The program, once there is one, and a signal that came before.
    #[derive(Default)]
    struct Target {
        child: AtomicI32,
        early: AtomicI32,
    }

    impl Relay {
        pub(super) fn start() -> io::Result<Self> {
            let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])?;
            let target = Arc::new(Target::default());
            let relay = Self {
                target: target.clone(),
            };
            std::thread::Builder::new()
                .name("signals".into())
                .spawn(move || {
                    for signal in signals.forever() {
                        // The terminal sends these two to the whole foreground group by itself.
                        if matches!(signal, SIGINT | SIGQUIT) && on_a_terminal() {
                            continue;
                        }
                        target.early.store(signal, Ordering::SeqCst);
                        target.deliver();
                    }
                })?;
            Ok(relay)
        }

        pub(super) fn to(&self, child: u32) {
            let child = i32::try_from(child).unwrap_or(0);
            self.target.child.store(child, Ordering::SeqCst);
            self.target.deliver();
        }
    }

    impl Target {
        /// Passes on what came, if there is somebody to get it. Whoever comes second, the signal
        /// or the program, finds the other; only one of them takes the signal.
        fn deliver(&self) {
            let Some(pid) = Pid::from_raw(self.child.load(Ordering::SeqCst)) else {
                return;
            };
            if let Some(signal) = Signal::from_named_raw(self.early.swap(0, Ordering::SeqCst)) {
                // It may have ended in between.
                let _ = kill_process(pid, signal);
            }
        }
    }

    /// Wherever standard input comes from: what counts is the terminal that sends signals.
    fn on_a_terminal() -> bool {
        let foreground = std::fs::File::open("/dev/tty")
            .map_err(|_| rustix::io::Errno::NOTTY)
            .and_then(rustix::termios::tcgetpgrp);
        foreground.is_ok_and(|foreground| foreground == rustix::process::getpgrp())
    }
}

#[cfg(not(unix))]
mod relay {
    pub(super) struct Relay;

    impl Relay {
        #[expect(clippy::unnecessary_wraps, reason = "the same face as on Unix")]
        pub(super) fn start() -> std::io::Result<Self> {
            Ok(Self)
        }

        #[expect(clippy::unused_self, reason = "the same face as on Unix")]
        pub(super) fn to(&self, _: u32) {}
    }
}
