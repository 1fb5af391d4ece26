//! The one request that a browser sends back to this machine (RFC 8252 §7.3).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use credchain_core::{Error, Kind, Result};
use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

const PATH: &str = "/callback";

/// The largest head of a request that is read, and how long that may take.
const MAX_HEAD: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

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
    pub(super) async fn wait(self, state: &[u8]) -> Result<Arrived> {
        loop {
            let Ok((mut stream, _)) = self.listener.accept().await else {
                // A connection that ended before it was taken.
                continue;
            };
            let head = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await;
            let arrived = head
                .ok()
                .flatten()
                .and_then(|head| self.arrived(&head))
                .filter(|arrived| arrived.answers(state));
            let answer = arrived.as_ref().map_or(NOT_FOUND, |_| DONE);
            let answer = stream.write_all(answer.as_bytes());
            // A browser that has gone does not matter.
            drop(tokio::time::timeout(PATIENCE, answer).await);
            drop(stream.shutdown().await);
            if let Some(arrived) = arrived {
                return Ok(arrived);
            }
        }
    }

    /// What a request brings, if it is one to this address.
    fn arrived(&self, head: &str) -> Option<Arrived> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let target = words
            .next()
            .filter(|method| *method == "GET")
            .and(words.next())?;
        // SECURITY: a page of another host, whose name leads here, has another name in it.
        let host = self.address.to_string();
        let mut hosts = lines.filter_map(|line| line.split_once(':'));
        let mut hosts = hosts
            .by_ref()
            .filter(|(name, _)| name.eq_ignore_ascii_case("host"));
        let own = hosts.next().is_some_and(|(_, value)| value.trim() == host);
        if !own || hosts.next().is_some() || !target.starts_with('/') {
            return None;
        }
        let url = Url::parse(&format!("http://{host}{target}")).ok()?;
        if url.path() != PATH {
            return None;
        }
        let mut arrived = Arrived::default();
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
}

impl Arrived {
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

    #[tokio::test]
    async fn only_a_request_to_the_very_address_counts() {
        let loopback = loopback().await;
        let host = loopback.address.to_string();
        let head = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}");
        let fine = head("/callback?code=a%2Bb&state=s&iss=i", &host);
        let arrived = loopback.arrived(&fine).unwrap();
        assert_eq!(&**arrived.code.as_ref().unwrap(), "a+b");
        assert!(arrived.answers(b"s") && !arrived.answers(b"t") && !arrived.answers(b""));
        let port = loopback.address.port();
        for other in [
            head("/?code=a&state=s", &host),
            head("/callback/x?code=a&state=s", &host),
            head("/callback?code=a&code=b&state=s", &host),
            head("//evil.example.com/callback?code=a&state=s", &host),
            head("http://evil.example.com/callback?code=a", &host),
            head("/callback?code=a&state=s", &format!("localhost:{port}")),
            head("/callback?code=a&state=s", "evil.example.com"),
            head(
                "/callback?code=a&state=s",
                &format!("{host}\r\nHost: {host}"),
            ),
            fine.replace("GET", "POST"),
            "GET /callback?code=a&state=s HTTP/1.1".to_owned(),
            String::new(),
        ] {
            assert!(loopback.arrived(&other).is_none(), "{other}");
        }
    }

    #[tokio::test]
    async fn it_listens_to_this_machine_alone() {
        let loopback = loopback().await;
        assert!(loopback.address.ip().is_loopback());
        assert!(loopback.redirect().starts_with("http://127.0.0.1:"));
    }
}
