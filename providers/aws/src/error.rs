//! What each failure means for the chain. The only place that knows.

use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::date_time::{DateTime, Format};
use credchain_core::{Error, Kind};

/// How far clocks may differ before AWS takes no signature any more.
const TOLERATED_SKEW: Duration = Duration::from_mins(5);

/// The longest time that an answer may ask to be left alone for.
const MAX_RETRY_AFTER: u64 = 24 * 60 * 60;

/// How a call ended that gave no answer to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// AWS gave this error code, with this status if it was about the whole request.
    Code(String, Option<u16>),
    /// A status, with nothing of AWS in the body: a proxy's page, or another server's.
    Status(u16),
    /// No answer, or half of one.
    Silence,
    /// The server's certificate is not one to trust.
    Certificate,
    /// The deadline passed.
    Late,
    /// An answer that cannot be understood.
    Unreadable,
    /// An answer beyond every bound.
    TooLarge,
    /// The request itself could not be made.
    Unasked,
    /// No source of credentials had any.
    NoCredentials,
    /// A source of credentials is set up wrongly.
    WrongCredentials,
    /// A source of credentials failed.
    NoLogin,
}

/// What it means.
pub(crate) fn kind_of(failure: &Failure) -> Kind {
    match failure {
        Failure::Code(code, status) => kind_of_code(code)
            .or_else(|| status.and_then(kind_of_status))
            .unwrap_or(Kind::Invalid),
        // A page of something that is not AWS says nothing about a secret: AWS was not reached.
        Failure::Status(status) => kind_of_status(*status).unwrap_or(Kind::Unavailable),
        Failure::NoCredentials | Failure::NoLogin => Kind::Unauthenticated,
        Failure::Silence | Failure::Certificate | Failure::Late | Failure::Unreadable => {
            Kind::Unavailable
        }
        Failure::TooLarge => Kind::Invalid,
        Failure::Unasked | Failure::WrongCredentials => Kind::Misconfigured,
    }
}

/// What a status means, whoever gives it.
fn kind_of_status(status: u16) -> Option<Kind> {
    Some(match status {
        401 => Kind::Unauthenticated,
        403 => Kind::Denied,
        429 => Kind::Throttled,
        408 | 500..=599 => Kind::Unavailable,
        _ => return None,
    })
}

/// By code and not by status: which status goes with a code differs between services. A code
/// that is not listed is judged by its status after all. As long as AWS's list of codes.
fn kind_of_code(code: &str) -> Option<Kind> {
    Some(match code {
        "ResourceNotFoundException"
        | "ParameterNotFound"
        | "ParameterVersionNotFound"
        | "NoSuchEntity" => Kind::NotFound,
        // Without `kms:Decrypt` a secret can be found and not read.
        "AccessDeniedException"
        | "AccessDenied"
        | "UnauthorizedOperation"
        | "OptInRequired"
        | "DecryptionFailure"
        | "EncryptionFailure"
        | "KMSAccessDeniedException"
        | "KMSInvalidStateException"
        | "ForbiddenException" => Kind::Denied,
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "InvalidToken"
        | "AuthFailure"
        | "NotAuthorized"
        | "UnauthorizedException"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim" => Kind::Unauthenticated,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "PriorRequestNotComplete"
        | "TooManyUpdates"
        | "SlowDown" => Kind::Throttled,
        "InternalServiceError"
        | "InternalServiceErrorException"
        | "InternalServerError"
        | "InternalFailure"
        | "InternalError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceFailure"
        | "EntityTemporarilyUnmodifiable"
        | "ConcurrentModification"
        | "IDPCommunicationError" => Kind::Unavailable,
        // IAM's: there is a limit of access keys, and others have used it up.
        "ResourceExistsException" | "ParameterAlreadyExists" | "LimitExceeded" => Kind::Conflict,
        "UnknownOperationException" | "InvalidAction" | "RegionDisabledException" => {
            Kind::Misconfigured
        }
        _ => return None,
    })
}

/// A failure with what was being done and what the answer's head says about it.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// The action in the words of IAM, such as `secretsmanager:GetSecretValue`.
    action: &'static str,
    retry_after: Option<Duration>,
    /// How far this machine's clock is ahead of AWS's, and whether it is behind instead.
    skew: Option<(Duration, bool)>,
}

impl Failed {
    pub(crate) fn new(action: &'static str, failure: Failure) -> Self {
        Self {
            failure,
            action,
            retry_after: None,
            skew: None,
        }
    }

    /// The same, with what the head of the answer says.
    pub(crate) fn with_head(mut self, headers: &Headers, now: SystemTime) -> Self {
        self.retry_after = retry_after(headers);
        self.skew = skew(headers, now);
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        kind_of(&self.failure)
    }

    pub(crate) fn has_code(&self, code: &str) -> bool {
        matches!(&self.failure, Failure::Code(given, _) if given == code)
    }

    /// Whether AWS refused exactly the key that signed. A signature is also refused if this
    /// machine's clock is wrong, and then nothing is said about the key.
    pub(crate) fn refuses_key(&self) -> bool {
        let right_time = self.skew.is_some_and(|(by, _)| by <= TOLERATED_SKEW);
        match &self.failure {
            Failure::Code(code, _) if code == "InvalidClientTokenId" => true,
            Failure::Code(code, _) if code == "SignatureDoesNotMatch" => right_time,
            _ => false,
        }
    }

    /// The error to report.
    pub(crate) fn into_error(self) -> Error {
        let kind = self.kind();
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
        let action = self.action;
        match &self.failure {
            Failure::Code(..) if self.skewed().is_some() => {
                format!("AWS took no signature for `{action}`: this machine's clock is wrong")
            }
            Failure::Code(code, _) => {
                // SECURITY: a code is a word; whatever else came in its place is not shown.
                let word = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
                let code: String = code.chars().filter(|c| word(*c)).take(80).collect();
                format!("AWS answered `{action}` with {code}")
            }
            Failure::Status(status) => {
                format!(
                    "`{action}` was answered with HTTP status {status}, by something that is not AWS"
                )
            }
            Failure::Silence => format!("AWS did not answer `{action}`"),
            Failure::Certificate => {
                format!(
                    "the server that was asked for `{action}` shows a certificate that is not trusted"
                )
            }
            Failure::Late => format!("`{action}` was not answered within the time allowed"),
            Failure::Unreadable => format!("the answer to `{action}` cannot be understood"),
            Failure::TooLarge => format!("the answer to `{action}` is larger than any should be"),
            Failure::Unasked => format!("`{action}` cannot be asked with these settings"),
            Failure::NoCredentials => "there are no AWS credentials".to_owned(),
            Failure::WrongCredentials => "the AWS credentials are set up wrongly".to_owned(),
            Failure::NoLogin => "the source of the AWS credentials gave none".to_owned(),
        }
    }

    fn hint(&self, kind: Kind) -> Option<String> {
        let action = self.action;
        if let Some((by, behind)) = self.skewed() {
            let (by, way) = (by.as_secs() / 60, if behind { "behind" } else { "ahead" });
            return Some(format!(
                "the clock is {by} minutes {way} of AWS's; set it, for example with NTP"
            ));
        }
        let hint = match (kind, &self.failure) {
            (Kind::Denied, Failure::Code(code, _)) if code.ends_with("cryptionFailure") => {
                "the KMS key has to be enabled, and its policy to allow `kms:Decrypt` and `kms:GenerateDataKey`".to_owned()
            }
            (Kind::Denied, _) if action.starts_with("sts:") => {
                format!("the policy of whoever is logged in has to allow `{action}` on the role, and the role's trust policy to allow them")
            }
            (Kind::Denied, _) if action.starts_with("iam:") => {
                format!("the policy of whoever is logged in has to allow `{action}` on the user")
            }
            (Kind::Denied, _) => format!(
                "the policy of whoever is logged in has to allow `{action}` on it, and with a KMS key of your own `kms:Decrypt`; `aws sts get-caller-identity` says who that is"
            ),
            (Kind::Unauthenticated, Failure::NoCredentials | Failure::NoLogin) => {
                "log in with `aws sso login` or `aws configure`, set AWS_PROFILE, or give `access_key_id` and `secret_access_key`".to_owned()
            }
            (Kind::Unauthenticated, _) => {
                "log in again, for example with `aws sso login`; `aws sts get-caller-identity` says whether it worked".to_owned()
            }
            (Kind::Misconfigured, Failure::WrongCredentials) => {
                "`aws sts get-caller-identity` with the same profile shows what is wrong".to_owned()
            }
            (Kind::Misconfigured, _) => "look at `region`, `endpoint` and `fips`".to_owned(),
            (Kind::Unavailable, Failure::Status(..500) | Failure::Unreadable) => {
                "look at `endpoint`, and at proxies on the way".to_owned()
            }
            (_, Failure::Certificate) => {
                "name its authority with `ca`, and look at `endpoint` and at proxies on the way".to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }

    /// How far the clock is off, if that explains the failure.
    fn skewed(&self) -> Option<(Duration, bool)> {
        let Failure::Code(code, _) = &self.failure else {
            return None;
        };
        let about_time = matches!(
            code.as_str(),
            "InvalidSignatureException"
                | "SignatureDoesNotMatch"
                | "RequestExpired"
                | "RequestTimeTooSkewed"
        );
        self.skew
            .filter(|(by, _)| about_time && *by > TOLERATED_SKEW)
    }
}

fn retry_after(headers: &Headers) -> Option<Duration> {
    let seconds: u64 = headers.get("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

fn skew(headers: &Headers, now: SystemTime) -> Option<(Duration, bool)> {
    let theirs = DateTime::from_str(headers.get("date")?, Format::HttpDate).ok()?;
    let theirs = SystemTime::try_from(theirs).ok()?;
    Some(match now.duration_since(theirs) {
        Ok(ahead) => (ahead, false),
        Err(error) => (error.duration(), true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: &str) -> Failure {
        Failure::Code(code.to_owned(), None)
    }

    #[test]
    fn each_failure_has_its_kind() {
        for (failure, kind) in [
            (code("ResourceNotFoundException"), Kind::NotFound),
            (code("ParameterNotFound"), Kind::NotFound),
            (code("ParameterVersionNotFound"), Kind::NotFound),
            (code("AccessDeniedException"), Kind::Denied),
            (code("AccessDenied"), Kind::Denied),
            (code("DecryptionFailure"), Kind::Denied),
            (code("UnrecognizedClientException"), Kind::Unauthenticated),
            (code("InvalidClientTokenId"), Kind::Unauthenticated),
            (code("ExpiredTokenException"), Kind::Unauthenticated),
            (code("ExpiredToken"), Kind::Unauthenticated),
            (code("InvalidSignatureException"), Kind::Unauthenticated),
            (code("SignatureDoesNotMatch"), Kind::Unauthenticated),
            (code("RequestExpired"), Kind::Unauthenticated),
            (code("ThrottlingException"), Kind::Throttled),
            (code("TooManyRequestsException"), Kind::Throttled),
            (code("InternalServiceError"), Kind::Unavailable),
            (code("ServiceUnavailableException"), Kind::Unavailable),
            (code("ResourceExistsException"), Kind::Conflict),
            (code("ParameterAlreadyExists"), Kind::Conflict),
            (code("LimitExceeded"), Kind::Conflict),
            (code("NoSuchEntity"), Kind::NotFound),
            (code("EntityTemporarilyUnmodifiable"), Kind::Unavailable),
            (code("UnknownOperationException"), Kind::Misconfigured),
            (code("InvalidRequestException"), Kind::Invalid),
            (code("ValidationException"), Kind::Invalid),
            (code("SomethingNew"), Kind::Invalid),
            (
                Failure::Code("SomethingNew".into(), Some(500)),
                Kind::Unavailable,
            ),
            (
                Failure::Code("SomethingNew".into(), Some(403)),
                Kind::Denied,
            ),
            (
                Failure::Code("SomethingNew".into(), Some(400)),
                Kind::Invalid,
            ),
            (
                Failure::Code("ResourceNotFoundException".into(), Some(500)),
                Kind::NotFound,
            ),
            (Failure::Status(400), Kind::Unavailable),
            (Failure::Status(401), Kind::Unauthenticated),
            (Failure::Status(403), Kind::Denied),
            (Failure::Status(404), Kind::Unavailable),
            (Failure::Status(429), Kind::Throttled),
            (Failure::Status(500), Kind::Unavailable),
            (Failure::Status(503), Kind::Unavailable),
            (Failure::Silence, Kind::Unavailable),
            (Failure::Certificate, Kind::Unavailable),
            (Failure::Late, Kind::Unavailable),
            (Failure::Unreadable, Kind::Unavailable),
            (Failure::TooLarge, Kind::Invalid),
            (Failure::Unasked, Kind::Misconfigured),
            (Failure::NoCredentials, Kind::Unauthenticated),
            (Failure::WrongCredentials, Kind::Misconfigured),
            (Failure::NoLogin, Kind::Unauthenticated),
        ] {
            assert_eq!(kind_of(&failure), kind, "{failure:?}");
            let error = Failed::new("secretsmanager:GetSecretValue", failure).into_error();
            assert_eq!(error.kind(), kind);
        }
    }

    #[test]
    fn a_denial_names_the_action_that_is_missing() {
        let denied = Failed::new("ssm:GetParameters", code("AccessDeniedException")).into_error();
        assert!(denied.hint().unwrap().contains("`ssm:GetParameters`"));
    }

    #[test]
    fn what_is_no_code_is_not_shown() {
        let odd = Failed::new("ssm:GetParameters", code("x\u{1b}[31m {\"v\": 1}")).into_error();
        assert_eq!(
            odd.message(),
            "AWS answered `ssm:GetParameters` with x31mv1"
        );
    }
}
