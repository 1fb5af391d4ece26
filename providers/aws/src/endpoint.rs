//! Addresses that are not AWS's own: VPC endpoints, emulators.

use std::net::IpAddr;

use credchain_core::{Context, Error, Kind, Result};

use crate::config::{Service, Settings};

/// Another address of the service, if somebody gave one.
pub(crate) fn service_endpoint(settings: &Settings, cx: &Context) -> Result<Option<String>> {
    let variable = match settings.service {
        Service::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        Service::ParameterStore => "AWS_ENDPOINT_URL_SSM",
    };
    endpoint(settings.endpoint.as_ref(), variable, settings, cx)
}

/// Another address of STS, if somebody gave one.
pub(crate) fn sts_endpoint(settings: &Settings, cx: &Context) -> Result<Option<String>> {
    let setting = settings.sts_endpoint.as_ref();
    endpoint(setting, "AWS_ENDPOINT_URL_STS", settings, cx)
}

/// Another address of IAM, if somebody gave one.
pub(crate) fn iam_endpoint(settings: &Settings, cx: &Context) -> Result<Option<String>> {
    let setting = settings.iam_endpoint.as_ref();
    endpoint(setting, "AWS_ENDPOINT_URL_IAM", settings, cx)
}

/// The setting, else what the environment says, which has to be as safe.
fn endpoint(
    setting: Option<&String>,
    variable: &str,
    settings: &Settings,
    cx: &Context,
) -> Result<Option<String>> {
    if let Some(url) = setting {
        return Ok(Some(url.clone()));
    }
    if cx
        .env()
        .text("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_some_and(|said| said == "true")
    {
        return Ok(None);
    }
    for variable in [variable, "AWS_ENDPOINT_URL"] {
        if let Some(url) = cx.env().text(variable) {
            check(&format!("`{variable}`"), &url, settings.allow_http)?;
            return Ok(Some(url));
        }
    }
    Ok(None)
}

/// An address that a request with a login may go to.
///
/// SECURITY: over `http://` everybody on the way reads the secrets, so it goes no further than
/// this machine unless somebody said so.
pub(crate) fn check(named: &str, url: &str, allow_http: bool) -> Result<()> {
    let rest = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => rest,
        (_, Some(rest)) if allow_http || is_loopback(host(rest)) => rest,
        (_, Some(_)) => {
            return Err(wrong(format!("{named} is not encrypted: `http://`"))
                .with_hint("use `https://`, or set `allow_http = true` if the network is yours"));
        }
        (None, None) => return Err(wrong(format!("{named} must begin with `https://`"))),
    };
    // A user's name in an address would be a secret in a place that is shown.
    if host(rest).is_empty() || authority(rest).contains('@') || rest.contains(['?', '#', ' ']) {
        return Err(wrong(format!(
            "{named} must be a scheme, a host and perhaps a port and a path"
        )));
    }
    Ok(())
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

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
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
            "https://secrets.example.com/path",
        ] {
            assert!(check("it", url, false).is_ok(), "{url}");
        }
        for url in [
            "http://aws.internal:5000",
            "http://127.0.0.1.example.com",
            "http://[2001:db8::1]",
        ] {
            assert_eq!(
                check("it", url, false).unwrap_err().kind(),
                Kind::Misconfigured
            );
            assert!(check("it", url, true).is_ok(), "{url}");
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
            let error = check("it", url, true).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{url}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}
