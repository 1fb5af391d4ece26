//! A child process that serves until it is dropped.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::process::Group;

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(10);

/// A server process. Each of ours stops by itself at the end of its standard input, so that it
/// goes even when the test process is killed; dropping this closes that pipe and waits.
#[derive(Debug)]
pub(super) struct Daemon {
    stdin: Option<ChildStdin>,
    group: Group,
    finished: mpsc::Receiver<()>,
}

impl Daemon {
    /// Starts the command and waits for the line of its output that says it is ready.
    ///
    /// `ready` is shown every line; it answers with what the line tells (a port), or nothing.
    /// A line that `failed` recognizes ends the wait.
    pub(super) fn start<T: Send + 'static>(
        command: &mut Command,
        ready: impl Fn(&str) -> Option<T> + Send + Sync + 'static,
        failed: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<(Self, T), String> {
        let mut group = Group::spawn(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        );
        let log = Arc::new(Mutex::new(String::new()));
        let (told, ready_line) = mpsc::channel();
        let (ended, finished) = mpsc::channel();
        let watch = Arc::new(move |line: &str, log: &Mutex<String>| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(line);
            log.push('\n');
            // Nobody listens any more once the server is up.
            if let Some(found) = ready(line) {
                drop(told.send(Some(found)));
            } else if failed(line) {
                drop(told.send(None));
            }
        });
        let stdout = group.0.stdout.take().expect("standard output is piped");
        let stderr = group.0.stderr.take().expect("standard error is piped");
        for pipe in [Box::new(stdout) as Box<dyn Read + Send>, Box::new(stderr)] {
            let (watch, log, ended) = (Arc::clone(&watch), Arc::clone(&log), ended.clone());
            thread::spawn(move || {
                for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                    watch(&String::from_utf8_lossy(&line), &log);
                }
                drop(watch);
                drop(ended);
            });
        }
        drop((watch, ended));
        let daemon = Self {
            stdin: group.0.stdin.take(),
            group,
            finished,
        };
        if let Ok(Some(found)) = ready_line.recv_timeout(START) {
            return Ok((daemon, found));
        }
        // Its pipes end with it, and then the log is complete.
        drop(daemon);
        let log = log.lock().unwrap_or_else(PoisonError::into_inner);
        Err(format!(
            "{} did not start:\n{log}",
            command.get_program().display()
        ))
    }

    /// The number of the process that was started.
    pub(super) fn id(&self) -> u32 {
        self.group.0.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Both pipes at their end: the process is gone. If that takes too long, `Group` kills.
        let _ = self.finished.recv_timeout(STOP);
    }
}
