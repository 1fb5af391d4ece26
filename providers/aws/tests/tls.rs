//! Which servers are trusted.

#![cfg(unix)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use credchain_core::Kind;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{aws, get};

/// A server with one answer, and the file that its certificate is in.
struct Secure {
    address: SocketAddr,
    folder: TempDir,
}

impl Secure {
    /// A certificate for `name` that ended in `until`.
    fn start(name: &str, until: i32) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("a file");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a pair");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("an address");
        let config = Arc::new(config);
        // It goes with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(config.clone()).expect("a connection");
                // A client that distrusts the certificate breaks off, which concerns only it.
                drop(answer(StreamOwned::new(connection, stream)));
            }
        });
        Self { address, folder }
    }

    fn table(&self, trusted: bool) -> serde_json::Value {
        let ca = self.folder.path().join("ca.pem");
        if trusted {
            json!({"ca": ca.to_str()})
        } else {
            json!({})
        }
    }

    async fn read(&self, trusted: bool) -> Result<String, credchain_core::Error> {
        get(
            &aws(&format!("https://{}", self.address), self.table(trusted)),
            "db",
        )
        .await
    }
}

fn answer(stream: StreamOwned<ServerConnection, std::net::TcpStream>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length])?;
    let body = r#"{"Name": "db", "SecretString": "v"}"#;
    let mut stream = reader.into_inner();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

#[tokio::test]
async fn an_authority_is_trusted_if_the_settings_name_it() {
    let secure = Secure::start("127.0.0.1", 2100);
    assert_eq!(secure.read(true).await.unwrap(), "v");
    let error = secure.read(false).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("certificate"), "{error:?}");
    assert!(error.hint().unwrap().contains("`ca`"), "{error:?}");
}

#[tokio::test]
async fn a_certificate_of_another_host_or_time_is_not_trusted() {
    for secure in [
        Secure::start("other.example.com", 2100),
        Secure::start("127.0.0.1", 2001),
    ] {
        let error = secure.read(true).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("certificate"), "{error:?}");
    }
}
