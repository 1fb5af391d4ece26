//! Addresses that requests with a login may go to.

use std::net::IpAddr;

use credchain_core::{Error, Kind, Result};

/// Checks an address that somebody gave, and takes the slash from its end.
///
/// SECURITY: over `http://` everybody on the way reads the secrets, so it goes no further than
/// this machine unless somebody said so.
pub(crate) fn checked(named: &str, url: &str, allow_http: bool) -> Result<String> {
    let rest = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => rest,
        (_, Some(rest)) if allow_http || is_this_machine(host(rest)) => rest,
        (_, Some(_)) => {
            return Err(wrong(format!("{named} is not encrypted: `http://`"))
                .with_hint("use `https://`, or set `allow_http = true` if the network is yours"));
        }
        (None, None) => return Err(wrong(format!("{named} must begin with `https://`"))),
    };
    // A user's name in an address would be a secret in a place that is shown.
    if host(rest).is_empty() || authority(rest).contains('@') || rest.contains(['#', ' ']) {
        return Err(wrong(format!(
            "{named} must be a scheme, a host and perhaps a port and a path"
        )));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// The same for an address without a query, to which a path is added.
pub(crate) fn base(named: &str, url: &str, allow_http: bool) -> Result<String> {
    if url.contains('?') {
        return Err(wrong(format!("{named} cannot have a query")));
    }
    checked(named, url, allow_http)
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn host(rest: &str) -> &str {
    let authority = authority(rest);
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether nobody else is on the way: the loopback, and the addresses of this link alone, at which
/// the clouds answer a machine's questions about itself and which no router passes on.
fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.parse().is_ok_and(|address| match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_loopback(),
        })
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Misconfigured, message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine_unless_it_is_allowed() {
        for url in [
            "http://127.0.0.1:5000",
            "http://localhost:4566/",
            "http://[::1]:5000",
            "http://169.254.169.254/metadata",
            "https://secrets.example.com/path",
        ] {
            assert!(checked("it", url, false).is_ok(), "{url}");
        }
        for url in [
            "http://gcp.internal:5000",
            "http://127.0.0.1.example.com",
            "http://[2001:db8::1]",
        ] {
            let error = checked("it", url, false).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
            assert!(checked("it", url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_plain_address_is_refused_and_not_shown() {
        for url in [
            "https://",
            "ftp://example.com",
            "example.com",
            "https://user:canary@example.com",
            "http://localhost@example.com",
            "https://example.com/?canary",
        ] {
            let error = base("it", url, true).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{url}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        assert_eq!(
            base("it", "https://example.com/x/", false).unwrap(),
            "https://example.com/x"
        );
    }
}
