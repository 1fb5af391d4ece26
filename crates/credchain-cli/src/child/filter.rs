//! Hands on what the program writes, without secrets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use credchain::redact::Stream;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// How much is taken at a time: what a pipe holds.
const BLOCK: usize = 64 << 10;

/// How much of what is typed is taken at a time.
const KEYS: usize = 4 << 10;

/// One way from the program to where it would have written itself.
pub(super) struct Filter {
    pub(super) source: OwnedFd,
    pub(super) sink: BorrowedFd<'static>,
    pub(super) stream: Stream,
}

/// What came of a filter.
pub(super) struct Filtered {
    /// How many secrets were hidden.
    pub(super) hidden: u64,
    /// Why it could not write on.
    pub(super) failed: Option<Errno>,
    /// The filter, if something that the program left running may still write to it.
    pub(super) open: Option<Filter>,
}

impl Filter {
    /// Works until the program's side is closed, or the program has ended and everything that it
    /// wrote is handed on: what it has started may keep its side open for ever.
    pub(super) fn start(self, ended: Arc<OwnedFd>) -> io::Result<JoinHandle<Filtered>> {
        let work = move || self.run(&ended);
        thread::Builder::new().name("output".into()).spawn(work)
    }

    fn run(mut self, ended: &OwnedFd) -> Filtered {
        let outcome = self.copy(Some(ended));
        Filtered {
            hidden: self.stream.replaced(),
            // Whoever reads has seen enough, and the program will find out like we did.
            failed: outcome.err().filter(|error| *error != Errno::PIPE),
            open: (outcome == Ok(End::Program)).then_some(self),
        }
    }

    /// Works until nobody can write any more.
    pub(super) fn run_to_end(mut self) {
        // Nobody is left who could be told.
        let _ = self.copy(None);
    }

    fn copy(&mut self, ended: Option<&OwnedFd>) -> rustix::io::Result<End> {
        let mut block = Zeroizing::new(vec![0; BLOCK]);
        let mut out = Zeroizing::new(Vec::with_capacity(2 * BLOCK));
        while is_readable(self.source.as_fd(), ended)? {
            let count = match rustix::io::read(&self.source, block.as_mut_slice()) {
                // The other side of a pseudo-terminal is closed with this error.
                Ok(0) | Err(Errno::IO) => {
                    out.clear();
                    self.stream.finish(&mut out);
                    write_all(self.sink, &out)?;
                    return Ok(End::Output);
                }
                Ok(count) => count,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(error) => return Err(error),
            };
            out.clear();
            self.stream.push(&block[..count], &mut out);
            write_all(self.sink, &out)?;
        }
        Ok(End::Program)
    }
}

/// What has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nobody can write any more.
    Output,
    /// The program has ended and somebody else can write.
    Program,
}

/// Hands on what is typed to the program's terminal, as long as it is typed to us.
pub(super) fn type_on(master: OwnedFd, ended: Arc<OwnedFd>) -> io::Result<JoinHandle<()>> {
    let terminal = rustix::stdio::stdin();
    let work = move || {
        let mut keys = Zeroizing::new(vec![0; KEYS]);
        while is_readable(terminal, Some(&ended)).unwrap_or(false) {
            if !super::pty::is_foreground(terminal) {
                // In the background the keys are somebody else's; reading would stop us.
                thread::sleep(std::time::Duration::from_millis(100));
                continue;
            }
            match rustix::io::read(terminal, keys.as_mut_slice()) {
                Ok(0) => return,
                Ok(count) if write_all(master.as_fd(), &keys[..count]).is_err() => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    };
    thread::Builder::new().name("input".into()).spawn(work)
}

/// Waits for something to read. False if there is nothing and the program has ended.
fn is_readable(source: BorrowedFd<'_>, ended: Option<&OwnedFd>) -> rustix::io::Result<bool> {
    let Some(ended) = ended else {
        return Ok(true);
    };
    loop {
        let mut fds = [
            PollFd::new(&source, PollFlags::IN),
            PollFd::new(ended, PollFlags::empty()),
        ];
        match poll(&mut fds, None) {
            Ok(_) if !fds[0].revents().is_empty() => return Ok(true),
            Ok(_) if !fds[1].revents().is_empty() => return Ok(false),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn write_all(sink: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(sink, bytes) {
            Ok(count) => bytes = &bytes[count..],
            // Somebody else made it non-blocking, for us as well.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&sink, PollFlags::OUT)], None);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
