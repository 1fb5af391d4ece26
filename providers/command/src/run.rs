//! One run of a process, from its start to its end.

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::child::{self, Handle, Launch};
use crate::pipe::{read_all, read_head, write_all};

/// How much of stderr the rules get to see.
const MAX_STDERR: usize = 64 * 1024;

/// How a run ended.
pub(crate) struct Finished {
    pub(crate) exit: Option<i32>,
    /// `None` if there was more than the cap.
    pub(crate) stdout: Option<Zeroizing<Vec<u8>>>,
    pub(crate) stderr: Vec<u8>,
}

/// Ends the child's group unless it finished by itself.
struct Guard(Option<Handle>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.kill();
        }
    }
}

/// Runs a process to its end. Dropping the future ends the process; a thread reaps it.
pub(crate) async fn run(
    launch: &Launch,
    input: Zeroizing<Vec<u8>>,
    cap: usize,
) -> std::io::Result<Finished> {
    let mut started = child::start(launch)?;
    let mut guard = Guard(Some(started.handle.clone()));
    let (stdout_sender, stdout) = oneshot::channel();
    let (stderr_sender, stderr) = oneshot::channel();
    let ended = started.handle.clone();
    child::background("credchain-command-in", move || {
        if let Some(stdin) = &mut started.stdin {
            write_all(stdin, &input);
        }
    })?;
    child::background("credchain-command-err", move || {
        let _ = stderr_sender.send(read_head(&mut started.stderr, MAX_STDERR).0);
    })?;
    child::background("credchain-command-out", move || {
        let read = read_all(&mut started.stdout, cap);
        if read.is_none() {
            ended.kill();
        }
        let _ = stdout_sender.send(read.map(crate::pipe::Buffer::into_inner));
    })?;
    let exit = started
        .handle
        .exited()
        .await
        .0
        .and_then(|status| status.code());
    guard.0 = None;
    let lost = |_| std::io::Error::other("a pipe to the command was lost");
    Ok(Finished {
        exit,
        stdout: stdout.await.map_err(lost)?,
        stderr: stderr.await.map_err(lost)?,
    })
}
