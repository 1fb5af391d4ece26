//! What `[providers.NAME]` with `type = "gcp"` may say.

use std::path::PathBuf;
use std::sync::Arc;

use credchain_core::{CredentialSource, Error, Kind, Name, Result, Setting, Setup, Shape};

use crate::address::check_project;
use crate::endpoint;

const SECRET_MANAGER: &str = "https://secretmanager.googleapis.com";
const IAM_CREDENTIALS: &str = "https://iamcredentials.googleapis.com";

/// Every key of the provider's table.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "project",
        Shape::Text,
        "The project's id or number. Default: `GOOGLE_CLOUD_PROJECT`, else the service account's.",
    ),
    Setting::new("prefix", Shape::Text, "What every name begins with.").or("\"\""),
    Setting::new(
        "path",
        Shape::Text,
        "What the names of credentials without an `at` begin with, after `prefix`; a `_` follows.",
    )
    .or("\"{project}_{profile}\""),
    Setting::new(
        "endpoint",
        Shape::Url,
        "Another address of Secret Manager, such as one of a private network.",
    ),
    Setting::new(
        "iam_endpoint",
        Shape::Url,
        "Another address of IAM's credentials, which lets `impersonate` another account.",
    ),
    Setting::new(
        "allow_http",
        Shape::Bool,
        "Whether an address that is not on this machine may be `http://`.",
    )
    .or("false"),
    Setting::new(
        "ca",
        Shape::Path,
        "A PEM file with certificates to trust besides the system's.",
    ),
    Setting::new(
        "credentials_file",
        Shape::Path,
        "The file to log in with: a service account's key, gcloud's login, or a workload's identity.",
    ),
    Setting::new(
        "service_account",
        Shape::Credential,
        "The content of such a file, kept as a credential.",
    ),
    Setting::new(
        "access_token",
        Shape::Credential,
        "A token to use as it is.",
    ),
    Setting::new(
        "impersonate",
        Shape::Text,
        "The e-mail address of a service account to act as after logging in.",
    ),
    Setting::new(
        "quota_project",
        Shape::Text,
        "The project that requests are charged to. Default: `GOOGLE_CLOUD_QUOTA_PROJECT`, else what the file says.",
    ),
];

/// Settings that are known to be right.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) project: Option<String>,
    pub(crate) prefix: String,
    /// With its placeholders.
    pub(crate) path: String,
    /// Without a slash at the end.
    pub(crate) endpoint: String,
    pub(crate) iam_endpoint: String,
    pub(crate) allow_http: bool,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) login: LoginSetting,
    pub(crate) impersonate: Option<String>,
    pub(crate) quota_project: Option<String>,
    /// Where the secrets to log in with come from.
    pub(crate) source: Arc<dyn CredentialSource>,
}

/// What the settings say about logging in.
#[derive(Clone, Debug)]
pub(crate) enum LoginSetting {
    /// As every program of Google's finds it.
    Default,
    File(PathBuf),
    Key(Name),
    Token(Name),
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let table = &setup.settings;
        let allow_http = table.bool("allow_http")?.unwrap_or(false);
        let address = |key, default| {
            let url = table.text(key)?.unwrap_or(default);
            endpoint::base(&format!("setting `{key}`"), url, allow_http)
        };
        let project = some_text(setup, "project")?;
        if let Some(project) = &project {
            check_project(project)?;
        }
        Ok(Self {
            project,
            prefix: setup
                .project
                .expand(table.text("prefix")?.unwrap_or_default()),
            path: table
                .text("path")?
                .unwrap_or("{project}_{profile}")
                .to_owned(),
            endpoint: address("endpoint", SECRET_MANAGER)?,
            iam_endpoint: address("iam_endpoint", IAM_CREDENTIALS)?,
            allow_http,
            ca: table.path("ca")?.map(|ca| setup.project.base().join(ca)),
            login: login(setup)?,
            impersonate: impersonate(setup)?,
            quota_project: quota_project(setup)?,
            source: setup.credentials.clone(),
        })
    }
}

fn some_text(setup: &Setup, key: &str) -> Result<Option<String>> {
    match setup.settings.text(key)? {
        Some("") => Err(wrong(format!("setting `{key}` cannot be empty"))
            .with_hint("leave it out for the default")),
        text => Ok(text.map(|text| setup.project.expand(text))),
    }
}

fn login(setup: &Setup) -> Result<LoginSetting> {
    let table = &setup.settings;
    let file = table.path("credentials_file")?;
    let key = table.credential("service_account")?;
    let token = table.credential("access_token")?;
    match (file, key, token) {
        (None, None, None) => Ok(LoginSetting::Default),
        (Some(file), None, None) => Ok(LoginSetting::File(setup.project.base().join(file))),
        (None, Some(key), None) => Ok(LoginSetting::Key(key)),
        (None, None, Some(token)) => Ok(LoginSetting::Token(token)),
        _ => Err(wrong(
            "settings `credentials_file`, `service_account` and `access_token` exclude each other",
        )),
    }
}

fn impersonate(setup: &Setup) -> Result<Option<String>> {
    let account = some_text(setup, "impersonate")?;
    if account.as_ref().is_some_and(|account| !is_email(account)) {
        return Err(
            wrong("setting `impersonate` must be the e-mail address of a service account")
                .with_hint("it looks like `NAME@PROJECT.iam.gserviceaccount.com`"),
        );
    }
    Ok(account)
}

/// It becomes a part of an address.
fn is_email(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    text.contains('@') && text.chars().all(part)
}

fn quota_project(setup: &Setup) -> Result<Option<String>> {
    let project = some_text(setup, "quota_project")?;
    if let Some(project) = &project {
        check_project(project)?;
    }
    Ok(project)
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Misconfigured, message.into())
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Project, Settings as Table};
    use serde_json::{Value, json};

    use super::*;

    fn settings(table: Value) -> Result<Settings> {
        let setup = Setup::new(LinkName::literal("gcp"))
            .with_settings(Table::from_json(table))
            .in_project(Project::new("pipeline", "/project").with_profile("prod"));
        Settings::new(&setup)
    }

    #[test]
    fn nothing_has_to_be_set() {
        let settings = settings(json!({})).unwrap();
        assert_eq!(settings.endpoint, "https://secretmanager.googleapis.com");
        assert!(matches!(settings.login, LoginSetting::Default));
        assert!(settings.project.is_none() && settings.prefix.is_empty());
    }

    #[test]
    fn placeholders_and_relative_paths_start_at_the_project() {
        let settings = settings(json!({
            "project": "acme-{profile}", "credentials_file": "ci/key.json",
            "impersonate": "{project}@acme.iam.gserviceaccount.com",
        }))
        .unwrap();
        assert_eq!(settings.project.unwrap(), "acme-prod");
        assert_eq!(
            settings.impersonate.unwrap(),
            "pipeline@acme.iam.gserviceaccount.com"
        );
        let LoginSetting::File(file) = settings.login else {
            panic!("a file is the login");
        };
        assert_eq!(file, PathBuf::from("/project/ci/key.json"));
    }

    #[test]
    fn every_mistake_is_misconfigured() {
        let key = json!({"credential": "key"});
        for table in [
            json!({"project": ""}),
            json!({"project": "acme/secrets"}),
            json!({"quota_project": "acme corp"}),
            json!({"endpoint": "http://secrets.example.com"}),
            json!({"endpoint": "https://user:canary@example.com"}),
            json!({"endpoint": "https://example.com?canary"}),
            json!({"iam_endpoint": "http://iam.example.com"}),
            json!({"impersonate": "reader"}),
            json!({"impersonate": "reader@acme/../x"}),
            json!({"service_account": "canary"}),
            json!({"service_account": key, "access_token": key}),
            json!({"service_account": key, "credentials_file": "key.json"}),
            json!({"allow_http": "yes"}),
        ] {
            let error = settings(table.clone()).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{table}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}
