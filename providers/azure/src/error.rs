//! What each failure means for the chain. The only place that knows.

use credchain_core::Kind;

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
}
