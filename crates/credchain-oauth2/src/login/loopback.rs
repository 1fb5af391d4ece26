//! The one request that a browser sends back to this machine (RFC 8252 §7.3).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{Error, Kind, Result};
use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

const PATH: &str = "/callback";

/// The largest head of a request that is read, and how long that may take.
const MAX_HEAD: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

/// How many connections are listened to at a time, and the pause when the system gives none.
const MAX_OPEN: usize = 16;
const BREATH: Duration = Duration::from_millis(50);

/// It shows nothing of what came, and leaves no trace of it.
const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n\
    The login goes on in the terminal. This window can be closed.\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A socket on the loopback address, and on no other.
pub(super) struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

/// What came back.
#[derive(Default)]
pub(super) struct Arrived {
    pub(super) code: Option<Zeroizing<String>>,
    pub(super) error: Option<String>,
    pub(super) issuer: Option<String>,
    state: Option<Zeroizing<String>>,
}

impl Loopback {
    /// At a free port, unless the server knows one port only.
    pub(super) async fn bind(port: Option<u16>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let message = format!("cannot wait for the browser: {}", error.kind());
            Error::new(Kind::Unavailable, message)
        };
        let address = (Ipv4Addr::LOCALHOST, port.unwrap_or(0));
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    pub(super) fn redirect(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Waits for the answer to this login. Whatever else comes is turned away and ends nothing: any
    /// program and any page can send requests here.
    pub(super) async fn wait(self, state: &[u8]) -> Arrived {
        let expected = Arc::new(Expected {
            host: self.address.to_string(),
            state: Zeroizing::new(state.to_vec()),
        });
        // At the same time: browsers open connections that they do not use.
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if open.len() < MAX_OPEN => {
                        open.spawn(serve(stream, expected.clone()));
                    }
                    Ok(_) => {}
                    // No file is left for it; one will be.
                    Err(_) => tokio::time::sleep(BREATH).await,
                },
                Some(served) = open.join_next() => {
                    if let Ok(Some(arrived)) = served {
                        return arrived;
                    }
                }
            }
        }
    }
}

/// What the right answer is known by.
struct Expected {
    host: String,
    state: Zeroizing<Vec<u8>>,
}

/// Answers one request; what it brings, if it is the right one.
async fn serve(mut stream: TcpStream, expected: Arc<Expected>) -> Option<Arrived> {
    let head = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await;
    let arrived = expected.arrived(&head.ok()??);
    let answer = arrived.as_ref().map_or(NOT_FOUND, |_| DONE);
    let answered = async {
        // A browser that has gone does not matter.
        drop(stream.write_all(answer.as_bytes()).await);
        drop(stream.shutdown().await);
    };
    drop(tokio::time::timeout(PATIENCE, answered).await);
    arrived
}

impl Expected {
    /// What a request brings, if it is the answer that is waited for.
    fn arrived(&self, head: &str) -> Option<Arrived> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let method = words.next().filter(|method| *method == "GET");
        let target = method.and(words.next())?;
        // SECURITY: a page of another host, whose name leads here, has another name in it.
        let named = |line: &str| {
            let (name, value) = line.split_once(':')?;
            let host = name.eq_ignore_ascii_case("host");
            host.then(|| value.trim() == self.host)
        };
        let hosts: Vec<_> = lines.filter_map(named).collect();
        if hosts != [true] || !target.starts_with('/') {
            return None;
        }
        let url = Url::parse(&format!("http://{}{target}", self.host)).ok()?;
        if url.path() != PATH {
            return None;
        }
        let arrived = Arrived::read(&url)?;
        arrived.answers(&self.state).then_some(arrived)
    }
}

impl Arrived {
    /// Nothing comes twice.
    fn read(url: &Url) -> Option<Self> {
        let mut arrived = Self::default();
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            let twice = match &*name {
                "code" => arrived.code.replace(Zeroizing::new(value)).is_some(),
                "state" => arrived.state.replace(Zeroizing::new(value)).is_some(),
                "error" => arrived.error.replace(value).is_some(),
                "iss" => arrived.issuer.replace(value).is_some(),
                _ => false,
            };
            if twice {
                return None;
            }
        }
        Some(arrived)
    }

    /// Whether it belongs to the login with this state. How much of it is right cannot be seen from
    /// the time that this takes.
    fn answers(&self, state: &[u8]) -> bool {
        let said = self.state.as_ref().map_or(&[][..], |said| said.as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(said, state).is_ok()
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<Zeroizing<String>> {
    let mut head = Zeroizing::new(vec![0; MAX_HEAD]);
    let mut filled = 0;
    while filled < MAX_HEAD {
        let count = stream.read(&mut head[filled..]).await.ok()?;
        filled += count;
        let end = head[..filled]
            .windows(4)
            .position(|part| part == b"\r\n\r\n");
        if let Some(end) = end {
            let text = std::str::from_utf8(&head[..end]).ok()?;
            return Some(Zeroizing::new(text.to_owned()));
        }
        if count == 0 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn loopback() -> Loopback {
        Loopback::bind(None).await.unwrap()
    }

    #[test]
    fn only_the_answer_to_the_very_address_counts() {
        let host = "127.0.0.1:4711";
        let expected = Expected {
            host: host.to_owned(),
            state: Zeroizing::new(b"s".to_vec()),
        };
        let head = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}");
        let fine = head("/callback?code=a%2Bb&state=s&iss=i", host);
        let arrived = expected.arrived(&fine).unwrap();
        assert_eq!(&**arrived.code.as_ref().unwrap(), "a+b");
        assert_eq!(arrived.issuer.as_deref(), Some("i"));
        let right = "/callback?code=a&state=s";
        for other in [
            head("/?code=a&state=s", host),
            head("/callback/x?code=a&state=s", host),
            head("/callback?code=a&state=t", host),
            head("/callback?code=a&state=", host),
            head("/callback?code=a", host),
            head("/callback?code=a&code=b&state=s", host),
            head("//evil.example.com/callback?code=a&state=s", host),
            head("http://evil.example.com/callback?code=a&state=s", host),
            head(right, "localhost:4711"),
            head(right, "evil.example.com"),
            head(right, &format!("{host}\r\nHost: {host}")),
            head(right, host).replace("GET", "POST"),
            format!("GET {right} HTTP/1.1"),
            String::new(),
        ] {
            assert!(expected.arrived(&other).is_none(), "{other}");
        }
    }

    #[tokio::test]
    async fn connections_that_are_not_used_hold_nothing_up() {
        let loopback = loopback().await;
        let address = loopback.address;
        let redirect = loopback.redirect();
        let waiting = tokio::spawn(async move { loopback.wait(b"s").await });
        let mut idle = Vec::new();
        for _ in 0..4 {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let mut browser = TcpStream::connect(address).await.unwrap();
        let target = redirect.split_once(&address.to_string()).unwrap().1;
        let head = format!("GET {target}?code=a&state=s HTTP/1.1\r\nHost: {address}\r\n\r\n");
        browser.write_all(head.as_bytes()).await.unwrap();
        let arrived = tokio::time::timeout(PATIENCE / 2, waiting).await.unwrap();
        assert_eq!(&**arrived.unwrap().code.as_ref().unwrap(), "a");
    }

    #[tokio::test]
    async fn it_listens_to_this_machine_alone() {
        let loopback = loopback().await;
        assert!(loopback.address.ip().is_loopback());
        assert!(loopback.redirect().starts_with("http://127.0.0.1:"));
    }
}
