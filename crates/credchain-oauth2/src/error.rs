//! What a failure means. The only place that knows.

use std::time::Duration;

use credchain_core::{Error, Kind, Name};

/// The longest wait that an answer may ask for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Everything that can go wrong between wanting a token and having one.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The server refuses, with an error code of OAuth and an HTTP status.
    Refused(String, u16),
    /// An answer without a code: its HTTP status.
    Status(u16),
    /// The request was not sent: nobody answers at the address.
    Unreachable,
    /// The server's certificate is not trusted.
    Certificate,
    /// The request may have been received; no answer came in time.
    Late,
    /// The request may have been received; the connection ended before the answer did.
    Lost,
    /// A success that is no token: of an HTML page, a proxy, another protocol.
    Unreadable,
    TooLarge,
    /// The token cannot be put into a header.
    BadToken,
    /// The token is of a type that is no bearer token.
    TokenType,
    /// Some of the scopes that are required were not granted.
    Scopes,
    /// The request cannot be made of these settings.
    Unasked(&'static str),
    /// A person has to log in.
    Login(Need),
    /// A login's answer does not belong to the login that was begun.
    Forged,
    /// A credential to ask with could not be had, or the store failed.
    Other(Error),
}

/// Why a person has to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nobody has yet.
    Never,
    /// The server does not accept the login any more.
    Over,
    /// The answer with the next refresh token was lost on the way.
    Lost,
    /// The person did not finish in time.
    Unfinished,
}

/// What a failure means for whoever wants a token.
pub(crate) fn kind_of(failure: &Failure) -> Kind {
    match failure {
        Failure::Refused(code, status) => kind_of_code(code)
            .or_else(|| kind_of_status(*status))
            // An error that no list knows is a refusal all the same.
            .unwrap_or(Kind::Unauthenticated),
        // What is no answer of OAuth's says that the server was not reached.
        Failure::Status(status) => kind_of_status(*status).unwrap_or(Kind::Unavailable),
        Failure::Unreachable
        | Failure::Certificate
        | Failure::Late
        | Failure::Lost
        | Failure::Unreadable => Kind::Unavailable,
        Failure::TooLarge | Failure::BadToken | Failure::TokenType => Kind::Invalid,
        Failure::Scopes => Kind::Denied,
        Failure::Unasked(_) => Kind::Misconfigured,
        Failure::Login(_) | Failure::Forged => Kind::Unauthenticated,
        Failure::Other(error) => error.kind(),
    }
}

/// The codes of RFC 6749 §4.1.2.1 and §5.2, of its extensions, and of `OpenID` Connect.
fn kind_of_code(code: &str) -> Option<Kind> {
    Some(match code {
        "invalid_request"
        | "unsupported_grant_type"
        | "unsupported_response_type"
        | "invalid_scope"
        | "invalid_target"
        | "invalid_client_metadata" => Kind::Misconfigured,
        "unauthorized_client" | "access_denied" | "insufficient_scope" => Kind::Denied,
        "invalid_client"
        | "invalid_grant"
        | "invalid_token"
        | "expired_token"
        | "authorization_pending"
        | "interaction_required"
        | "login_required"
        | "consent_required"
        | "account_selection_required"
        | "mfa_required" => Kind::Unauthenticated,
        "server_error" | "temporarily_unavailable" => Kind::Unavailable,
        "slow_down" => Kind::Throttled,
        _ => return None,
    })
}

/// What a status of HTTP means, whoever gives it.
fn kind_of_status(status: u16) -> Option<Kind> {
    Some(match status {
        401 => Kind::Unauthenticated,
        403 => Kind::Denied,
        // There is something at the address, but nothing that gives tokens.
        404 | 405 | 410 => Kind::Misconfigured,
        429 => Kind::Throttled,
        408 | 500..=599 => Kind::Unavailable,
        _ => return None,
    })
}

impl Failure {
    /// Whether the server cannot have used up what the request carried.
    pub(crate) fn was_not_sent(&self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Certificate | Self::Unasked(_) | Self::Other(_)
        )
    }

    /// Whether the server itself has said no, or to ask elsewhere, so that nothing was used up
    /// either. Who ran out of patience cannot say so.
    pub(crate) fn was_refused(&self) -> bool {
        match self {
            Self::Refused(..) => true,
            Self::Status(status) => *status >= 300 && !matches!(status, 408 | 504),
            _ => false,
        }
    }

    /// Whether what a person has granted is not accepted any more.
    pub(crate) fn ends_the_login(&self) -> bool {
        const CODES: [&str; 7] = [
            "invalid_grant",
            "invalid_token",
            "interaction_required",
            "login_required",
            "consent_required",
            "account_selection_required",
            "mfa_required",
        ];
        matches!(self, Self::Refused(code, _) if CODES.contains(&&**code))
    }

    /// Whether the server gave this code.
    pub(crate) fn has_code(&self, expected: &str) -> bool {
        matches!(self, Self::Refused(code, _) if code == expected)
    }
}

/// A failure with what is known of it beside its meaning.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) retry_after: Option<Duration>,
    /// How many seconds the server's clock is ahead, if it is clearly another time there.
    pub(crate) skew: Option<i64>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            retry_after: None,
            skew: None,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failure::Other(error).into()
    }
}

impl Failed {
    pub(crate) fn kind(&self) -> Kind {
        kind_of(&self.failure)
    }

    /// Whether the server was asked, so that asking it again at once would be no use.
    pub(crate) fn came_of_asking(&self) -> bool {
        !matches!(
            self.failure,
            Failure::Login(_) | Failure::Other(_) | Failure::Unasked(_)
        )
    }

    /// The error to report, of the token `name` that was asked of `host`. `way` is how to log in
    /// again.
    pub(crate) fn into_error(self, name: &Name, host: &str, way: &str) -> Error {
        let kind = self.kind();
        let (message, hint) = match self.failure {
            Failure::Other(error) => return error.for_credential(name),
            ref failure => (message(failure, host), hint(failure, kind, way)),
        };
        let mut error = Error::new(kind, message).for_credential(name);
        if let Some(hint) = hint {
            error = error.with_hint(hint);
        }
        match self.retry_after {
            Some(wait) if kind.is_transient() => error.with_retry_after(wait),
            _ => error,
        }
    }
}

fn message(failure: &Failure, host: &str) -> String {
    match failure {
        Failure::Refused(code, _) => format!("`{host}` refused the token: {}", word(code)),
        Failure::Status(status) => {
            format!("`{host}` answered with HTTP status {status} and no token")
        }
        Failure::Unreachable => format!("`{host}` cannot be reached"),
        Failure::Certificate => format!("`{host}` shows a certificate that is not trusted"),
        Failure::Late => format!("`{host}` did not answer in time"),
        Failure::Lost => format!("`{host}` ended the connection before its answer"),
        Failure::Unreadable => format!("the answer of `{host}` cannot be understood"),
        Failure::TooLarge => format!("the answer of `{host}` is larger than any should be"),
        Failure::BadToken => format!("`{host}` gave a token that cannot be sent in a header"),
        Failure::TokenType => format!("`{host}` gave a token that is no bearer token"),
        Failure::Scopes => format!("`{host}` granted fewer scopes than are required"),
        Failure::Unasked(why) => (*why).to_owned(),
        Failure::Login(Need::Never) => "nobody has logged in yet".to_owned(),
        Failure::Login(Need::Over) => format!("`{host}` does not accept the login any more"),
        Failure::Login(Need::Lost) => {
            "the answer with the next refresh token was lost on the way".to_owned()
        }
        Failure::Login(Need::Unfinished) => "the login was not finished in time".to_owned(),
        Failure::Forged => "what came back does not belong to the login that was begun".to_owned(),
        Failure::Other(error) => error.message().to_owned(),
    }
}

fn hint(failure: &Failure, kind: Kind, way: &str) -> Option<String> {
    let hint = match failure {
        Failure::Login(Need::Lost) => {
            format!("{way}; where a refresh token may be used twice, `reuse` says so")
        }
        Failure::Login(_) => way.to_owned(),
        failure if failure.ends_the_login() => {
            format!("{way}, and look at this machine's clock")
        }
        Failure::Refused(code, _) => match &**code {
            "invalid_client" => {
                "look at `client_id`, at the client's secret or key, and at `authentication`"
            }
            "unauthorized_client" => "the server has to allow this grant for the client",
            "invalid_scope" => "look at `scopes`",
            "invalid_target" => "look at `audience` and `resource`",
            "access_denied" => "whoever was asked said no",
            _ if kind == Kind::Misconfigured => "look at `grant` and at the client's settings",
            _ => return None,
        }
        .to_owned(),
        Failure::Status(_) if kind == Kind::Misconfigured => {
            "look at `token_url`, or at `issuer` if there is one".to_owned()
        }
        Failure::Status(300..400) => {
            "a token is never asked for elsewhere: name the address that it leads to".to_owned()
        }
        Failure::Certificate => {
            "name its authority with `ca`, and look at proxies on the way".to_owned()
        }
        Failure::Unreachable | Failure::Unreadable => {
            "look at the address, and at proxies on the way".to_owned()
        }
        Failure::Scopes => "ask whoever runs the server, or leave out `require_scopes`".to_owned(),
        _ => return None,
    };
    Some(hint)
}

// SECURITY: a code is a word; whatever else came in its place is not shown.
fn word(code: &str) -> String {
    let part = |c: &char| c.is_ascii_alphanumeric() || "_-.".contains(*c);
    let word: String = code.chars().filter(part).take(64).collect();
    if word.len() == code.len() {
        word
    } else {
        "an unknown error".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: &str = "`resolve login crm`";

    fn refused(code: &str, status: u16) -> Failure {
        Failure::Refused(code.to_owned(), status)
    }

    fn name() -> Name {
        "crm".parse().unwrap()
    }

    #[test]
    fn each_failure_has_its_kind() {
        for (failure, kind) in [
            (refused("invalid_request", 400), Kind::Misconfigured),
            (refused("invalid_client", 401), Kind::Unauthenticated),
            (refused("invalid_client", 400), Kind::Unauthenticated),
            (refused("invalid_grant", 400), Kind::Unauthenticated),
            (refused("unauthorized_client", 400), Kind::Denied),
            (refused("unsupported_grant_type", 400), Kind::Misconfigured),
            (
                refused("unsupported_response_type", 400),
                Kind::Misconfigured,
            ),
            (refused("invalid_scope", 400), Kind::Misconfigured),
            (refused("invalid_target", 400), Kind::Misconfigured),
            (refused("access_denied", 400), Kind::Denied),
            (refused("expired_token", 400), Kind::Unauthenticated),
            (refused("interaction_required", 400), Kind::Unauthenticated),
            (refused("mfa_required", 403), Kind::Unauthenticated),
            (refused("server_error", 400), Kind::Unavailable),
            (refused("temporarily_unavailable", 400), Kind::Unavailable),
            (refused("slow_down", 400), Kind::Throttled),
            (refused("something_new", 400), Kind::Unauthenticated),
            (refused("something_new", 403), Kind::Denied),
            (refused("something_new", 429), Kind::Throttled),
            (refused("something_new", 502), Kind::Unavailable),
            (refused("something_new", 200), Kind::Unauthenticated),
            (Failure::Status(204), Kind::Unavailable),
            (Failure::Status(302), Kind::Unavailable),
            (Failure::Status(400), Kind::Unavailable),
            (Failure::Status(401), Kind::Unauthenticated),
            (Failure::Status(403), Kind::Denied),
            (Failure::Status(404), Kind::Misconfigured),
            (Failure::Status(405), Kind::Misconfigured),
            (Failure::Status(408), Kind::Unavailable),
            (Failure::Status(429), Kind::Throttled),
            (Failure::Status(503), Kind::Unavailable),
            (Failure::Unreachable, Kind::Unavailable),
            (Failure::Certificate, Kind::Unavailable),
            (Failure::Late, Kind::Unavailable),
            (Failure::Lost, Kind::Unavailable),
            (Failure::Unreadable, Kind::Unavailable),
            (Failure::TooLarge, Kind::Invalid),
            (Failure::BadToken, Kind::Invalid),
            (Failure::TokenType, Kind::Invalid),
            (Failure::Scopes, Kind::Denied),
            (Failure::Unasked("no"), Kind::Misconfigured),
            (Failure::Login(Need::Never), Kind::Unauthenticated),
            (Failure::Login(Need::Lost), Kind::Unauthenticated),
            (Failure::Forged, Kind::Unauthenticated),
            (Failure::Other(Error::new(Kind::Denied, "no")), Kind::Denied),
        ] {
            assert_eq!(kind_of(&failure), kind, "{failure:?}");
            let error = Failed::from(failure).into_error(&name(), "as.example.com", WAY);
            assert_eq!(error.kind(), kind);
            assert_eq!(error.credential(), Some(&name()));
        }
    }

    #[test]
    fn whoever_has_to_log_in_is_told_how() {
        for failure in [
            refused("invalid_grant", 400),
            refused("login_required", 400),
            Failure::Login(Need::Never),
            Failure::Login(Need::Over),
            Failure::Login(Need::Lost),
        ] {
            let error = Failed::from(failure).into_error(&name(), "as.example.com", WAY);
            assert!(error.hint().unwrap().starts_with(WAY));
        }
    }

    #[test]
    fn what_is_no_code_is_not_shown() {
        let odd = refused("\u{1b}[31m canary", 400);
        let error = Failed::from(odd).into_error(&name(), "as.example.com", WAY);
        assert_eq!(
            error.message(),
            "`as.example.com` refused the token: an unknown error"
        );
    }

    #[test]
    fn a_wait_is_passed_on_only_where_waiting_helps() {
        for (failure, waits) in [(Failure::Status(429), true), (Failure::Status(403), false)] {
            let wait = Some(Duration::from_secs(7));
            let failed = Failed {
                retry_after: wait,
                ..failure.into()
            };
            let error = failed.into_error(&name(), "as.example.com", WAY);
            assert_eq!(error.retry_after(), wait.filter(|_| waits));
        }
    }
}
