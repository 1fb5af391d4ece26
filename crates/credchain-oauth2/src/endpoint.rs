//! Addresses that secrets may go to.

use std::net::IpAddr;

use credchain_core::{Error, Kind, Result};
use reqwest::Url;

/// Reads an address that somebody gave.
///
/// SECURITY: over `http://` everybody on the way reads the secrets, so it goes no further than
/// this machine unless somebody said so.
pub(crate) fn parse(named: &str, text: &str, allow_http: bool) -> Result<Url> {
    let wrong = |why: &str| Error::new(Kind::Misconfigured, format!("{named} {why}"));
    let url = Url::parse(text).map_err(|_| wrong("is no address"))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http || is_this_machine(&url) => {}
        "http" => {
            return Err(wrong("is not encrypted: `http://`")
                .with_hint("use `https://`, or set `allow_http = true` if the network is yours"));
        }
        _ => return Err(wrong("must begin with `https://`")),
    }
    // A password in an address would be a secret in a place that is shown.
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(wrong("has neither a user nor a `#`"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("names no host"));
    }
    Ok(url)
}

/// The host of an address, for messages.
pub(crate) fn host(url: &Url) -> &str {
    url.host_str().unwrap_or("the server")
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine_unless_it_is_allowed() {
        for url in [
            "http://127.0.0.1:5000/token",
            "http://localhost/token",
            "http://[::1]:5000",
            "https://auth.example.com/oauth/token?tenant=7",
        ] {
            assert!(parse("it", url, false).is_ok(), "{url}");
        }
        for url in ["http://auth.internal/token", "http://127.0.0.1.example.com"] {
            let error = parse("it", url, false).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
            assert!(parse("it", url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_plain_address_is_refused_and_not_shown() {
        for url in [
            "",
            "auth.example.com/token",
            "ftp://example.com",
            "https://user:canary@example.com",
            "https://canary@example.com",
            "https://example.com/#canary",
            "http://localhost@canary.example.com",
        ] {
            let error = parse("it", url, false).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{url}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}
