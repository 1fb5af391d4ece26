//! What the server's answers, and the lack of one, mean for the chain.

use credchain_core::{Error, Kind};

use crate::client::Reply;

/// What the server was asked for: the same status means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A secret, or something else that may not be there.
    Read,
    /// A change of a secret.
    Write,
    /// A token, for a secret id, a password or the like.
    Login,
    /// Something about the token itself.
    Own,
}

/// The only place that decides. A 403 says only that it is refused: whether the token is at
/// fault, a look at the token tells.
pub(crate) fn kind_of(status: u16, ask: Ask) -> Kind {
    match (status, ask) {
        (400 | 401 | 403, Ask::Login) => Kind::Unauthenticated,
        (401, _) | (403, Ask::Own) => Kind::Unauthenticated,
        (403, _) => Kind::Denied,
        (404, Ask::Login) => Kind::Misconfigured,
        (404, _) => Kind::NotFound,
        (405, _) => Kind::Unsupported,
        (429, _) => Kind::Throttled,
        // 412: a replica that is behind. 472 and 473: standby nodes of Vault Enterprise.
        (412 | 472 | 473, _) => Kind::Unavailable,
        (400 | 413 | 422, _) => Kind::Invalid,
        // 3xx that led nowhere, 5xx, and whatever no Vault answers: a proxy on the way, perhaps.
        _ => Kind::Unavailable,
    }
}

/// The error for an answer that is no success. Nothing of the answer's text is in it: a server
/// may quote what it was sent.
pub(crate) fn refused(reply: &Reply, ask: Ask) -> Error {
    let kind = kind_of(reply.status, ask);
    let status = reply.status;
    let error = match (kind, ask, status) {
        (Kind::NotFound, ..) => Error::not_found(),
        (Kind::Unauthenticated, Ask::Login, _) => Error::new(kind, "the login was refused")
            .with_hint("look at the role, the user or the secret id, and at `mount` in `auth`"),
        (Kind::Unauthenticated, ..) => expired(),
        (Kind::Misconfigured, ..) => Error::new(kind, "nothing answers at the login's mount")
            .with_hint("`vault auth list` shows the mounts; `auth.mount` names another"),
        (Kind::Denied, ..) => Error::new(kind, "refused by policy"),
        (Kind::Unavailable, _, 503) => Error::new(kind, "the server is sealed or on standby")
            .with_hint("`vault status` tells which"),
        (Kind::Throttled, ..) => Error::new(kind, "the server asks for fewer requests"),
        (Kind::Unsupported, ..) => Error::new(kind, "the server does not offer this here"),
        (Kind::Invalid, ..) => {
            Error::new(kind, format!("the server takes no such request ({status})"))
        }
        _ => Error::new(kind, format!("the server answered {status}")),
    };
    match reply.retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

/// The token is not known, or not any more.
pub(crate) fn expired() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "the token is wrong, expired or used up",
    )
    .with_hint("`vault token lookup` says how it is; `auth` logs in anew whenever it has to")
}

/// An answer that no Vault gives.
pub(crate) fn garbled(what: &'static str) -> Error {
    Error::new(Kind::Unavailable, what)
        .with_hint("does `address` lead to Vault? a proxy may answer in its place")
}

/// There was no answer.
pub(crate) fn unreachable(error: &reqwest::Error, host: &str) -> Error {
    if error.is_timeout() {
        return Error::new(
            Kind::Unavailable,
            format!("no answer from `{host}` in time"),
        );
    }
    if is_tls(error) {
        return Error::new(
            Kind::Unavailable,
            format!("the certificate of `{host}` is not acceptable"),
        )
        .with_hint("`ca` names the authority of a private one; the date and the host count, too");
    }
    let what = if error.is_connect() {
        format!("`{host}` cannot be reached")
    } else {
        format!("the connection to `{host}` broke")
    };
    Error::new(Kind::Unavailable, what)
}

/// Whether rustls is among the causes. What an I/O error wraps is not among its sources.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.is::<rustls::Error>() {
            return true;
        }
        let wrapped = inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_kind() {
        for (status, ask, kind) in [
            (400, Ask::Read, Kind::Invalid),
            (400, Ask::Write, Kind::Invalid),
            (400, Ask::Login, Kind::Unauthenticated),
            (401, Ask::Read, Kind::Unauthenticated),
            (403, Ask::Read, Kind::Denied),
            (403, Ask::Write, Kind::Denied),
            (403, Ask::Own, Kind::Unauthenticated),
            (403, Ask::Login, Kind::Unauthenticated),
            (404, Ask::Read, Kind::NotFound),
            (404, Ask::Login, Kind::Misconfigured),
            (405, Ask::Write, Kind::Unsupported),
            (412, Ask::Read, Kind::Unavailable),
            (413, Ask::Write, Kind::Invalid),
            (429, Ask::Read, Kind::Throttled),
            (429, Ask::Login, Kind::Throttled),
            (472, Ask::Read, Kind::Unavailable),
            (473, Ask::Read, Kind::Unavailable),
            (307, Ask::Read, Kind::Unavailable),
            (418, Ask::Read, Kind::Unavailable),
            (500, Ask::Read, Kind::Unavailable),
            (502, Ask::Login, Kind::Unavailable),
            (503, Ask::Read, Kind::Unavailable),
        ] {
            assert_eq!(kind_of(status, ask), kind, "{status} to {ask:?}");
            let reply = Reply::bare(status);
            assert_eq!(refused(&reply, ask).kind(), kind, "{status} to {ask:?}");
        }
    }
}
