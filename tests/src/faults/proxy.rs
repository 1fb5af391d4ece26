//! A TCP proxy that can break the connection to a right server.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::link::{Connections, reset};

/// The pause between two bytes of a stalled answer.
const STALL: Duration = Duration::from_millis(200);

/// How many pieces are under way in one direction of one connection.
const IN_FLIGHT: usize = 64;

/// What ends the first line of a plain HTTP request.
const REQUEST_LINE: &[u8] = b" HTTP/1.1\r\n";

/// What the proxy does with connections, and with what comes over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Hands everything on.
    Pass,
    /// Makes each round trip, also that of connecting, take so much longer.
    Latency(Duration),
    /// Does not listen: connecting is refused, and open connections end.
    Refuse,
    /// Resets the connection after so many bytes of the answers on it.
    Reset(usize),
    /// Closes the connection after so many bytes of the answers on it.
    Truncate(usize),
    /// Hands on the answers byte by byte, with a pause before each.
    Stall,
    /// Takes everything and hands on nothing.
    BlackHole,
}

/// A proxy on loopback before a real server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    behaviour: Mutex<Behaviour>,
    links: Connections,
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy that hands everything on.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            upstream,
            behaviour: Mutex::new(Behaviour::Pass),
            links: Connections::default(),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
        });
        let listening = Mutex::new(Some(listen(listener, &shared)));
        Self {
            address,
            shared,
            listening,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves differently from now on, on open connections too.
    ///
    /// # Panics
    /// If somebody took the port while it did not listen.
    pub fn set(&self, behaviour: Behaviour) {
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.shared.set(behaviour);
        if behaviour == Behaviour::Refuse {
            self.shared.links.cut();
            self.stop_listening(&mut listening);
        } else if listening.is_none() {
            let listener = TcpListener::bind(self.address).expect("the port is still free");
            *listening = Some(listen(listener, &self.shared));
        }
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many plain HTTP/1.1 requests went through so far.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    fn stop_listening(&self, listening: &mut Option<JoinHandle<()>>) {
        if let Some(thread) = listening.take() {
            // Wakes it from waiting for the next connection.
            drop(TcpStream::connect(self.address));
            drop(thread.join());
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.links.stop();
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.stop_listening(&mut listening);
    }
}

impl Shared {
    fn behaviour(&self) -> Behaviour {
        *self
            .behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, behaviour: Behaviour) {
        *self
            .behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = behaviour;
    }
}

fn listen(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if shared.links.is_stopping() || shared.behaviour() == Behaviour::Refuse {
                break;
            }
            let id = shared.connections.fetch_add(1, Ordering::SeqCst);
            if shared.links.add(id as u64, &client) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    // A connection that breaks concerns only those who use it.
                    drop(connect(&client, &shared));
                    shared.links.remove(id as u64);
                });
            }
        }
    })
}

fn connect(client: &TcpStream, shared: &Shared) -> io::Result<()> {
    let server = TcpStream::connect(shared.upstream)?;
    for stream in [client, &server] {
        stream.set_nodelay(true)?;
    }
    if let Behaviour::Latency(round_trip) = shared.behaviour() {
        // The system has accepted the connection already: its round trip is paid here.
        shared.links.sleep(round_trip);
    }
    thread::scope(|scope| {
        scope.spawn(|| pump(client, &server, shared, Direction::Up));
        pump(&server, client, shared, Direction::Down);
    });
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// Reads at once and writes when it is due, so that latency does not add up over the pieces.
fn pump(from: &TcpStream, to: &TcpStream, shared: &Shared, direction: Direction) {
    let (pieces, due) = sync_channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    thread::scope(|scope| {
        scope.spawn(move || {
            // Either side may be gone; then so is the other.
            let was_reset = hand_on(to, &due, shared, direction).unwrap_or_default();
            if was_reset {
                // Ends who reads from the client, without the orderly end that writing would get:
                // the reset goes out when the socket is closed.
                drop(to.shutdown(Shutdown::Read));
                drop(from.shutdown(Shutdown::Both));
            } else if direction == Direction::Up {
                drop(to.shutdown(Shutdown::Write));
            } else {
                drop(from.shutdown(Shutdown::Both));
                drop(to.shutdown(Shutdown::Both));
            }
        });
        let mut lines = RequestLines::default();
        let mut buffer = [0; 16 * 1024];
        let mut from = from;
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let piece = buffer.get(..count).unwrap_or_default().to_vec();
            if direction == Direction::Up {
                shared
                    .requests
                    .fetch_add(lines.count(&piece), Ordering::SeqCst);
            }
            let delay = match shared.behaviour() {
                Behaviour::Latency(round_trip) => round_trip / 2,
                _ => Duration::ZERO,
            };
            if pieces.send((now() + delay, piece)).is_err() {
                break;
            }
        }
        drop(pieces);
    });
}

/// Tells whether the connection is to end by a reset.
fn hand_on(
    mut to: &TcpStream,
    due: &Receiver<(Instant, Vec<u8>)>,
    shared: &Shared,
    direction: Direction,
) -> io::Result<bool> {
    let mut sent = 0;
    for (time, piece) in due {
        shared.links.sleep(time.saturating_duration_since(now()));
        let behaviour = shared.behaviour();
        match behaviour {
            Behaviour::BlackHole => {}
            Behaviour::Reset(limit) | Behaviour::Truncate(limit)
                if direction == Direction::Down && sent + piece.len() > limit =>
            {
                to.write_all(piece.get(..limit.saturating_sub(sent)).unwrap_or_default())?;
                let resets = matches!(behaviour, Behaviour::Reset(_));
                if resets {
                    // Until it has arrived, a reset would take back what was sent.
                    shared.links.sleep(STALL);
                    reset(to)?;
                }
                return Ok(resets);
            }
            Behaviour::Stall if direction == Direction::Down => {
                for byte in &piece {
                    if !shared.links.sleep(STALL) {
                        break;
                    }
                    to.write_all(&[*byte])?;
                }
            }
            _ => to.write_all(&piece)?,
        }
        sent += piece.len();
    }
    Ok(false)
}

/// Counts the first lines of requests, also when one comes in two pieces.
#[derive(Default)]
struct RequestLines(Vec<u8>);

impl RequestLines {
    fn count(&mut self, piece: &[u8]) -> usize {
        self.0.extend_from_slice(piece);
        let windows = self.0.windows(REQUEST_LINE.len());
        let found = windows.filter(|window| *window == REQUEST_LINE).count();
        let rest = self.0.len().saturating_sub(REQUEST_LINE.len() - 1);
        self.0.drain(..rest);
        found
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "latency is about the real time, which no test sets"
)]
fn now() -> Instant {
    Instant::now()
}
