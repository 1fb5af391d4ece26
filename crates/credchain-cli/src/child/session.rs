//! The session that a program has on a terminal of its own.
//!
//! A program that is stopped by a key has to have a parent in its session that notices, or the
//! kernel does not stop it. That parent is this program once more, which leads the session, has the
//! program for its only job, and stops when it stops, so that whoever waits for the leader knows.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::sys::signal::{SigSet, Signal as Blocked};
use rustix::process::{
    Pid, Signal, getpgrp, getpid, ioctl_tiocsctty, kill_process, kill_process_group, setsid,
};
use rustix::stdio::stdin;
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use super::relay::Relay;
use super::{Program, not_started, wait};

/// The first argument of a leader.
const LEAD: &str = "--lead-session";

/// The command that starts a program as the job of a new leader.
pub(super) fn command(program: &Program<'_>) -> io::Result<Command> {
    // Stays the same program when the file is replaced meanwhile.
    let this = if cfg!(target_os = "linux") {
        "/proc/self/exe".into()
    } else {
        std::env::current_exe()?
    };
    let mut command = Command::new(this);
    command.arg0("resolve").arg(LEAD).args(program.command);
    program.give_environment(&mut command);
    Ok(command)
}

/// Leads a session, if that is what this process was started for.
pub(crate) fn lead(arguments: &[OsString]) -> Option<ExitCode> {
    let (first, command) = arguments.get(1..)?.split_first()?;
    if first != OsStr::new(LEAD) {
        return None;
    }
    let (program, rest) = command.split_first()?;
    let mut job = Command::new(program);
    job.args(rest);
    Some(run(job, program).unwrap_or_else(|error| {
        super::warn(&format!("no session on a terminal: {error}"));
        ExitCode::from(125)
    }))
}

fn run(mut job: Command, program: &OsString) -> io::Result<ExitCode> {
    setsid()?;
    ioctl_tiocsctty(stdin())?;
    let relay = Relay::start(None)?;
    let child = match job.process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => return Ok(not_started(program, &error)),
    };
    let pid = Pid::from_child(&child);
    // It may have ended already.
    let _ = tcsetpgrp(stdin(), pid);
    relay.to(pid);
    let code = wait::for_child(pid, |child, signal| {
        if !wait::is_from_terminal(signal) {
            return;
        }
        let has_terminal = tcgetpgrp(stdin()).is_ok_and(|group| group == child);
        if has_terminal && signal != Signal::TSTP {
            // It used the terminal before it was given to it.
            let _ = kill_process_group(child, Signal::CONT);
        } else {
            stop_with(child);
        }
    })?;
    take_terminal_back();
    Ok(ExitCode::from(code))
}

/// Stops, so that whoever waits for this process learns of it; goes on with the job.
fn stop_with(child: Pid) {
    let _ = kill_process(getpid(), Signal::STOP);
    if let Ok(foreground) = tcgetpgrp(stdin()) {
        let _ = kill_process_group(foreground, Signal::CONT);
    }
    let _ = kill_process_group(child, Signal::CONT);
}

/// When the leader of a session ends, the foreground group of its terminal is hung up on. That
/// is not to be what the program left running.
fn take_terminal_back() {
    let mut blocked = SigSet::empty();
    blocked.add(Blocked::SIGTTOU);
    if blocked.thread_block().is_ok() {
        let _ = tcsetpgrp(stdin(), getpgrp());
    }
}
