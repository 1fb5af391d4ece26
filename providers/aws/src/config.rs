//! What `[providers.NAME]` with `type = "aws"` may say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{CredentialSource, Error, Kind, Name, Result, Setting, Setup, Shape};

use crate::endpoint;

/// The two services that keep secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    SecretsManager,
    ParameterStore,
}

const SECRETS_MANAGER: &str = "secretsmanager";
const PARAMETER_STORE: &str = "ssm";

const DEFAULT_MAX_SIZE: u64 = 64 << 10;

const DAY: u64 = 24 * 60 * 60;

/// Every key of the provider's table.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "service",
        Shape::Choice(&[SECRETS_MANAGER, PARAMETER_STORE]),
        "Which of the two services keeps the secrets.",
    )
    .or("\"secretsmanager\""),
    Setting::new(
        "region",
        Shape::Text,
        "The region, such as `eu-central-1`. Default: what the AWS tools would use.",
    ),
    Setting::new(
        "profile",
        Shape::Text,
        "The profile of `~/.aws/config` to log in with. Default: what the AWS tools would use.",
    ),
    Setting::new(
        "prefix",
        Shape::Text,
        "What every name begins with. Default: nothing, and `/` for `ssm`.",
    ),
    Setting::new(
        "path",
        Shape::Text,
        "Where credentials without an `at` are, below `prefix`.",
    )
    .or("\"{project}/{profile}\""),
    Setting::new(
        "endpoint",
        Shape::Url,
        "Another address of the service, such as a VPC endpoint or an emulator.",
    ),
    Setting::new(
        "sts_endpoint",
        Shape::Url,
        "Another address of STS, which assumes roles and tells who is logged in.",
    ),
    Setting::new(
        "iam_endpoint",
        Shape::Url,
        "Another address of IAM, whose access keys rotation replaces.",
    ),
    Setting::new(
        "allow_http",
        Shape::Bool,
        "Whether an endpoint that is not on this machine may be `http://`.",
    )
    .or("false"),
    Setting::new(
        "ca",
        Shape::Path,
        "A PEM file with certificates to trust besides the system's.",
    ),
    Setting::new("fips", Shape::Bool, "Whether to use FIPS endpoints.").or("false"),
    Setting::new(
        "assume_role",
        Shape::Table(ROLE),
        "A role to assume after logging in.",
    ),
    Setting::new(
        "access_key_id",
        Shape::Credential,
        "The access key to log in with, together with `secret_access_key`.",
    ),
    Setting::new(
        "secret_access_key",
        Shape::Credential,
        "The secret half of the access key.",
    ),
    Setting::new(
        "session_token",
        Shape::Credential,
        "The session token of a temporary access key.",
    ),
    Setting::new(
        "kms_key",
        Shape::Text,
        "The KMS key that new secrets are encrypted with. Default: the account's own.",
    ),
    Setting::new(
        "recovery_window",
        Shape::Duration,
        "How long a deleted secret can be restored: `7d` to `30d`, or `0s` for not at all. Default: 30 days, as AWS has it.",
    ),
    Setting::new(
        "tier",
        Shape::Choice(&["standard", "advanced", "intelligent-tiering"]),
        "The tier of parameters that are written; `standard` ends at 4 KiB.",
    )
    .or("\"standard\""),
    Setting::new("max_size", Shape::Size, "The largest value that is read.").or("\"64KiB\""),
];

const ROLE: &[Setting] = &[
    Setting::new("role_arn", Shape::Text, "The role's ARN.").required(),
    Setting::new(
        "external_id",
        Shape::Text,
        "The external id that the role asks for.",
    ),
    Setting::new(
        "session_name",
        Shape::Text,
        "What the session is called in AWS's logs.",
    )
    .or("\"credchain\""),
];

/// Settings that are known to be right.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) service: Service,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) prefix: String,
    /// With its placeholders, and without a slash at either end.
    pub(crate) path: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) sts_endpoint: Option<String>,
    pub(crate) iam_endpoint: Option<String>,
    pub(crate) allow_http: bool,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) fips: bool,
    pub(crate) role: Option<Role>,
    pub(crate) keys: Option<Keys>,
    pub(crate) kms_key: Option<String>,
    pub(crate) deletion: Deletion,
    pub(crate) tier: Tier,
    pub(crate) max_size: usize,
    /// Where the secrets to log in with come from.
    pub(crate) source: Arc<dyn CredentialSource>,
}

/// A role to assume.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) external_id: Option<String>,
    pub(crate) session_name: String,
}

/// The credentials that hold an access key.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) id: Name,
    pub(crate) secret: Name,
    pub(crate) token: Option<Name>,
}

/// What deleting a secret does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// It can be restored for as long as AWS says.
    Default,
    /// It can be restored for these days.
    After(i64),
    /// It is gone.
    AtOnce,
}

/// What kind of parameter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Standard,
    Advanced,
    Intelligent,
}

impl Tier {
    /// The largest value, in bytes.
    pub(crate) const fn max_value(self) -> usize {
        match self {
            Self::Standard => 4 << 10,
            Self::Advanced | Self::Intelligent => 8 << 10,
        }
    }
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let table = &setup.settings;
        let service = match table.text("service")? {
            None | Some(SECRETS_MANAGER) => Service::SecretsManager,
            Some(PARAMETER_STORE) => Service::ParameterStore,
            Some(_) => return Err(wrong("`service` is `secretsmanager` or `ssm`")),
        };
        let default_prefix = match service {
            Service::SecretsManager => "",
            Service::ParameterStore => "/",
        };
        let prefix = table.text("prefix")?.unwrap_or(default_prefix);
        let path = table.text("path")?.unwrap_or("{project}/{profile}");
        let allow_http = table.bool("allow_http")?.unwrap_or(false);
        let address = |key| -> Result<Option<String>> {
            let Some(url) = table.text(key)? else {
                return Ok(None);
            };
            let named = format!("setting `{key}`");
            endpoint::check(&named, url, allow_http).map(|()| Some(url.to_owned()))
        };
        let settings = Self {
            service,
            region: some_text(setup, "region")?,
            profile: some_text(setup, "profile")?,
            prefix: setup.project.expand(prefix),
            path: path.trim_matches('/').to_owned(),
            endpoint: address("endpoint")?,
            sts_endpoint: address("sts_endpoint")?,
            iam_endpoint: address("iam_endpoint")?,
            allow_http,
            ca: table.path("ca")?.map(|ca| setup.project.base().join(ca)),
            fips: table.bool("fips")?.unwrap_or(false),
            role: role(setup)?,
            keys: keys(setup)?,
            kms_key: some_text(setup, "kms_key")?,
            deletion: deletion(table.duration("recovery_window")?)?,
            tier: tier(table.text("tier")?)?,
            max_size: max_size(table.size("max_size")?)?,
            source: setup.credentials.clone(),
        };
        if settings.fips && settings.endpoint.is_some() {
            return Err(wrong("settings `fips` and `endpoint` exclude each other"));
        }
        if settings.keys.is_some() && settings.profile.is_some() {
            return Err(wrong(
                "settings `profile` and `access_key_id` exclude each other",
            ));
        }
        Ok(settings)
    }
}

fn some_text(setup: &Setup, key: &str) -> Result<Option<String>> {
    match setup.settings.text(key)? {
        Some("") => Err(wrong(format!("setting `{key}` cannot be empty"))
            .with_hint("leave it out for the default")),
        text => Ok(text.map(|text| setup.project.expand(text))),
    }
}

fn role(setup: &Setup) -> Result<Option<Role>> {
    let Some(table) = setup.settings.table("assume_role")? else {
        return Ok(None);
    };
    let text = |key| table.text(key).map(|text| text.map(str::to_owned));
    let Some(arn) = text("role_arn")?.filter(|arn| arn.starts_with("arn:")) else {
        return Err(wrong("`assume_role.role_arn` must be the ARN of a role"));
    };
    Ok(Some(Role {
        arn,
        external_id: text("external_id")?,
        session_name: text("session_name")?.unwrap_or_else(|| "credchain".into()),
    }))
}

fn keys(setup: &Setup) -> Result<Option<Keys>> {
    let named = |key| setup.settings.credential(key);
    let token = named("session_token")?;
    match (named("access_key_id")?, named("secret_access_key")?) {
        (Some(id), Some(secret)) => Ok(Some(Keys { id, secret, token })),
        (None, None) if token.is_none() => Ok(None),
        _ => Err(wrong(
            "settings `access_key_id` and `secret_access_key` belong together",
        )),
    }
}

fn deletion(window: Option<Duration>) -> Result<Deletion> {
    let Some(window) = window else {
        return Ok(Deletion::Default);
    };
    let seconds = window.as_secs();
    match (seconds / DAY, seconds % DAY) {
        (0, 0) => Ok(Deletion::AtOnce),
        (days @ 7..=30, 0) => Ok(Deletion::After(i64::try_from(days).unwrap_or(30))),
        _ => Err(wrong(
            "setting `recovery_window` must be whole days from `7d` to `30d`, or `0s`",
        )),
    }
}

fn tier(word: Option<&str>) -> Result<Tier> {
    match word {
        None | Some("standard") => Ok(Tier::Standard),
        Some("advanced") => Ok(Tier::Advanced),
        Some("intelligent-tiering") => Ok(Tier::Intelligent),
        Some(_) => Err(wrong(
            "setting `tier` is `standard`, `advanced` or `intelligent-tiering`",
        )),
    }
}

fn max_size(size: Option<u64>) -> Result<usize> {
    match size.unwrap_or(DEFAULT_MAX_SIZE) {
        0 => Err(wrong("setting `max_size` must be above 0")),
        size => Ok(usize::try_from(size).unwrap_or(usize::MAX)),
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Misconfigured, message.into())
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Project, Settings as Table};
    use serde_json::json;

    use super::*;

    fn settings(table: serde_json::Value) -> Result<Settings> {
        let setup = Setup::new(LinkName::literal("aws"))
            .with_settings(Table::from_json(table))
            .in_project(Project::new("pipeline", "/project").with_profile("prod"));
        Settings::new(&setup)
    }

    #[test]
    fn nothing_has_to_be_set() {
        let secrets = settings(json!({})).unwrap();
        assert_eq!(secrets.service, Service::SecretsManager);
        assert_eq!(secrets.prefix, "");
        assert_eq!(secrets.deletion, Deletion::Default);
        assert_eq!(settings(json!({"service": "ssm"})).unwrap().prefix, "/");
    }

    #[test]
    fn every_mistake_is_misconfigured() {
        let key = json!({"credential": "key"});
        for table in [
            json!({"service": "s3"}),
            json!({"region": ""}),
            json!({"profile": ""}),
            json!({"endpoint": "http://secrets.example.com"}),
            json!({"endpoint": "https://user:canary@example.com"}),
            json!({"sts_endpoint": "http://sts.example.com"}),
            json!({"iam_endpoint": "http://iam.example.com"}),
            json!({"fips": true, "endpoint": "https://vpce.example.com"}),
            json!({"assume_role": {}}),
            json!({"assume_role": {"role_arn": "reader"}}),
            json!({"access_key_id": key}),
            json!({"session_token": key}),
            json!({"profile": "ci", "access_key_id": key, "secret_access_key": key}),
            json!({"recovery_window": "6d"}),
            json!({"recovery_window": "31d"}),
            json!({"recovery_window": "180h"}),
            json!({"tier": "gold"}),
            json!({"max_size": 0}),
        ] {
            let error = settings(table.clone()).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{table}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }

    #[test]
    fn a_recovery_window_is_days_or_none() {
        for (window, deletion) in [
            ("7d", Deletion::After(7)),
            ("30d", Deletion::After(30)),
            ("0s", Deletion::AtOnce),
        ] {
            let settings = settings(json!({"recovery_window": window})).unwrap();
            assert_eq!(settings.deletion, deletion);
        }
    }
}
