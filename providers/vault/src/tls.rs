//! Whom to believe, and the HTTP client that does.

use std::time::Duration;

use credchain_core::{Error, Kind, Result, files};
use reqwest::{Certificate, redirect};

use crate::config::{Endpoint, Settings};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a connection with requests on it may be silent before it is asked for a sign of life.
const PING: Duration = Duration::from_secs(10);

/// The largest file of certificates.
const MAX_CA: u64 = 4 << 20;

/// A client for one runtime. Every setting is made here: nothing comes from the environment, and
/// no redirect is followed without a look at where it leads.
pub(crate) fn client(settings: &Settings, endpoint: &Endpoint) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        // After a machine slept, its connections may be dead without knowing it.
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(CONNECT)
        .tcp_keepalive(PING)
        .pool_max_idle_per_host(settings.max_connections)
        .user_agent(concat!("credchain/", env!("CARGO_PKG_VERSION")));
    #[cfg(unix)]
    if let Some(socket) = &endpoint.socket {
        builder = builder.unix_socket(socket.clone());
    }
    if let Some(path) = &settings.ca {
        let shown = path.display();
        let unreadable = |why: String| {
            Error::new(Kind::Misconfigured, format!("`{shown}` {why}"))
                .with_hint("`ca` names a file of certificates in PEM")
        };
        let file = files::open(path).and_then(|file| file.read(MAX_CA));
        let pem = file.map_err(|refused| unreadable(refused.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| unreadable("holds no certificates".to_owned()))?;
        builder = builder.tls_certs_only(certificates);
    } else if endpoint.base.scheme() == "http" && settings.redirect_hosts.is_empty() {
        // No handshake can follow, and reading the system's authorities takes longer than a request.
        builder = builder.tls_certs_only([]);
    }
    if settings.skip_verify && endpoint.base.scheme() == "https" {
        tracing::warn!(
            host = endpoint.base.host_str(),
            "`skip_verify` is set: whoever is on the way can read and change everything"
        );
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.build().map_err(|_| {
        Error::new(
            Kind::Misconfigured,
            "no HTTP client can be made with these settings",
        )
    })
}
