//! The small HTTP API that the example pipelines read from.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::fresh_secret;

const ORDERS: &str = r#"[
  {"id": 1, "customer": "Ada", "cents": 1250},
  {"id": 2, "customer": "Grace", "cents": 9900},
  {"id": 3, "customer": "Edsger", "cents": 4275}
]"#;

/// How much of a request's head is read.
const MAX_HEAD: u64 = 16 * 1024;

/// `GET /v1/orders` for those who send the right `Authorization: Bearer` key, 401 for others.
#[derive(Debug)]
pub struct HttpApi {
    address: SocketAddr,
    key: String,
    state: Arc<State>,
    server: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    stopping: AtomicBool,
    answered: AtomicUsize,
    refused: AtomicUsize,
}

impl HttpApi {
    /// Starts the API with a key of its own.
    pub fn start() -> Self {
        Self::start_with_key(fresh_secret("key"))
    }

    /// Starts the API with a key that is known already.
    pub fn start_with_key(key: impl Into<String>) -> Self {
        let key = key.into();
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let state = Arc::new(State::default());
        let expected = format!("Bearer {key}");
        let shared = Arc::clone(&state);
        let server = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopping.load(Ordering::SeqCst) {
                    break;
                }
                // A client that goes away in the middle concerns only that client.
                drop(answer(stream, &expected, &shared));
            }
        });
        Self {
            address,
            key,
            state,
            server: Some(server),
        }
    }

    /// The API's base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The key that it accepts.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How many requests came with the right key.
    pub fn answered(&self) -> usize {
        self.state.answered.load(Ordering::SeqCst)
    }

    /// How many requests came without it.
    pub fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }
}

impl Drop for HttpApi {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        // Wakes the server from waiting for the next connection.
        drop(TcpStream::connect(self.address));
        if let Some(server) = self.server.take() {
            drop(server.join());
        }
    }
}

fn answer(mut stream: TcpStream, expected: &str, state: &State) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream.try_clone()?.take(MAX_HEAD)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut authorization = None;
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                authorization = Some(value.trim().to_owned());
            }
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let (status, body) = if authorization.as_deref() != Some(expected) {
        state.refused.fetch_add(1, Ordering::SeqCst);
        ("401 Unauthorized", r#"{"error": "unknown key"}"#)
    } else if request.starts_with("GET /v1/orders ") {
        state.answered.fetch_add(1, Ordering::SeqCst);
        ("200 OK", ORDERS)
    } else {
        ("404 Not Found", r#"{"error": "no such resource"}"#)
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}
