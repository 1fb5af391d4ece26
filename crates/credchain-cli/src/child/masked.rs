//! A program whose output goes through the redactor, and that does not notice.
//!
//! Whatever is a terminal stays one. If the user types to the program, it gets a pseudo-terminal of
//! its own, with a session of its own on it ([`session`]); ours hands on every key. If only output
//! goes to the terminal, the pseudo-terminal is for that output alone, and everything else is as it
//! was: the program stays in our process group, and is sent signals and asked for passwords by the
//! terminal itself. What is not a terminal becomes a pipe.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::fs::{Stat, fstat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, getpgrp, kill_process, kill_process_group};
use rustix::stdio::{stderr, stdin, stdout};

use super::filter::{Filter, Filtered, type_on};
use super::pty::{Pty, Raw, Terminals, is_foreground};
use super::relay::{Relay, Screen};
use super::{
    Beside, Mask, Program, follow, not_started, session, tell_hidden, wait, waiting, warn, watching,
};
use crate::failure::Failure;

/// The program's ends of everything, and ours.
struct Plumbing {
    filters: Vec<Filter>,
    pty: Option<Pty>,
    /// Whether the user types to the program.
    is_session: bool,
    /// Whether a file or a pipe gets some of it.
    leaves_terminal: bool,
    output: Stdio,
    error: Stdio,
}

pub(super) fn run(program: &Program<'_>, mask: &Mask, beside: Beside) -> Result<ExitCode, Failure> {
    let plumbing = Plumbing::lay(mask)
        .map_err(|error| Failure::io("setting up the program's output to be masked", error))?;
    let relay = Relay::start(plumbing.screen().map_err(watching)?).map_err(watching)?;
    let raw = if plumbing.is_session {
        Some(Raw::enter().map_err(|error| Failure::io("preparing the terminal", error))?)
    } else {
        None
    };
    let tells = mask.tells && plumbing.leaves_terminal;
    let (mut command, ours) = plumbing.connect(program).map_err(waiting)?;
    let running = command.spawn();
    // The program's ends are to be the program's alone, or there is no end of its output.
    drop(command);
    let running = match running {
        Ok(running) => running,
        Err(error) => {
            drop(raw);
            return Ok(not_started(program.name(), &error));
        }
    };
    let pid = Pid::from_child(&running);
    relay.to(pid);
    let ours = ours.start().map_err(waiting)?;
    let code = match &raw {
        Some(raw) => wait::for_child(pid, |leader, _| suspend(raw, leader)),
        None => wait::for_child(pid, wait::stop_with_it),
    }
    .map_err(waiting)?;
    let outcome = ours.finish();
    drop(raw);
    beside.finish();
    let code = outcome.tell(code, tells);
    for filter in outcome.open {
        follow::leave_behind(filter);
    }
    Ok(ExitCode::from(code))
}

impl Plumbing {
    fn lay(mask: &Mask) -> io::Result<Self> {
        let terminals = Terminals::look();
        let is_session = terminals.input && terminals.output && is_foreground(stdin());
        let mut filters = Vec::new();
        let pty = match terminals.screen() {
            Some(screen) => {
                let pty = Pty::like(screen)?;
                let pty = if is_session { pty } else { pty.plain()? };
                filters.push(Filter {
                    source: pty.master.try_clone()?,
                    sink: screen,
                    stream: mask.stream(true),
                });
                Some(pty)
            }
            None => None,
        };
        let slave = || -> io::Result<Option<OwnedFd>> {
            pty.as_ref().map(|pty| pty.slave.try_clone()).transpose()
        };
        let mut pipe = |sink| -> io::Result<OwnedFd> {
            let (source, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
            filters.push(Filter {
                source,
                sink,
                stream: mask.stream(false),
            });
            Ok(theirs)
        };
        let mut piped = None;
        let output = if let Some(slave) = slave()?.filter(|_| terminals.output) {
            Stdio::from(slave)
        } else {
            let theirs = pipe(stdout())?;
            piped = Some(theirs.try_clone()?);
            theirs.into()
        };
        let error = match (slave()?.filter(|_| terminals.error), piped) {
            (Some(slave), _) => Stdio::from(slave),
            // One way for both keeps the order of what is written to them.
            (None, Some(same)) if is_same_file() => same.into(),
            (None, _) => pipe(stderr())?.into(),
        };
        Ok(Self {
            filters,
            pty,
            is_session,
            leaves_terminal: !(terminals.output && terminals.error),
            output,
            error,
        })
    }

    fn screen(&self) -> io::Result<Option<Screen>> {
        let Some(pty) = &self.pty else {
            return Ok(None);
        };
        Ok(Some(Screen {
            master: pty.master.try_clone()?,
            is_controlling: self.is_session,
        }))
    }

    /// What is to be started, and our ends for when it has been.
    fn connect(self, program: &Program<'_>) -> io::Result<(Command, Ours)> {
        let mut command = if self.is_session {
            session::command(program)?
        } else {
            program.command()
        };
        command.stdout(self.output).stderr(self.error);
        let mut keys = None;
        if let Some(pty) = self.pty.filter(|_| self.is_session) {
            command.stdin(pty.slave);
            keys = Some(pty.master);
        }
        let ours = Ours {
            filters: self.filters,
            keys,
        };
        Ok((command, ours))
    }
}

/// Our ends.
struct Ours {
    filters: Vec<Filter>,
    /// Where to put what is typed.
    keys: Option<OwnedFd>,
}

/// What goes on while the program runs.
struct Working {
    filters: Vec<JoinHandle<Filtered>>,
    /// Closed when the program has ended.
    running: OwnedFd,
}

impl Ours {
    fn start(self) -> io::Result<Working> {
        let (ended, running) = pipe_with(PipeFlags::CLOEXEC)?;
        let ended = Arc::new(ended);
        if let Some(keys) = self.keys {
            // It waits for keys until this process ends.
            drop(type_on(keys, ended.clone())?);
        }
        let start = |filter: Filter| filter.start(ended.clone());
        let filters = self.filters.into_iter().map(start);
        Ok(Working {
            filters: filters.collect::<io::Result<_>>()?,
            running,
        })
    }
}

/// What all filters did.
struct Outcome {
    hidden: u64,
    failed: Option<Errno>,
    /// What the program's own children can still write to.
    open: Vec<Filter>,
}

impl Working {
    fn finish(self) -> Outcome {
        drop(self.running);
        let mut outcome = Outcome {
            hidden: 0,
            failed: None,
            open: Vec::new(),
        };
        for filter in self.filters {
            // A filter that panicked has said so, and shown nothing.
            if let Ok(filtered) = filter.join() {
                outcome.hidden += filtered.hidden;
                outcome.failed = outcome.failed.or(filtered.failed);
                outcome.open.extend(filtered.open);
            }
        }
        outcome
    }
}

impl Outcome {
    /// Says what the user could not know, and tells the code to end with.
    fn tell(&self, code: u8, tells: bool) -> u8 {
        if let Some(error) = self.failed {
            warn(&format!(
                "the program's output could not be written: {}",
                io::Error::from(error)
            ));
            // It believes that everything was written.
            return code.max(1);
        }
        if tells {
            tell_hidden(self.hidden);
        }
        code
    }
}

/// Stops with the program, whose session is not the shell's, and goes on with it.
fn suspend(raw: &Raw, leader: Pid) {
    if wait::has_job_control() {
        raw.leave();
        let _ = kill_process_group(getpgrp(), Signal::STOP);
        raw.again();
    }
    let _ = kill_process(leader, Signal::CONT);
}

/// Whether standard output and standard error go to the same place, as with `2>&1`.
fn is_same_file() -> bool {
    let place = |stat: Stat| (stat.st_dev, stat.st_ino);
    match (fstat(stdout()), fstat(stderr())) {
        (Ok(output), Ok(error)) => place(output) == place(error),
        _ => false,
    }
}
