//! An HTTP server that answers as it is told, also wrongly.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::authority::{Authority, Certificate};
use super::link::{Connections, reset};

/// How much of a request's head, and of its body, is read.
const MAX_REQUEST: u64 = 1 << 20;

/// The pause between two bytes of a slow answer.
const SLOW: Duration = Duration::from_millis(200);

/// What an endless body is made of.
const FILLER: [u8; 16 * 1024] = [b'a'; 16 * 1024];

/// A request as it came.
#[derive(Clone, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The target: path and query.
    pub path: String,
    /// Names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(other, _)| other == name)?;
        Some(value)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and bodies carry credentials.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What the server does about a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// A whole answer: status, headers, body. Its length is added.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// These bytes, whatever they are, and the end of the connection.
    Raw(Vec<u8>),
    /// A JSON body of which only so many bytes come, and the end of the connection.
    Truncated(Vec<u8>, usize),
    /// A JSON body of which only so many bytes come, and a reset of the connection.
    Reset(Vec<u8>, usize),
    /// A body of so many bytes, of unannounced length.
    Oversized(u64),
    /// A JSON body, byte by byte, with a pause before each.
    Slow(Vec<u8>),
    /// Nothing, for as long as the client waits.
    Hang,
}

impl Reply {
    /// An answer with a body of JSON.
    pub fn json(status: u16, body: &(impl ToString + ?Sized)) -> Self {
        let json = ("content-type".to_owned(), "application/json".to_owned());
        Self::Answer(status, vec![json], body.to_string().into_bytes())
    }

    /// An answer with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        if let Self::Answer(_, headers, _) = &mut self {
            headers.push((name.to_owned(), value.to_string()));
        }
        self
    }
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// A scripted HTTP/1.1 server on loopback, with or without TLS.
///
/// It is no stand-in for a service that can be installed: use it for what a right server never
/// does, and for services that have no server.
pub struct FakeHttp {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    tls: Option<Arc<ServerConfig>>,
    connections: Connections,
    requests: Mutex<Vec<Request>>,
}

impl FakeHttp {
    /// Starts a server that asks the closure what to do about each request.
    pub fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Box::new(script), None)
    }

    /// The same over TLS, with a certificate of this authority.
    pub fn start_tls(
        authority: &Authority,
        certificate: Certificate,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Box::new(script), Some(authority.certify(certificate)))
    }

    fn listen(script: Box<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            script,
            tls,
            connections: Connections::default(),
            requests: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        let server = thread::spawn(move || accept(&listener, &accepting));
        Self {
            address,
            shared,
            server: Some(server),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// The requests so far, in the order in which they were read.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests().clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.shared.requests().len()
    }
}

impl Drop for FakeHttp {
    fn drop(&mut self) {
        self.shared.connections.stop();
        // Wakes it from waiting for the next connection.
        drop(TcpStream::connect(self.address));
        if let Some(server) = self.server.take() {
            drop(server.join());
        }
    }
}

impl fmt::Debug for FakeHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeHttp")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn requests(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut serving = Vec::new();
    for (id, stream) in (0..).zip(listener.incoming().flatten()) {
        if shared.connections.is_stopping() {
            break;
        }
        if shared.connections.add(id, &stream) {
            let shared = Arc::clone(shared);
            serving.push(thread::spawn(move || {
                // A client that goes away in the middle concerns only that client.
                drop(serve(stream, &shared));
                shared.connections.remove(id);
            }));
        }
        serving.retain(|thread| !thread.is_finished());
    }
    for thread in serving {
        drop(thread.join());
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = stream.try_clone()?;
    match &shared.tls {
        None => converse(stream, &socket, shared),
        Some(config) => {
            let tls = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(tls, stream);
            let outcome = converse(&mut stream, &socket, shared);
            stream.conn.send_close_notify();
            drop(stream.flush());
            outcome
        }
    }
}

/// Answers one request after the other; `socket` is what `stream` writes to in the end.
fn converse(stream: impl Read + Write, socket: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        shared.requests().push(request.clone());
        let reply = (shared.script)(&request);
        if !perform(reader.get_mut(), &reply, socket, &shared.connections)? {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<impl Read>) -> io::Result<Option<Request>> {
    let mut request = Request::default();
    let mut head = reader.take(MAX_REQUEST);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    request.method = words.next().unwrap_or_default();
    request.path = words.next().unwrap_or_default();
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            let name = name.to_ascii_lowercase();
            request.headers.push((name, value.trim().to_owned()));
        }
    }
    let length = request.header("content-length").unwrap_or("0").parse();
    let length = length.map_err(io::Error::other)?;
    reader
        .take(MAX_REQUEST.min(length))
        .read_to_end(&mut request.body)?;
    Ok(Some(request))
}

/// Does what the reply says; `false` if the connection ends with it.
fn perform(
    stream: &mut (impl Read + Write),
    reply: &Reply,
    socket: &TcpStream,
    connections: &Connections,
) -> io::Result<bool> {
    match reply {
        Reply::Answer(status, headers, body) => {
            let mut answer = format!("HTTP/1.1 {status} -\r\n");
            for (name, value) in headers {
                answer.push_str(&format!("{name}: {value}\r\n"));
            }
            answer.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
            stream.write_all(&[answer.as_bytes(), body].concat())?;
            stream.flush()?;
            return Ok(true);
        }
        Reply::Raw(bytes) => stream.write_all(bytes)?,
        Reply::Truncated(body, sent) | Reply::Reset(body, sent) => {
            let part = body.get(..*sent).unwrap_or(body);
            stream.write_all(&[head(body.len()).as_bytes(), part].concat())?;
            stream.flush()?;
            if matches!(reply, Reply::Reset(..)) {
                // Until it has arrived, a reset would take back what was sent.
                connections.sleep(SLOW);
                reset(socket)?;
            }
        }
        Reply::Oversized(length) => {
            let head = "HTTP/1.1 200 -\r\ncontent-type: application/json\r\nconnection: close\r\n";
            stream.write_all(format!("{head}\r\n\"").as_bytes())?;
            for _ in 0..length.div_ceil(FILLER.len() as u64) {
                stream.write_all(&FILLER)?;
            }
        }
        Reply::Slow(body) => {
            for byte in [head(body.len()).as_bytes(), body].concat() {
                if !connections.sleep(SLOW) {
                    break;
                }
                stream.write_all(&[byte])?;
                stream.flush()?;
            }
        }
        // Ends when the client, or the server, does.
        Reply::Hang => drop(stream.read(&mut [0])?),
    }
    Ok(false)
}

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 -\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
}
