//! Signals meant for the program that come to this process are passed on, so that it is the
//! program that decides.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{
    SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::Signals;

use super::pty;

const PASSED_ON: [i32; 9] = [
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH,
];

/// Passes signals on until the process ends.
pub(super) struct Relay {
    target: Arc<Target>,
}

/// The terminal that the program has instead of ours.
pub(super) struct Screen {
    /// Its other side, to tell it the size of ours.
    pub(super) master: OwnedFd,
    /// Whether it makes signals of keys and sizes itself, because the program was started as the
    /// owner of it.
    pub(super) is_controlling: bool,
}

/// The program, once there is one, and a signal that came before.
#[derive(Default)]
struct Target {
    child: AtomicI32,
    early: AtomicI32,
}

impl Relay {
    pub(super) fn start(screen: Option<Screen>) -> io::Result<Self> {
        let mut signals = Signals::new(PASSED_ON)?;
        let target = Arc::new(Target::default());
        let relay = Self {
            target: target.clone(),
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    if is_for_child(signal, screen.as_ref()) {
                        target.early.store(signal, Ordering::SeqCst);
                        target.deliver();
                    }
                }
            })?;
        Ok(relay)
    }

    /// Says whom the signals are for.
    pub(super) fn to(&self, child: Pid) {
        let child = child.as_raw_nonzero().get();
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

/// Whether the program does not get the signal without us.
fn is_for_child(signal: i32, screen: Option<&Screen>) -> bool {
    let is_apart = screen.is_some_and(|screen| screen.is_controlling);
    match signal {
        SIGWINCH => {
            let Some(screen) = screen else {
                return false;
            };
            // It looks at the size when it gets the signal, so that this comes first; the signal
            // that it got together with us was too early.
            pty::copy_size(&screen.master);
            !screen.is_controlling
        }
        // The terminal sends these two to the whole foreground group by itself.
        SIGINT | SIGQUIT => is_apart || !in_foreground(),
        _ => true,
    }
}

/// Wherever standard input comes from: what counts is the terminal that sends signals.
fn in_foreground() -> bool {
    std::fs::File::open("/dev/tty").is_ok_and(pty::is_foreground)
}
