//! What both kinds of bad server need of their connections.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How many connections are open at a time; one more is closed at once.
const MAX_CONNECTIONS: usize = 256;

/// How long something slow sleeps before it looks whether it should end.
const STEP: Duration = Duration::from_millis(10);

/// The open connections of a server, so that ending the server ends them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    stopping: AtomicBool,
    open: Mutex<Vec<(u64, TcpStream)>>,
}

impl Connections {
    /// Takes a connection in; `false` if there are too many, or the server ends.
    pub(super) fn add(&self, id: u64, stream: &TcpStream) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_stopping() || open.len() >= MAX_CONNECTIONS {
            return false;
        }
        let Ok(stream) = stream.try_clone() else {
            return false;
        };
        open.push((id, stream));
        true
    }

    /// Forgets a connection that ended.
    pub(super) fn remove(&self, id: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(other, _)| *other != id);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends every connection, and everything that sleeps.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Ends every connection that is open now.
    pub(super) fn cut(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, stream) in open.iter() {
            // It may have ended by itself.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Sleeps, but not past the end of the server; `false` if it ended.
    pub(super) fn sleep(&self, mut time: Duration) -> bool {
        while !time.is_zero() && !self.is_stopping() {
            let step = time.min(STEP);
            thread::sleep(step);
            time -= step;
        }
        !self.is_stopping()
    }
}

/// Makes the end of this connection a reset instead of an orderly one.
pub(super) fn reset(stream: &TcpStream) -> io::Result<()> {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
    Ok(())
}
