//! Waiting for a child as a shell waits for its job: it may stop and go on before it ends.

use std::io;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpgrp, getpid, getsid, kill_process, waitpid,
};

/// How long a child that was stopped is given to be continued together with this process, before
/// this process stops like it.
const TOGETHER: Duration = Duration::from_millis(20);

/// Waits for the child's end and tells its code: 128 + n if signal n ended it, as shells say it.
/// When it is stopped, `stopped` does what is to be done, and continues it.
pub(super) fn for_child(child: Pid, mut stopped: impl FnMut(Pid, Signal)) -> io::Result<u8> {
    loop {
        let status = next(child)?;
        if let Some(code) = code(status) {
            return Ok(code);
        }
        if let Some(signal) = status.stopping_signal().and_then(Signal::from_named_raw) {
            stopped(child, signal);
        }
    }
}

/// Whether it is a terminal that stops with this signal. What was stopped by `kill -STOP` is
/// somebody's doing who will continue it.
pub(super) fn is_from_terminal(signal: Signal) -> bool {
    matches!(signal, Signal::TSTP | Signal::TTIN | Signal::TTOU)
}

/// The next change of a child's state. As the first process of a container, this one also takes
/// leave of everything that was orphaned there.
fn next(child: Pid) -> io::Result<WaitStatus> {
    loop {
        let changed = if getpid() == Pid::INIT {
            rustix::process::wait(WaitOptions::UNTRACED)
        } else {
            waitpid(Some(child), WaitOptions::UNTRACED)
        };
        match changed {
            Ok(Some((pid, status))) if pid == child => return Ok(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The exit code of a child that has ended.
fn code(status: WaitStatus) -> Option<u8> {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => return None,
    };
    Some(u8::try_from(code).unwrap_or(255))
}

/// Stops this process because the terminal stopped the child, and continues both when the shell
/// continues this one.
pub(super) fn stop_with_it(child: Pid, signal: Signal) {
    if !is_from_terminal(signal) {
        return;
    }
    // The shell continues one of the group after the other; this one may be the first.
    thread::sleep(TOGETHER);
    let continued = waitpid(Some(child), WaitOptions::CONTINUED | WaitOptions::NOHANG);
    if matches!(continued, Ok(Some(_))) {
        return;
    }
    if has_job_control() {
        let _ = kill_process(getpid(), Signal::STOP);
    }
    let _ = kill_process(child, Signal::CONT);
}

/// Whether a shell would continue what is stopped here.
pub(super) fn has_job_control() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}
