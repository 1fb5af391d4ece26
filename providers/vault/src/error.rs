//! What the server's answers, and the lack of one, mean for the chain.

use credchain_core::{Error, Kind, causes};

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
    /// Whether somebody else's login works, which is tried.
    Probe,
    /// Something about the token itself.
    Own,
}

/// What a failure says beside its status. Only the form counts, never the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Something that no Vault says: a page of a proxy, or nothing at all.
    Page,
    /// That there is nothing.
    Nothing,
    /// Why the request is wrong.
    Reason,
}

/// The only place that decides. A 403 says only that it is refused: whether the token is at
/// fault, a look at the token tells.
#[expect(
    clippy::match_same_arms,
    reason = "a table: each row has its own reason"
)]
pub(crate) fn kind_of(status: u16, ask: Ask, said: Said) -> Kind {
    match (status, ask, said) {
        // Else a proxy that lost its server would pass for a server without the secret.
        (400 | 404 | 405, _, Said::Page) => Kind::Unavailable,
        (401, ..) | (400 | 403, Ask::Login, _) | (403, Ask::Own, _) => Kind::Unauthenticated,
        // Whoever is locked out hears the same, whatever the password, and so does who asks at a
        // mount that is not there: that judges no login.
        (403, Ask::Probe, _) => Kind::Throttled,
        (403, ..) => Kind::Denied,
        // A missing secret has no reason; a missing mount, or another version of KV, does.
        (404, Ask::Read, Said::Nothing) => Kind::NotFound,
        (404, ..) => Kind::Misconfigured,
        (405, ..) => Kind::Unsupported,
        (429, ..) => Kind::Throttled,
        // 412: a replica that is behind. 472 and 473: standby nodes of Vault Enterprise.
        (412 | 472 | 473, ..) => Kind::Unavailable,
        (400 | 413 | 422, ..) => Kind::Invalid,
        // 3xx that led nowhere, 5xx, and whatever no Vault answers: a proxy on the way, perhaps.
        _ => Kind::Unavailable,
    }
}

/// The error for an answer that is no success. Nothing of the answer's text is in it: a server
/// may quote what it was sent.
pub(crate) fn refused(reply: &Reply, ask: Ask) -> Error {
    let said = reply.said();
    let kind = kind_of(reply.status, ask, said);
    let status = reply.status;
    let error = match (kind, ask, status) {
        (Kind::NotFound, ..) => Error::not_found(),
        (Kind::Unauthenticated, Ask::Login, _) => Error::new(kind, "the login was refused")
            .with_hint("look at the role, the user or the secret id, and at `mount` in `auth`"),
        (Kind::Unauthenticated, ..) => expired(),
        (Kind::Throttled, Ask::Probe, 403) => {
            Error::new(kind, "the login was not judged: locked out, not allowed from here, or at no mount")
                .with_hint("a lock ends by itself, by default after 15 minutes; `vault read sys/locked-users` shows it, `vault auth list` the mounts")
        }
        (Kind::Misconfigured, Ask::Probe, _) => Error::new(kind, "nothing answers at the login's mount")
            .with_hint("`vault auth list` shows the mounts; `mount` names another"),
        (Kind::Misconfigured, Ask::Login, _) => {
            Error::new(kind, "nothing answers at the login's mount")
                .with_hint("`vault auth list` shows the mounts; `auth.mount` names another")
        }
        (Kind::Misconfigured, ..) => Error::new(kind, "no engine answers there as expected")
            .with_hint("look at `mount`, `namespace`, `kv_version`; `vault secrets list -detailed` shows what there is"),
        (Kind::Denied, ..) => Error::new(kind, "refused by policy"),
        (Kind::Unavailable, _, 503) => Error::new(kind, "the server is sealed or on standby")
            .with_hint("`vault status` tells which"),
        (Kind::Unavailable, ..) if said == Said::Page && status < 500 => {
            garbled("what answers is no Vault")
        }
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

/// Whether rustls is among the causes.
fn is_tls(error: &reqwest::Error) -> bool {
    causes(error).any(<dyn std::error::Error>::is::<rustls::Error>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_kind() {
        use Said::{Nothing, Page, Reason};
        for (status, ask, said, kind) in [
            (400, Ask::Read, Reason, Kind::Invalid),
            (400, Ask::Write, Reason, Kind::Invalid),
            (400, Ask::Login, Reason, Kind::Unauthenticated),
            (401, Ask::Read, Reason, Kind::Unauthenticated),
            (403, Ask::Read, Reason, Kind::Denied),
            (403, Ask::Write, Reason, Kind::Denied),
            (403, Ask::Own, Reason, Kind::Unauthenticated),
            (403, Ask::Login, Reason, Kind::Unauthenticated),
            (400, Ask::Probe, Reason, Kind::Invalid),
            (403, Ask::Probe, Reason, Kind::Throttled),
            (404, Ask::Probe, Reason, Kind::Misconfigured),
            (429, Ask::Probe, Reason, Kind::Throttled),
            (500, Ask::Probe, Reason, Kind::Unavailable),
            (404, Ask::Read, Nothing, Kind::NotFound),
            (404, Ask::Read, Reason, Kind::Misconfigured),
            (404, Ask::Write, Nothing, Kind::Misconfigured),
            (404, Ask::Login, Reason, Kind::Misconfigured),
            (404, Ask::Read, Page, Kind::Unavailable),
            (404, Ask::Login, Page, Kind::Unavailable),
            (400, Ask::Read, Page, Kind::Unavailable),
            (400, Ask::Login, Page, Kind::Unavailable),
            (403, Ask::Read, Page, Kind::Denied),
            (405, Ask::Write, Reason, Kind::Unsupported),
            (412, Ask::Read, Reason, Kind::Unavailable),
            (413, Ask::Write, Reason, Kind::Invalid),
            (429, Ask::Read, Reason, Kind::Throttled),
            (429, Ask::Login, Reason, Kind::Throttled),
            (472, Ask::Read, Reason, Kind::Unavailable),
            (473, Ask::Read, Reason, Kind::Unavailable),
            (307, Ask::Read, Reason, Kind::Unavailable),
            (418, Ask::Read, Reason, Kind::Unavailable),
            (500, Ask::Read, Reason, Kind::Unavailable),
            (502, Ask::Login, Reason, Kind::Unavailable),
            (503, Ask::Read, Reason, Kind::Unavailable),
        ] {
            let case = format!("{status} to {ask:?}, {said:?}");
            assert_eq!(kind_of(status, ask, said), kind, "{case}");
            let body = match said {
                Page => "<html>",
                Nothing => r#"{"errors": []}"#,
                Reason => r#"{"errors": ["a reason"]}"#,
            };
            let reply = Reply::json(status, body);
            assert_eq!(refused(&reply, ask).kind(), kind, "{case}");
        }
    }
}
