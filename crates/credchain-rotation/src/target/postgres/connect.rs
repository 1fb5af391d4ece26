//! Connections: one for each login, bounded in time.

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{Context, Error, Kind, Result, files};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, NoTls, TlsConnect};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::Endpoint;
use super::error::Failure;
use super::gate::{Gate, Gated, Policy, Seen};

/// How long a login may take.
const LOGIN: Duration = Duration::from_secs(10);

/// How long a statement may take: `ALTER ROLE` waits for whoever changes roles at the same time.
const STATEMENT: Duration = Duration::from_secs(30);

/// How long a server may take to see that we say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// The largest file of authorities.
const MAX_CA: u64 = 1 << 20;

/// Who logs in, and what may pass for it.
pub(super) struct Login<'a> {
    pub(super) role: &'a str,
    pub(super) password: Option<&'a [u8]>,
    pub(super) policy: Policy,
}

/// What every connection has in common.
pub(super) struct Connector {
    database: String,
    encrypts: bool,
    ca: Option<PathBuf>,
    tls: OnceCell<MakeRustlsConnect>,
}

/// A login, and the task that speaks for it.
pub(super) struct Session {
    client: Option<Client>,
    driver: JoinHandle<()>,
}

impl Connector {
    pub(super) fn new(database: String, encrypts: bool, ca: Option<PathBuf>) -> Self {
        Self {
            database,
            encrypts,
            ca,
            tls: OnceCell::new(),
        }
    }

    /// Logs in.
    pub(super) async fn connect(
        &self,
        endpoint: &Endpoint,
        login: &Login<'_>,
        cx: &Context,
    ) -> Result<Session, Failure> {
        within(LOGIN, self.try_connect(endpoint, login), cx).await
    }

    async fn try_connect(
        &self,
        endpoint: &Endpoint,
        login: &Login<'_>,
    ) -> Result<Session, Failure> {
        let (policy, seen) = (login.policy, Seen::default());
        let mut config = Config::new();
        config
            .user(login.role)
            .dbname(&self.database)
            .application_name("credchain")
            .ssl_mode(if self.encrypts {
                SslMode::Require
            } else {
                SslMode::Disable
            });
        if let Some(password) = login.password {
            // The copy is the library's, and not wiped.
            config.password(password);
        }
        match endpoint {
            Endpoint::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(|_| Failure::Unreachable)?;
                stream.set_nodelay(true).map_err(|_| Failure::Unreachable)?;
                if !self.encrypts {
                    let gate = Gate::new(stream, policy, seen.clone());
                    return start(&config, gate, NoTls, false, &seen).await;
                }
                let mut tls = self.tls().await.map_err(Failure::Told)?.clone();
                let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, host)
                    .unwrap_or_else(|never| match never {});
                let seen_too = seen.clone();
                let gated = Gated {
                    tls,
                    policy,
                    seen: seen_too,
                };
                start(&config, stream, gated, true, &seen).await
            }
            #[cfg(unix)]
            Endpoint::Unix(directory, port) => {
                let path = directory.join(format!(".s.PGSQL.{port}"));
                let stream = tokio::net::UnixStream::connect(path).await;
                let stream = stream.map_err(|_| Failure::Unreachable)?;
                let gate = Gate::new(stream, policy, seen.clone());
                start(&config, gate, NoTls, false, &seen).await
            }
            #[cfg(not(unix))]
            Endpoint::Unix(..) => Err(Failure::Unreachable),
        }
    }

    async fn tls(&self) -> Result<&MakeRustlsConnect> {
        let make = || async {
            let ca = self.ca.clone();
            let made = tokio::task::spawn_blocking(move || trust(ca));
            made.await
                .map_err(|_| Error::new(Kind::Internal, "no TLS client was made"))?
        };
        self.tls.get_or_try_init(make).await
    }

    /// Reads what is to be trusted.
    pub(super) async fn prepare(&self) -> Result<()> {
        if self.encrypts {
            self.tls().await?;
        }
        Ok(())
    }
}

/// Speaks the beginning of the protocol, and leaves a task to speak the rest.
async fn start<S, T>(
    config: &Config,
    stream: S,
    tls: T,
    encrypts: bool,
    seen: &Seen,
) -> Result<Session, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: TlsConnect<S>,
    T::Stream: Send + 'static,
{
    let (client, mut connection) = config
        .connect_raw(stream, tls)
        .await
        .map_err(|error| Failure::of_login(&error, encrypts, seen))?;
    let driver = tokio::spawn(async move {
        // SECURITY: as a future it would write the server's notices into the log. Whoever waits
        // for an answer is told by the client.
        while let Some(Ok(_)) = poll_fn(|task| connection.poll_message(task)).await {}
    });
    Ok(Session {
        client: Some(client),
        driver,
    })
}

impl Session {
    /// Runs statements without an answer that counts. None of them has a value in it.
    pub(super) async fn run(&self, statements: &str, cx: &Context) -> Result<(), Failure> {
        let client = self.client.as_ref().ok_or(Failure::Lost)?;
        let work = async {
            let done = client.batch_execute(statements).await;
            done.map_err(|error| Failure::of(&error))
        };
        within(STATEMENT, work, cx).await
    }

    /// Asks for rows.
    pub(super) async fn rows(
        &self,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
        cx: &Context,
    ) -> Result<Vec<Row>, Failure> {
        let client = self.client.as_ref().ok_or(Failure::Lost)?;
        let work = async {
            let rows = client.query(query, parameters).await;
            rows.map_err(|error| Failure::of(&error))
        };
        within(STATEMENT, work, cx).await
    }

    /// Says goodbye, so that the server does not wonder where we are.
    pub(super) async fn close(mut self, cx: &Context) {
        drop(self.client.take());
        let done = async {
            let _ = (&mut self.driver).await;
        };
        cx.clock().timeout(GOODBYE, done).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Does the work in the time that there is.
async fn within<T>(
    most: Duration,
    work: impl Future<Output = Result<T, Failure>> + Send,
    cx: &Context,
) -> Result<T, Failure> {
    match cx.remaining().map_or(most, |left| left.min(most)) {
        Duration::ZERO => Err(Failure::Late),
        left => {
            let done = cx.clock().timeout(left, work).await;
            done.unwrap_or(Err(Failure::Late))
        }
    }
}

/// A client that trusts what the system trusts, and these authorities.
fn trust(ca: Option<PathBuf>) -> Result<MakeRustlsConnect> {
    let own = match &ca {
        None => Vec::new(),
        Some(file) => authorities(file)?,
    };
    let kind = ca.map_or(Kind::Unavailable, |_| Kind::Misconfigured);
    let unusable = |_| {
        Error::new(
            kind,
            "no TLS client can be made of the authorities that there are",
        )
        .with_hint("install the system's certificates, or name a file of them with `ca`")
    };
    let crypto = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(own, crypto.clone()).map_err(unusable)?;
    let config = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        // The verifier of the platform, which looks at names and dates as well as any.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn authorities(file: &std::path::Path) -> Result<Vec<CertificateDer<'static>>> {
    let unusable = |why: &str| {
        let message = format!("`ca` is `{}`, which {why}", file.display());
        Error::new(Kind::Misconfigured, message)
            .with_hint("it has to be a PEM file with at least one certificate")
    };
    let pem = files::open(file).and_then(|file| file.read(MAX_CA));
    let pem = pem.map_err(|refused| unusable(&refused.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(unusable("holds no usable certificate")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_that_cannot_be_used_is_misconfigured() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let kind = || trust(Some(file.clone())).err().unwrap().kind();
        assert_eq!(kind(), Kind::Misconfigured);
        for content in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(kind(), Kind::Misconfigured, "{content}");
        }
    }
}
