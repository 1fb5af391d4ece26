//! What each failure means for the chain. The only place that knows.

use std::time::Duration;

use credchain_core::{Error, Kind};

/// The longest time that an answer may ask to be left alone for.
const MAX_RETRY_AFTER: u64 = 24 * 60 * 60;

/// How a question ended that gave no answer to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Key Vault gave this status, code and inner code.
    Vault(u16, String, Option<String>),
    /// Entra gave this status, the word for the error, and its number.
    Login(u16, String, Option<u32>),
    /// The service of managed identities gave this status.
    Identity(u16),
    /// A status, with nothing of Azure in the body: a proxy's page, or another server's.
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
    /// The server asks for a token of something that is not Key Vault.
    OtherResource,
    /// The next page is at another server.
    Elsewhere,
    /// No way to log in is there.
    NoLogin,
    /// The Azure CLI gave no token.
    NoCli,
}

/// What it means.
pub(crate) fn kind_of(failure: &Failure) -> Kind {
    match failure {
        Failure::Vault(status, code, inner) => kind_of_vault(*status, code, inner.as_deref()),
        Failure::Login(status, word, number) => number
            .and_then(kind_of_number)
            .or_else(|| kind_of_word(word))
            .or_else(|| kind_of_status(*status))
            .unwrap_or(Kind::Unauthenticated),
        // 404, 410 and 5xx are told while the service is being updated; the rest is about who asks.
        Failure::Identity(status) => match status {
            404 | 410 => Kind::Unavailable,
            400 | 403 => Kind::Unauthenticated,
            status => kind_of_status(*status).unwrap_or(Kind::Unavailable),
        },
        // A page of something that is not Azure says nothing about a secret.
        Failure::Status(status) => kind_of_status(*status).unwrap_or(Kind::Unavailable),
        Failure::Silence
        | Failure::Certificate
        | Failure::Late
        | Failure::Unreadable
        | Failure::Elsewhere => Kind::Unavailable,
        Failure::TooLarge => Kind::Invalid,
        Failure::OtherResource => Kind::Misconfigured,
        Failure::NoLogin | Failure::NoCli => Kind::Unauthenticated,
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

/// What Key Vault means. The inner code is the finer one, where there is one.
#[expect(
    clippy::match_same_arms,
    reason = "a table: each row has its own reason"
)]
fn kind_of_vault(status: u16, code: &str, inner: Option<&str>) -> Kind {
    match (status, code, inner.unwrap_or_default()) {
        // It is there, and nobody may have its value.
        (403, _, "SecretDisabled" | "SecretExpired" | "SecretNotYetValid") => Kind::NotFound,
        // What another operation on the same secret has to finish first.
        (409, _, inner) if inner.starts_with("ObjectIsBeing") => Kind::Unavailable,
        (409, ..) => Kind::Conflict,
        (404, "SecretNotFound", _) => Kind::NotFound,
        // A vault, or a path, that is not there: nothing is said about a secret.
        (404, ..) => Kind::Misconfigured,
        (405, ..) => Kind::Unsupported,
        (_, "Throttled" | "TooManyRequests", _) => Kind::Throttled,
        (_, "Unauthorized", _) => Kind::Unauthenticated,
        (_, "Forbidden" | "AccessDenied", _) => Kind::Denied,
        (status, ..) => kind_of_status(status).unwrap_or(Kind::Invalid),
    }
}

/// The numbers of Entra, which it writes with `AADSTS` before them, where the word alone says too
/// little.
fn kind_of_number(number: u32) -> Option<Kind> {
    Some(match number {
        // The secret is wrong, is expired; the assertion is expired, is signed by nobody known,
        // is for no identity that is federated.
        7_000_215 | 7_000_222 | 700_024 | 50_013 | 70_021 | 700_211 | 700_212 | 700_213
        | 700_214 | 700_223 => Kind::Unauthenticated,
        // The application or the account is disabled, or a policy keeps it out.
        7_000_112 | 50_057 | 53_003 | 53_000 => Kind::Denied,
        // No such tenant, application, resource; a tenant that is none.
        90_002 | 900_023 | 700_016 | 500_011 | 650_057 | 70_011 | 900_382 => Kind::Misconfigured,
        // Entra itself is in trouble.
        90_033 | 90_006 | 90_024 => Kind::Unavailable,
        50_196 | 90_055 => Kind::Throttled,
        _ => return None,
    })
}

/// The words of OAuth.
fn kind_of_word(word: &str) -> Option<Kind> {
    Some(match word {
        "invalid_client" | "invalid_grant" => Kind::Unauthenticated,
        "unauthorized_client" | "invalid_scope" | "invalid_resource" | "invalid_target" => {
            Kind::Misconfigured
        }
        "access_denied" => Kind::Denied,
        "temporarily_unavailable" | "server_error" => Kind::Unavailable,
        _ => return None,
    })
}

/// A failure with what was being done.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// What was done, in the words of Key Vault's permissions, such as `get`.
    action: &'static str,
    retry_after: Option<Duration>,
    hint: Option<String>,
}

/// What a question came to instead of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// The question failed.
    Failed(Failed),
    /// It could not be asked, and this says why.
    Told(Error),
}

impl Problem {
    /// The error to report.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Failed(failed) => failed.into_error(),
            Self::Told(error) => error,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Failed(failed) => failed.kind(),
            Self::Told(error) => error.kind(),
        }
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

/// What logging in is called.
pub(crate) const LOGIN: &str = "log in";

impl Failed {
    pub(crate) fn new(action: &'static str, failure: Failure) -> Self {
        Self {
            failure,
            action,
            retry_after: None,
            hint: None,
        }
    }

    /// The same, with the number of seconds that the answer asks to wait.
    pub(crate) fn after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after = seconds.map(|seconds| Duration::from_secs(seconds.min(MAX_RETRY_AFTER)));
        self
    }

    /// The same, with a better hint than the failure alone gives.
    pub(crate) fn hinting(mut self, hint: String) -> Self {
        self.hint = Some(hint);
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        kind_of(&self.failure)
    }

    /// The inner code of Key Vault.
    pub(crate) fn inner(&self) -> Option<&str> {
        match &self.failure {
            Failure::Vault(_, _, inner) => inner.as_deref(),
            _ => None,
        }
    }

    /// The error to report.
    pub(crate) fn into_error(self) -> Error {
        let kind = self.kind();
        let mut error = Error::new(kind, self.message());
        if let Some(hint) = self.hint.clone().or_else(|| self.usual_hint(kind)) {
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
            Failure::Vault(404, code, _) if code == "SecretNotFound" => "no such secret".into(),
            Failure::Vault(_, _, Some(inner)) if inner == "SecretDisabled" => {
                "the secret is disabled".into()
            }
            Failure::Vault(_, _, Some(inner)) if inner == "SecretExpired" => {
                "the secret is expired".into()
            }
            Failure::Vault(_, _, Some(inner)) if inner == "SecretNotYetValid" => {
                "the secret is not valid yet".into()
            }
            Failure::Vault(_, _, Some(inner)) if inner == "ObjectIsDeletedButRecoverable" => {
                "the secret is deleted and can be recovered, so its name is taken".into()
            }
            Failure::Vault(_, code, Some(inner)) => {
                format!(
                    "Key Vault answered `{action}` with {} ({})",
                    word(code),
                    word(inner)
                )
            }
            Failure::Vault(_, code, None) => {
                format!("Key Vault answered `{action}` with {}", word(code))
            }
            Failure::Login(_, _, Some(number)) => {
                format!("Entra refused the login with AADSTS{number}")
            }
            Failure::Login(_, error, None) => {
                format!("Entra refused the login with {}", word(error))
            }
            Failure::Identity(status) => {
                format!("the service of managed identities answered with HTTP status {status}")
            }
            Failure::Status(status) => format!(
                "`{action}` was answered with HTTP status {status}, by something that is not Azure"
            ),
            Failure::Silence => format!("no answer to `{action}`"),
            Failure::Certificate => {
                format!(
                    "the server that was asked to `{action}` shows a certificate that is not trusted"
                )
            }
            Failure::Late => format!("`{action}` was not answered within the time allowed"),
            Failure::Unreadable => format!("the answer to `{action}` cannot be understood"),
            Failure::TooLarge => format!("the answer to `{action}` is larger than any should be"),
            Failure::OtherResource => {
                format!("the server that was asked to `{action}` wants a token of another service")
            }
            Failure::Elsewhere => {
                format!("the answer to `{action}` goes on at another server, which was not asked")
            }
            Failure::NoLogin => "there is no way to log in to Azure".into(),
            Failure::NoCli => "the Azure CLI gave no token".into(),
        }
    }

    fn usual_hint(&self, kind: Kind) -> Option<String> {
        let action = self.action;
        let hint = match (kind, &self.failure) {
            (Kind::Denied, Failure::Login(..)) => {
                "the application or the account is disabled, or a conditional access policy keeps it out".into()
            }
            (Kind::Denied, _) => denied(action, self.inner().unwrap_or_default()),
            (Kind::Unauthenticated, Failure::NoLogin | Failure::NoCli) => {
                "`az login` logs in a person; `auth` or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET an application".into()
            }
            (Kind::Unauthenticated, Failure::Identity(_)) => {
                "assign a managed identity to this machine, and name it with `auth.client_id` if there are several".into()
            }
            (Kind::Unauthenticated, Failure::Login(_, _, Some(7_000_215))) => {
                "the client secret is wrong: it is the secret's value and not its id".into()
            }
            (Kind::Unauthenticated, Failure::Login(_, _, Some(7_000_222))) => {
                "the client secret is expired: `az ad app credential reset` makes another".into()
            }
            (Kind::Unauthenticated, Failure::Login(_, _, Some(70_021 | 700_211..=700_214))) => {
                "the federated credential of the application has another issuer, subject or audience: `az ad app federated-credential list` shows them".into()
            }
            (Kind::Unauthenticated, _) => {
                "log in again; `az account show` says who the Azure CLI is, and the vault has to be of the same tenant".into()
            }
            (Kind::Misconfigured, Failure::Login(..)) => {
                "look at `auth.tenant` and `auth.client_id`, or AZURE_TENANT_ID and AZURE_CLIENT_ID".into()
            }
            (Kind::Misconfigured, Failure::OtherResource) => {
                "no token for it was asked for; look at `vault`, and at `resource` for a cloud of its own".into()
            }
            (Kind::Misconfigured, _) => "look at `vault`".into(),
            (Kind::Unavailable, Failure::Status(..500) | Failure::Unreadable) => {
                "look at `vault` and `authority`, and at proxies on the way".into()
            }
            (Kind::Unavailable, Failure::Elsewhere) => "look at proxies on the way".into(),
            (_, Failure::Certificate) => {
                "name its authority with `ca`, and look at `vault` and at proxies on the way".into()
            }
            _ => return None,
        };
        Some(hint)
    }
}

/// What is missing, by what Key Vault says refuses it.
fn denied(action: &str, inner: &str) -> String {
    if matches!(inner, "ForbiddenByFirewall" | "ForbiddenByConnection") {
        return "the vault's firewall does not let this machine in: `az keyvault network-rule list` shows whom it does".into();
    }
    let role = match action {
        "get" | "list" => "Key Vault Secrets User",
        _ => "Key Vault Secrets Officer",
    };
    let by_role = format!("the role `{role}` on the vault");
    let by_policy = format!("the permission `{action}` for secrets in an access policy");
    match inner {
        "ForbiddenByRbac" => format!("whoever is logged in needs {by_role}"),
        "ForbiddenByPolicy" => format!("whoever is logged in needs {by_policy}"),
        _ => format!(
            "whoever is logged in needs {by_role}, or {by_policy} if the vault has such policies"
        ),
    }
}

/// SECURITY: a code is a word; whatever else came in its place is not shown.
fn word(code: &str) -> String {
    let part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    code.chars().filter(part).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(status: u16, code: &str) -> Failure {
        Failure::Vault(status, code.into(), None)
    }

    fn inner(status: u16, code: &str, inner: &str) -> Failure {
        Failure::Vault(status, code.into(), Some(inner.into()))
    }

    fn login(number: u32) -> Failure {
        Failure::Login(401, "invalid_client".into(), Some(number))
    }

    fn oauth(status: u16, word: &str) -> Failure {
        Failure::Login(status, word.into(), None)
    }

    #[test]
    fn each_answer_of_key_vault_has_its_kind() {
        for (failure, kind) in [
            (vault(404, "SecretNotFound"), Kind::NotFound),
            (vault(404, "VaultNotFound"), Kind::Misconfigured),
            (vault(403, "Forbidden"), Kind::Denied),
            (inner(403, "Forbidden", "ForbiddenByRbac"), Kind::Denied),
            (inner(403, "Forbidden", "ForbiddenByFirewall"), Kind::Denied),
            (inner(403, "Forbidden", "SecretDisabled"), Kind::NotFound),
            (inner(403, "Forbidden", "SecretExpired"), Kind::NotFound),
            (inner(403, "Forbidden", "SecretNotYetValid"), Kind::NotFound),
            (vault(401, "Unauthorized"), Kind::Unauthenticated),
            (vault(429, "Throttled"), Kind::Throttled),
            (vault(400, "BadParameter"), Kind::Invalid),
            (
                inner(409, "Conflict", "ObjectIsDeletedButRecoverable"),
                Kind::Conflict,
            ),
            (
                inner(409, "Conflict", "ObjectIsBeingDeleted"),
                Kind::Unavailable,
            ),
            (
                inner(409, "Conflict", "ObjectIsBeingRecovered"),
                Kind::Unavailable,
            ),
            (vault(405, "MethodNotAllowed"), Kind::Unsupported),
            (vault(500, "InternalServerError"), Kind::Unavailable),
            (vault(503, "ServiceUnavailable"), Kind::Unavailable),
            (vault(400, "SomethingNew"), Kind::Invalid),
            (vault(403, "SomethingNew"), Kind::Denied),
        ] {
            assert_eq!(kind_of(&failure), kind, "{failure:?}");
            assert_eq!(Failed::new("get", failure).into_error().kind(), kind);
        }
    }

    #[test]
    fn each_answer_of_entra_has_its_kind() {
        for (failure, kind) in [
            (login(7_000_215), Kind::Unauthenticated),
            (login(7_000_222), Kind::Unauthenticated),
            (login(700_213), Kind::Unauthenticated),
            (login(53_003), Kind::Denied),
            (login(90_002), Kind::Misconfigured),
            (login(900_023), Kind::Misconfigured),
            (login(700_016), Kind::Misconfigured),
            (login(90_033), Kind::Unavailable),
            (login(50_196), Kind::Throttled),
            (login(1), Kind::Unauthenticated),
            (oauth(401, "invalid_client"), Kind::Unauthenticated),
            (oauth(400, "unauthorized_client"), Kind::Misconfigured),
            (oauth(400, "invalid_scope"), Kind::Misconfigured),
            (oauth(400, "access_denied"), Kind::Denied),
            (oauth(503, "temporarily_unavailable"), Kind::Unavailable),
            (oauth(429, "something_new"), Kind::Throttled),
            (oauth(500, "something_new"), Kind::Unavailable),
            (oauth(400, "something_new"), Kind::Unauthenticated),
        ] {
            assert_eq!(kind_of(&failure), kind, "{failure:?}");
        }
    }

    #[test]
    fn each_failure_without_an_answer_has_its_kind() {
        for (failure, kind) in [
            (Failure::Identity(400), Kind::Unauthenticated),
            (Failure::Identity(404), Kind::Unavailable),
            (Failure::Identity(410), Kind::Unavailable),
            (Failure::Identity(429), Kind::Throttled),
            (Failure::Identity(500), Kind::Unavailable),
            (Failure::Status(400), Kind::Unavailable),
            (Failure::Status(401), Kind::Unauthenticated),
            (Failure::Status(403), Kind::Denied),
            (Failure::Status(404), Kind::Unavailable),
            (Failure::Status(429), Kind::Throttled),
            (Failure::Status(302), Kind::Unavailable),
            (Failure::Status(502), Kind::Unavailable),
            (Failure::Silence, Kind::Unavailable),
            (Failure::Certificate, Kind::Unavailable),
            (Failure::Late, Kind::Unavailable),
            (Failure::Unreadable, Kind::Unavailable),
            (Failure::TooLarge, Kind::Invalid),
            (Failure::OtherResource, Kind::Misconfigured),
            (Failure::Elsewhere, Kind::Unavailable),
            (Failure::NoLogin, Kind::Unauthenticated),
            (Failure::NoCli, Kind::Unauthenticated),
        ] {
            assert_eq!(kind_of(&failure), kind, "{failure:?}");
        }
    }

    #[test]
    fn a_denial_names_what_is_missing() {
        let hint = |action, reason: &str| {
            let denied = Failed::new(action, inner(403, "Forbidden", reason));
            denied.into_error().hint().unwrap().to_owned()
        };
        assert!(hint("get", "ForbiddenByRbac").contains("`Key Vault Secrets User`"));
        assert!(hint("set", "ForbiddenByRbac").contains("`Key Vault Secrets Officer`"));
        assert!(hint("get", "ForbiddenByPolicy").contains("permission `get`"));
        assert!(hint("get", "ForbiddenByFirewall").contains("firewall"));
        let both = hint("get", "AccessDenied");
        assert!(both.contains("`Key Vault Secrets User`") && both.contains("`get`"));
    }

    #[test]
    fn what_is_no_code_is_not_shown() {
        let odd = Failed::new("get", vault(400, "x\u{1b}[31m {\"v\": 1}")).into_error();
        assert_eq!(odd.message(), "Key Vault answered `get` with x31mv1");
    }
}
