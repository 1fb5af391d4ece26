//! Failures in words, with what to do next.

use std::time::Duration;

use credchain_core::{Error, Kind};

use crate::error::{Failure, kind_of};

/// The longest time that an answer may ask to be left alone for.
const MAX_RETRY_AFTER: u64 = 24 * 60 * 60;

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
        let asked = match action {
            LOGIN => "the login".to_owned(),
            action => format!("`{action}`"),
        };
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
                "{asked} was answered with HTTP status {status}, by something that is not Azure"
            ),
            Failure::Silence => format!("no answer to {asked}"),
            Failure::Certificate => {
                format!("the server of {asked} shows a certificate that is not trusted")
            }
            Failure::Late => format!("{asked} was not answered within the time allowed"),
            Failure::Unreadable => format!("the answer to {asked} cannot be understood"),
            Failure::TooLarge => format!("the answer to {asked} is larger than any should be"),
            Failure::OtherResource => {
                format!("the server of {asked} wants a token of another service")
            }
            Failure::Elsewhere => {
                format!("the answer to {asked} goes on at another server, which was not asked")
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
            (_, Failure::Silence) => {
                "look at the network, and at `vault` and `authority`".into()
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

    fn refused(action: &'static str, inner: &str) -> Error {
        let failure = Failure::Vault(403, "Forbidden".into(), Some(inner.into()));
        Failed::new(action, failure).into_error()
    }

    #[test]
    fn a_denial_names_what_is_missing() {
        let hint = |action, inner| refused(action, inner).hint().unwrap().to_owned();
        assert!(hint("get", "ForbiddenByRbac").contains("`Key Vault Secrets User`"));
        assert!(hint("set", "ForbiddenByRbac").contains("`Key Vault Secrets Officer`"));
        assert!(hint("get", "ForbiddenByPolicy").contains("permission `get`"));
        assert!(hint("get", "ForbiddenByFirewall").contains("firewall"));
        let both = hint("get", "AccessDenied");
        assert!(both.contains("`Key Vault Secrets User`") && both.contains("`get`"));
    }

    #[test]
    fn what_is_no_code_is_not_shown() {
        let odd = Failure::Vault(400, "x\u{1b}[31m {\"v\": 1}".into(), None);
        let odd = Failed::new("get", odd).into_error();
        assert_eq!(odd.message(), "Key Vault answered `get` with x31mv1");
    }
}
