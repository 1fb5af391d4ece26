//! What each failure means for the chain. The only place that knows.

use std::time::Duration;

use credchain_core::{Error, Kind};

use crate::address::Place;

/// The longest time that an answer may ask to be left alone for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// How a request ended that gave no answer to use.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Google gave this status of `google.rpc.Code`, with this status of HTTP, and perhaps a
    /// reason, which is a word as well.
    Code(String, u16, Option<String>),
    /// A login was answered with this code of OAuth or of Google, and this status of HTTP.
    Refused(String, u16),
    /// A status, with nothing of Google in the body: a proxy's page, or another server's.
    Status(u16),
    /// No answer, or half of one.
    Silence,
    /// The server's certificate is not one to trust.
    Certificate,
    /// The deadline passed.
    Late,
    /// An answer that cannot be understood.
    Unreadable,
    /// A value that is not what its checksum says.
    Corrupt,
    /// An answer beyond every bound.
    TooLarge,
    /// The request itself could not be made.
    Unasked,
    /// Nobody is logged in here.
    NoCredentials,
    /// The login could not be tried; the error says why.
    Login(Error),
}

/// What it means.
pub(crate) fn kind_of(failure: &Failure) -> Kind {
    match failure {
        Failure::Code(code, status, _) => kind_of_code(code)
            .or_else(|| kind_of_status(*status))
            .unwrap_or(Kind::Invalid),
        // That an account to log in as is not there says nothing about a secret.
        Failure::Refused(code, status) => kind_of_refusal(code)
            .or_else(|| kind_of_status(*status))
            .unwrap_or(Kind::Unauthenticated),
        // A page of something that is not Google says nothing either: Google was not reached.
        Failure::Status(status) => kind_of_status(*status).unwrap_or(Kind::Unavailable),
        Failure::NoCredentials => Kind::Unauthenticated,
        Failure::Silence
        | Failure::Certificate
        | Failure::Late
        | Failure::Unreadable
        | Failure::Corrupt => Kind::Unavailable,
        Failure::TooLarge => Kind::Invalid,
        Failure::Unasked => Kind::Misconfigured,
        Failure::Login(error) => error.kind(),
    }
}

/// What a status of HTTP means, whoever gives it.
fn kind_of_status(status: u16) -> Option<Kind> {
    Some(match status {
        401 => Kind::Unauthenticated,
        403 => Kind::Denied,
        429 => Kind::Throttled,
        408 | 500..=599 => Kind::Unavailable,
        _ => return None,
    })
}

/// Every status of `google.rpc.Code`. One that is not listed is judged by HTTP's.
fn kind_of_code(code: &str) -> Option<Kind> {
    Some(match code {
        "NOT_FOUND" => Kind::NotFound,
        "PERMISSION_DENIED" => Kind::Denied,
        "UNAUTHENTICATED" => Kind::Unauthenticated,
        "RESOURCE_EXHAUSTED" => Kind::Throttled,
        "CANCELLED" | "UNKNOWN" | "DEADLINE_EXCEEDED" | "INTERNAL" | "UNAVAILABLE"
        | "DATA_LOSS" => Kind::Unavailable,
        // Something is not in the state that the request takes it to be in.
        "ALREADY_EXISTS" | "ABORTED" | "FAILED_PRECONDITION" => Kind::Conflict,
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" => Kind::Invalid,
        "UNIMPLEMENTED" => Kind::Misconfigured,
        _ => return None,
    })
}

/// What a login is answered with, by OAuth or by Google's IAM. Whatever is not listed, such as
/// `invalid_grant` and `invalid_client`, means that this login is not accepted.
fn kind_of_refusal(code: &str) -> Option<Kind> {
    Some(match code {
        "temporarily_unavailable"
        | "server_error"
        | "internal_failure"
        | "INTERNAL"
        | "UNAVAILABLE" => Kind::Unavailable,
        "RESOURCE_EXHAUSTED" => Kind::Throttled,
        "PERMISSION_DENIED" => Kind::Denied,
        _ => return None,
    })
}

/// What was being done, in the words of IAM, and a role that allows it, if one is needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) role: &'static str,
}

impl Action {
    pub(crate) const fn new(name: &'static str, role: &'static str) -> Self {
        Self { name, role }
    }
}

/// A failure with what was being done and how long the answer asks to wait.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    action: Action,
    retry_after: Option<Duration>,
}

impl Failed {
    pub(crate) fn new(action: Action, failure: Failure) -> Self {
        Self {
            failure,
            action,
            retry_after: None,
        }
    }

    pub(crate) fn with_wait(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait.map(|wait| wait.min(MAX_RETRY_AFTER));
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        kind_of(&self.failure)
    }

    pub(crate) fn has_code(&self, code: &str) -> bool {
        matches!(&self.failure, Failure::Code(given, ..) if given == code)
    }

    /// Whether Google does not know the token that was sent.
    pub(crate) fn is_about_the_token(&self) -> bool {
        let says_google = matches!(self.failure, Failure::Code(..) | Failure::Status(_));
        says_google && self.kind() == Kind::Unauthenticated
    }

    /// The error to report.
    pub(crate) fn into_error(self) -> Error {
        let kind = self.kind();
        if let Failure::Login(error) = self.failure {
            return error;
        }
        if kind == Kind::NotFound {
            return Error::not_found();
        }
        let mut error = Error::new(kind, self.message());
        if let Some(hint) = self.hint(kind) {
            error = error.with_hint(hint);
        }
        match self.retry_after {
            Some(wait) if kind.is_transient() => error.with_retry_after(wait),
            _ => error,
        }
    }

    fn message(&self) -> String {
        let action = self.action.name;
        match &self.failure {
            Failure::Code(code, ..) => format!("Google answered `{action}` with {}", word(code)),
            Failure::Refused(code, status) if code.is_empty() => {
                format!("Google refused `{action}` with HTTP status {status}")
            }
            Failure::Refused(code, _) => format!("Google refused `{action}` with {}", word(code)),
            Failure::Status(status) => format!(
                "`{action}` was answered with HTTP status {status}, by something that is not Google"
            ),
            Failure::Silence => format!("Google did not answer `{action}`"),
            Failure::Certificate => format!(
                "the server that was asked for `{action}` shows a certificate that is not trusted"
            ),
            Failure::Late => format!("`{action}` was not answered within the time allowed"),
            Failure::Unreadable => format!("the answer to `{action}` cannot be understood"),
            Failure::Corrupt => "the value does not match its checksum".to_owned(),
            Failure::TooLarge => format!("the answer to `{action}` is larger than any should be"),
            Failure::Unasked => format!("`{action}` cannot be asked with these settings"),
            Failure::NoCredentials => "there are no Google credentials".to_owned(),
            Failure::Login(error) => error.message().to_owned(),
        }
    }

    fn hint(&self, kind: Kind) -> Option<String> {
        let Action { name, role } = self.action;
        let hint = match (kind, &self.failure) {
            (Kind::Denied, Failure::Code(_, _, Some(reason))) if reason == "SERVICE_DISABLED" => {
                "`gcloud services enable secretmanager.googleapis.com --project=PROJECT` turns the service on".to_owned()
            }
            (Kind::Denied, Failure::Code(_, _, Some(reason)))
                if reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT" =>
            {
                "the login needs the scope `https://www.googleapis.com/auth/cloud-platform`; a virtual machine's is set where it is created".to_owned()
            }
            (Kind::Denied, _) if role.is_empty() => {
                "look at the policies of the organization, and at whether the account is disabled".to_owned()
            }
            (Kind::Denied, _) => format!(
                "whoever is logged in needs `{name}`, which the role `{role}` has; `resolve providers --check` says who that is"
            ),
            (Kind::Unauthenticated, Failure::NoCredentials) => {
                "log in with `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, or give `service_account`".to_owned()
            }
            (Kind::Unauthenticated, Failure::Refused(code, _)) if code == "invalid_grant" => {
                "look at this machine's clock and whether the key was deleted; a person logs in again with `gcloud auth application-default login`".to_owned()
            }
            (Kind::Unauthenticated, _) => {
                "log in again, for example with `gcloud auth application-default login`; of a service account look at the key and this machine's clock".to_owned()
            }
            (Kind::Misconfigured, _) => "look at `endpoint`, `iam_endpoint` and `project`".to_owned(),
            (_, Failure::Certificate) => {
                "name its authority with `ca`, and look at `endpoint` and at proxies on the way".to_owned()
            }
            (Kind::Unavailable, Failure::Status(..500) | Failure::Unreadable) => {
                "look at `endpoint`, and at proxies on the way".to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }
}

/// That a version is there and may not be read.
pub(crate) fn switched_off(place: &Place, state: Option<&str>, number: Option<&str>) -> Error {
    let Place { project, name } = place;
    let number = number.unwrap_or("NUMBER");
    let enable =
        format!("`gcloud secrets versions enable {number} --secret={name} --project={project}`");
    let (message, hint) = match state {
        Some("DESTROYED") => (
            "the version was destroyed",
            "it cannot be brought back: write the value again".to_owned(),
        ),
        Some("DISABLED") => (
            "the version is disabled",
            format!("{enable} brings it back"),
        ),
        _ => (
            "the version is disabled or destroyed",
            format!("{enable} brings a disabled one back"),
        ),
    };
    Error::new(Kind::NotFound, message).with_hint(hint)
}

// SECURITY: a code is a word; whatever else came in its place is not shown.
fn word(code: &str) -> String {
    let part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    code.chars().filter(part).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: Action = Action::new("secretmanager.versions.access", "roles/accessor");

    fn code(code: &str, status: u16) -> Failure {
        Failure::Code(code.to_owned(), status, None)
    }

    fn refused(code: &str, status: u16) -> Failure {
        Failure::Refused(code.to_owned(), status)
    }

    #[test]
    fn each_failure_has_its_kind() {
        for (failure, kind) in [
            (code("NOT_FOUND", 404), Kind::NotFound),
            (code("PERMISSION_DENIED", 403), Kind::Denied),
            (code("UNAUTHENTICATED", 401), Kind::Unauthenticated),
            (code("RESOURCE_EXHAUSTED", 429), Kind::Throttled),
            (code("CANCELLED", 499), Kind::Unavailable),
            (code("UNKNOWN", 500), Kind::Unavailable),
            (code("DEADLINE_EXCEEDED", 504), Kind::Unavailable),
            (code("INTERNAL", 500), Kind::Unavailable),
            (code("UNAVAILABLE", 503), Kind::Unavailable),
            (code("DATA_LOSS", 500), Kind::Unavailable),
            (code("ALREADY_EXISTS", 409), Kind::Conflict),
            (code("ABORTED", 409), Kind::Conflict),
            (code("FAILED_PRECONDITION", 400), Kind::Conflict),
            (code("INVALID_ARGUMENT", 400), Kind::Invalid),
            (code("OUT_OF_RANGE", 400), Kind::Invalid),
            (code("UNIMPLEMENTED", 501), Kind::Misconfigured),
            (code("SOMETHING_NEW", 400), Kind::Invalid),
            (code("SOMETHING_NEW", 403), Kind::Denied),
            (code("SOMETHING_NEW", 503), Kind::Unavailable),
            (refused("invalid_grant", 400), Kind::Unauthenticated),
            (refused("invalid_client", 401), Kind::Unauthenticated),
            (refused("NOT_FOUND", 404), Kind::Unauthenticated),
            (refused("INVALID_ARGUMENT", 400), Kind::Unauthenticated),
            (refused("PERMISSION_DENIED", 403), Kind::Denied),
            (refused("RESOURCE_EXHAUSTED", 429), Kind::Throttled),
            (refused("temporarily_unavailable", 400), Kind::Unavailable),
            (refused("server_error", 400), Kind::Unavailable),
            (refused("internal_failure", 400), Kind::Unavailable),
            (refused("", 404), Kind::Unauthenticated),
            (refused("", 500), Kind::Unavailable),
            (Failure::Status(400), Kind::Unavailable),
            (Failure::Status(401), Kind::Unauthenticated),
            (Failure::Status(403), Kind::Denied),
            (Failure::Status(404), Kind::Unavailable),
            (Failure::Status(429), Kind::Throttled),
            (Failure::Status(500), Kind::Unavailable),
            (Failure::Status(302), Kind::Unavailable),
            (Failure::Silence, Kind::Unavailable),
            (Failure::Certificate, Kind::Unavailable),
            (Failure::Late, Kind::Unavailable),
            (Failure::Unreadable, Kind::Unavailable),
            (Failure::Corrupt, Kind::Unavailable),
            (Failure::TooLarge, Kind::Invalid),
            (Failure::Unasked, Kind::Misconfigured),
            (Failure::NoCredentials, Kind::Unauthenticated),
            (Failure::Login(Error::new(Kind::Denied, "x")), Kind::Denied),
        ] {
            assert_eq!(kind_of(&failure), kind, "{failure:?}");
            let error = Failed::new(ACCESS, failure).into_error();
            assert_eq!(error.kind(), kind);
        }
    }

    #[test]
    fn a_denial_names_the_permission_and_a_role_that_has_it() {
        let denied = Failed::new(ACCESS, code("PERMISSION_DENIED", 403)).into_error();
        let hint = denied.hint().unwrap();
        assert!(hint.contains("`secretmanager.versions.access`"), "{hint}");
        assert!(hint.contains("`roles/accessor`"), "{hint}");
    }

    #[test]
    fn a_service_that_is_off_is_told_as_that() {
        let reason = Some("SERVICE_DISABLED".to_owned());
        let failure = Failure::Code("PERMISSION_DENIED".to_owned(), 403, reason);
        let error = Failed::new(ACCESS, failure).into_error();
        assert!(error.hint().unwrap().contains("gcloud services enable"));
    }

    #[test]
    fn a_refused_login_points_at_the_clock_and_the_key() {
        let error = Failed::new(ACCESS, refused("invalid_grant", 400)).into_error();
        let hint = error.hint().unwrap();
        assert!(hint.contains("clock") && hint.contains("key"), "{hint}");
    }

    #[test]
    fn a_version_that_is_off_says_how_to_turn_it_on() {
        let place = Place {
            project: "acme".into(),
            name: "db".into(),
        };
        let hint = |state, number| {
            let error = switched_off(&place, state, number);
            assert_eq!(error.kind(), Kind::NotFound);
            error.hint().unwrap().to_owned()
        };
        let enable = "`gcloud secrets versions enable 3 --secret=db --project=acme`";
        assert!(hint(Some("DISABLED"), Some("3")).contains(enable));
        assert!(hint(None, Some("3")).contains(enable));
        assert!(!hint(Some("DESTROYED"), Some("3")).contains("gcloud"));
    }

    #[test]
    fn what_is_no_code_is_not_shown() {
        let odd = Failed::new(ACCESS, code("x\u{1b}[31m {\"v\": 1}", 400)).into_error();
        assert_eq!(
            odd.message(),
            "Google answered `secretmanager.versions.access` with x31mv1"
        );
    }

    #[test]
    fn only_google_itself_can_say_that_a_token_is_not_known() {
        let about = |failure| Failed::new(ACCESS, failure).is_about_the_token();
        assert!(about(code("UNAUTHENTICATED", 401)));
        assert!(about(Failure::Status(401)));
        assert!(!about(refused("invalid_grant", 400)));
        assert!(!about(Failure::NoCredentials));
        assert!(!about(code("PERMISSION_DENIED", 403)));
    }
}
