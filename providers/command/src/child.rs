//! A child process in a group of its own, which can always be ended and is always reaped.
//!
//! Plain threads do the waiting, not the runtime: a long-lived child outlives the runtime that
//! asked for it (each blocking call of the library has one of its own), and it must be reaped
//! even when no runtime is left.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use crate::pipe::{Bell, FromChild, Ringer, ToChild, bell};

/// Everything that a process is started with.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) directory: PathBuf,
    /// Whether processes that the child left in its group are ended with it.
    pub(crate) sweep: bool,
    /// Whether it gets something to read. Otherwise its stdin is the null device: there are tools
    /// that take any pipe, even an empty one, for a value to be stored.
    pub(crate) stdin: bool,
}

/// A started child: its handle and its three pipes.
pub(crate) struct Started {
    pub(crate) handle: Handle,
    pub(crate) stdin: Option<ToChild<ChildStdin>>,
    pub(crate) stdout: FromChild<ChildStdout>,
    pub(crate) stderr: FromChild<ChildStderr>,
}

/// Ends a child and knows when it ended. Clones are handles to the same child.
#[derive(Clone, Debug)]
pub(crate) struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` once the child has been reaped: from then on its id may be another's.
    child: Mutex<Option<Child>>,
    reaped: Condvar,
    exit: watch::Sender<Option<Ended>>,
}

/// How a child ended; `None` if the system did not tell (a program that ignores `SIGCHLD`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended(pub(crate) Option<ExitStatus>);

/// Starts a process in a group of its own.
pub(crate) fn start(launch: &Launch) -> io::Result<Started> {
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.args)
        .env_clear()
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.directory)
        .stdin(if launch.stdin {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);

    let (ringer, bell) = bell()?;
    let mut child = command.spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let handle = Handle(Arc::new(Inner {
        child: Mutex::new(Some(child)),
        reaped: Condvar::new(),
        exit: watch::Sender::new(None),
    }));
    handle.supervise(ringer, launch.sweep)?;
    let (stdin, Some(stdout), Some(stderr)) = pipes else {
        handle.kill();
        return Err(io::Error::other("a pipe to the child is missing"));
    };
    let stdin = stdin
        .map(|pipe| ToChild::new(pipe, Bell::clone(&bell)))
        .transpose()
        .inspect_err(|_| handle.kill())?;
    Ok(Started {
        handle,
        stdin,
        stdout: FromChild::new(stdout, bell.clone()),
        stderr: FromChild::new(stderr, bell),
    })
}

/// Runs `work` on a thread of its own.
pub(crate) fn background(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(name.into())
        .stack_size(256 * 1024)
        .spawn(work)
        .map(drop)
}

impl Handle {
    /// Ends the child and everything in its group, at once. Does nothing once it is reaped.
    pub(crate) fn kill(&self) {
        if let Some(child) = self.child().as_mut() {
            kill_group(child);
        }
    }

    /// Waits on this thread; true if the child has been reaped in time.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let still_there = |child: &mut Option<Child>| child.is_some();
        self.0
            .reaped
            .wait_timeout_while(self.child(), patience, still_there)
            .is_ok_and(|(child, _)| child.is_none())
    }

    /// Waits until the child has been reaped.
    pub(crate) async fn exited(&self) -> Ended {
        let mut exit = self.0.exit.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        exit.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|ended| *ended)
            .unwrap_or(Ended(None))
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reaps the child when it ends, and rings.
    fn supervise(&self, ringer: Ringer, sweep: bool) -> io::Result<()> {
        let handle = self.clone();
        background("credchain-reaper", move || {
            let status = handle.reap(sweep);
            drop(ringer);
            handle.0.exit.send_replace(Some(Ended(status)));
        })
        .inspect_err(|_| {
            // Without a thread to reap it the child is ended and reaped here.
            if let Some(mut child) = self.child().take() {
                kill_group(&mut child);
                let _ = child.wait();
            }
        })
    }

    #[cfg(unix)]
    fn reap(&self, sweep: bool) -> Option<ExitStatus> {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

        let id = self.child().as_ref().map(Child::id)?;
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw)?;
        // The child is left a zombie for a moment: as long as it is one, its id is nobody else's,
        // and signalling its group cannot hit a stranger.
        let zombie = loop {
            match waitid(
                WaitId::Pid(pid),
                WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            ) {
                Err(rustix::io::Errno::INTR) => {}
                outcome => break outcome.is_ok(),
            }
        };
        let mut guard = self.child();
        let mut child = guard.take()?;
        if sweep && zombie {
            kill_group(&mut child);
        }
        let status = child.wait().ok();
        self.0.reaped.notify_all();
        status
    }

    #[cfg(not(unix))]
    fn reap(&self, _sweep: bool) -> Option<ExitStatus> {
        loop {
            {
                let mut guard = self.child();
                let ended = guard.as_mut()?.try_wait();
                if !matches!(ended, Ok(None)) {
                    *guard = None;
                    self.0.reaped.notify_all();
                    return ended.ok().flatten();
                }
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(unix)]
fn kill_group(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};

    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It fails only when nobody is left.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill_group(child: &mut Child) {
    let _ = child.kill();
}
