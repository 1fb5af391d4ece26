//! Processes that always end.

use std::io::{Read, Write as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs a command to its end, feeding and draining its pipes at the same time.
#[track_caller]
pub(crate) fn run(
    mut command: Command,
    stdin: &[u8],
    timeout: Duration,
) -> (ExitStatus, Vec<u8>, Vec<u8>) {
    let mut child = Group::spawn(&mut command);
    let mut input = child.0.stdin.take().expect("standard input is piped");
    let stdout = drain(child.0.stdout.take().expect("standard output is piped"));
    let stderr = drain(child.0.stderr.take().expect("standard error is piped"));
    thread::scope(|scope| {
        // A program that does not read its input is no failure of the test.
        scope.spawn(move || drop(input.write_all(stdin)));
        let mut late = |_| {
            child.kill();
            panic!("{command:?} was ended after {timeout:?}")
        };
        // Its pipes close when it ends, unless it handed them on; so wait for them first.
        let stdout = stdout.recv_timeout(timeout).unwrap_or_else(&mut late);
        let stderr = stderr.recv_timeout(timeout).unwrap_or_else(&mut late);
        let status = child.0.wait().expect("a child can be waited for");
        (status, stdout, stderr)
    })
}

fn drain(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        // The receiver is gone only when the test failed already.
        drop(sender.send(bytes));
    });
    receiver
}

/// A child in a process group of its own, which is killed as a whole when this is dropped.
#[derive(Debug)]
pub(crate) struct Group(pub(crate) Child);

impl Group {
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) => panic!(
                "{} cannot be started: {error}",
                command.get_program().display()
            ),
        }
    }

    pub(crate) fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            // Fails only when every process of the group is gone.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        #[cfg(not(unix))]
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
