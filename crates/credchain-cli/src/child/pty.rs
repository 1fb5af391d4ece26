//! Pseudo-terminals: what the program writes to instead of the terminal that it is shown on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
    tcsetwinsize,
};

/// Both sides of a pseudo-terminal.
#[derive(Debug)]
pub(super) struct Pty {
    /// Our side: what the program writes comes out here.
    pub(super) master: OwnedFd,
    /// The program's side.
    pub(super) slave: OwnedFd,
}

impl Pty {
    /// A pseudo-terminal like the terminal `like`.
    pub(super) fn like(like: BorrowedFd<'_>) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name, flags, Mode::empty())?;
        tcsetattr(&slave, OptionalActions::Now, &tcgetattr(like)?)?;
        copy_size(&master);
        Ok(Self { master, slave })
    }

    /// Lets everything that is written come out as it is: the terminal behind it does the rest.
    pub(super) fn plain(self) -> io::Result<Self> {
        let mut modes = tcgetattr(&self.slave)?;
        modes.output_modes -= OutputModes::OPOST;
        tcsetattr(&self.slave, OptionalActions::Now, &modes)?;
        Ok(self)
    }
}

/// Gives a pseudo-terminal the size of the terminal that this process has.
pub(super) fn copy_size(master: &OwnedFd) {
    let mut ours = [stdout(), stderr(), stdin()].into_iter();
    let size = ours.find_map(|fd| tcgetwinsize(fd).ok());
    if let Some(size) = size {
        let _ = tcsetwinsize(master, size);
    }
}

/// Whether this process is what the terminal's user speaks to.
pub(super) fn is_foreground(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// The terminal on standard input, handing on every key as it is; as it was when dropped.
#[derive(Debug)]
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let raw = Self { before };
        raw.again();
        Ok(raw)
    }

    /// Goes back to handing on keys, in the foreground: from the background it would be the end.
    pub(super) fn again(&self) {
        if is_foreground(stdin()) {
            let mut modes = self.before.clone();
            modes.make_raw();
            let _ = tcsetattr(stdin(), OptionalActions::Now, &modes);
        }
    }

    /// The terminal as it was, for somebody else.
    pub(super) fn leave(&self) {
        if is_foreground(stdin()) {
            let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.before);
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Which of the standard streams are a terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminals {
    pub(super) input: bool,
    pub(super) output: bool,
    pub(super) error: bool,
}

impl Terminals {
    pub(super) fn look() -> Self {
        Self {
            input: isatty(stdin()),
            output: isatty(stdout()),
            error: isatty(stderr()),
        }
    }

    /// The one that output goes to.
    pub(super) fn screen(self) -> Option<BorrowedFd<'static>> {
        if self.output {
            Some(stdout())
        } else {
            self.error.then(stderr)
        }
    }
}
