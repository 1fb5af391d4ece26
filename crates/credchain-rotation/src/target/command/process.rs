//! One run of a program, from its start to its end, in a process group of its own.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use credchain_core::Clock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use zeroize::Zeroizing;

/// How much of what a program prints is taken.
pub(super) const MAX_OUTPUT: usize = 64 << 10;

/// How long what a program left in its pipes is waited for, after its end: something that it
/// started may hold them open for ever.
const GRACE: Duration = Duration::from_millis(500);

/// Everything that a program is started with.
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) directory: PathBuf,
    /// What it reads.
    pub(super) input: Zeroizing<Vec<u8>>,
}

/// How a run ended.
pub(super) struct Finished {
    /// Nothing if a signal ended it.
    pub(super) exit: Option<i32>,
    /// Nothing if there was more than [`MAX_OUTPUT`].
    pub(super) output: Option<Zeroizing<Vec<u8>>>,
    /// Whether it wrote to stderr. What it wrote is for nobody: it may quote the value.
    pub(super) complained: bool,
}

/// Why there is no [`Finished`].
pub(super) enum Unfinished {
    NotStarted(io::Error),
    /// It was ended, with everything in its group.
    Late,
}

/// A child whose group is ended with it, unless it ended by itself.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // As long as it has not been reaped, its id is nobody else's.
        if let Some(id) = self.0.id() {
            kill_group(id);
        }
    }
}

/// Runs a program to its end, but no longer than `patience`. Dropping the future ends it as well.
pub(super) async fn run(
    launch: Launch,
    patience: Duration,
    clock: &Clock,
) -> Result<Finished, Unfinished> {
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.args)
        .env_clear()
        .envs(launch.env)
        .current_dir(&launch.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut group = Group(command.spawn().map_err(Unfinished::NotStarted)?);
    let done = clock.timeout(patience, converse(&mut group, launch.input, clock));
    done.await
        .ok_or(Unfinished::Late)?
        .map_err(Unfinished::NotStarted)
}

async fn converse(
    group: &mut Group,
    input: Zeroizing<Vec<u8>>,
    clock: &Clock,
) -> io::Result<Finished> {
    let child = &mut group.0;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("a pipe to the program is missing"));
    };
    let mut taken = Taken::default();
    let mut complained = false;
    let status = {
        let pipes = async {
            tokio::join!(
                write(stdin, &input),
                taken.fill(stdout),
                drain(stderr, &mut complained)
            );
        };
        tokio::pin!(pipes);
        tokio::select! {
            biased;
            status = child.wait() => {
                clock.timeout(GRACE, &mut pipes).await;
                status?
            }
            () = &mut pipes => child.wait().await?,
        }
    };
    Ok(Finished {
        exit: status.code(),
        output: taken.into_output(),
        complained,
    })
}

/// A program that does not read what it is given is no error here: it shows in what it answers.
async fn write(mut stdin: ChildStdin, input: &[u8]) {
    let _ = stdin.write_all(input).await;
}

async fn drain(mut pipe: impl AsyncRead + Unpin, anything: &mut bool) {
    let mut chunk = Zeroizing::new(vec![0_u8; 4096]);
    while let Ok(1..) = pipe.read(&mut chunk[..]).await {
        *anything = true;
    }
}

/// What was printed.
struct Taken {
    /// As large as it may become, so that no smaller copy is left behind.
    bytes: Zeroizing<Vec<u8>>,
    too_much: bool,
}

impl Default for Taken {
    fn default() -> Self {
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(MAX_OUTPUT + 4096)),
            too_much: false,
        }
    }
}

impl Taken {
    /// Reads to the end, also what is too much: a program that cannot write does not end.
    async fn fill(&mut self, mut pipe: impl AsyncRead + Unpin) {
        let mut chunk = Zeroizing::new(vec![0_u8; 4096]);
        while let Ok(count @ 1..) = pipe.read(&mut chunk[..]).await {
            if self.bytes.len() + count > MAX_OUTPUT {
                self.too_much = true;
            } else if let Some(read) = chunk.get(..count) {
                self.bytes.extend_from_slice(read);
            }
        }
    }

    fn into_output(self) -> Option<Zeroizing<Vec<u8>>> {
        (!self.too_much).then_some(self.bytes)
    }
}

#[cfg(unix)]
fn kill_group(id: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};

    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It fails only when nobody is left.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

// Where there are no groups, the child itself is ended when it is dropped.
#[cfg(not(unix))]
fn kill_group(_: u32) {}
