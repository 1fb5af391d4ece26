//! The files that Google's programs log in with.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use credchain_core::{Error, Kind, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::jwt::Key;
use super::workload::{Subject, Workload, headers};
use super::{Hop, Login, Source, User};
use crate::config::Settings;
use crate::endpoint;

/// Where people and service accounts get tokens.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Reads what such a file says. `named` is what messages call it.
pub(super) fn parse(content: &[u8], named: &str, settings: &Settings) -> Result<Login> {
    let file = File { named, settings };
    file.parse(content, true)
}

/// A file by the name that messages have for it.
#[derive(Clone, Copy)]
struct File<'a> {
    named: &'a str,
    settings: &'a Settings,
}

impl File<'_> {
    fn parse(self, content: &[u8], may_act: bool) -> Result<Login> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(rename = "type", borrow)]
            kind: Cow<'a, str>,
            #[serde(default)]
            project_id: Option<String>,
            #[serde(default)]
            quota_project_id: Option<String>,
        }
        let head: Head<'_> = self.read(content)?;
        let mut login = match &*head.kind {
            "service_account" => self.service_account(content)?,
            "authorized_user" => self.user(content)?,
            "external_account" => self.workload(content)?,
            "impersonated_service_account" if may_act => self.impersonated(content)?,
            _ => {
                return Err(self
                    .wrong("is a login of a kind that is not offered")
                    .with_hint("get a token in another way and give it as `access_token`"));
            }
        };
        login.project = head.project_id.or(login.project);
        login.quota_project = head.quota_project_id.or(login.quota_project);
        Ok(login)
    }

    fn service_account(self, content: &[u8]) -> Result<Login> {
        #[derive(Deserialize)]
        struct Content {
            client_email: String,
            private_key: Zeroizing<String>,
            #[serde(default)]
            private_key_id: Option<String>,
            #[serde(default)]
            token_uri: Option<String>,
        }
        let content: Content = self.read(content)?;
        let token_url = self.address(content.token_uri.as_deref(), "token_uri")?;
        let key = Key::new(
            content.client_email,
            token_url,
            content.private_key_id,
            &content.private_key,
        );
        let key = key.ok_or_else(|| self.wrong("holds no RSA key in PEM as `private_key`"))?;
        Ok(Login::of(Source::ServiceAccount(key)))
    }

    fn user(self, content: &[u8]) -> Result<Login> {
        #[derive(Deserialize)]
        struct Content {
            client_id: String,
            client_secret: Zeroizing<String>,
            refresh_token: Zeroizing<String>,
            #[serde(default)]
            token_uri: Option<String>,
        }
        let content: Content = self.read(content)?;
        Ok(Login::of(Source::User(User {
            token_url: self.address(content.token_uri.as_deref(), "token_uri")?,
            client_id: content.client_id,
            client_secret: content.client_secret,
            refresh_token: content.refresh_token,
        })))
    }

    fn impersonated(self, content: &[u8]) -> Result<Login> {
        #[derive(Deserialize)]
        struct Content<'a> {
            service_account_impersonation_url: String,
            #[serde(borrow)]
            source_credentials: &'a RawValue,
            #[serde(default)]
            delegates: Vec<String>,
        }
        let content: Content<'_> = self.read(content)?;
        // Another account in between is a delegate, not a file inside of a file.
        let mut login = self.parse(content.source_credentials.get().as_bytes(), false)?;
        login.hops.push(self.hop(
            &content.service_account_impersonation_url,
            content.delegates,
        )?);
        Ok(login)
    }

    fn workload(self, content: &[u8]) -> Result<Login> {
        let content: External = self.read(content)?;
        let format = content.credential_source.format.as_ref();
        let field = match format.map(|format| (&*format.kind, &format.subject_token_field_name)) {
            None | Some(("text", _)) => None,
            Some(("json", Some(field))) => Some(field.clone()),
            Some(_) => return Err(self.wrong("has a `format` that is not offered")),
        };
        let mut login = Login::of(Source::Workload(Box::new(Workload {
            token_url: self.address(Some(&content.token_url), "token_url")?,
            subject: self.subject(content.credential_source)?,
            audience: content.audience,
            subject_token_type: content.subject_token_type,
            field,
            client: content.client_id.zip(content.client_secret),
            user_project: content.workforce_pool_user_project,
        })));
        if let Some(url) = content.service_account_impersonation_url {
            login.hops.push(self.hop(&url, Vec::new())?);
        }
        Ok(login)
    }

    fn subject(self, source: ExternalSource) -> Result<Subject> {
        match source {
            ExternalSource {
                executable: None,
                environment_id: None,
                file: Some(file),
                ..
            } => Ok(Subject::File(file)),
            ExternalSource {
                executable: None,
                environment_id: None,
                url: Some(url),
                headers: table,
                ..
            } => {
                let headers = headers(&table)
                    .ok_or_else(|| self.wrong("has `headers` that cannot be sent"))?;
                Ok(Subject::Url(self.address(Some(&url), "url")?, headers))
            }
            _ => Err(self
                .wrong("gets its token in a way that is not offered: from AWS or from a program")
                .with_hint("get a token in another way and give it as `access_token`")),
        }
    }

    fn hop(self, url: &str, delegates: Vec<String>) -> Result<Hop> {
        let url = self.address(Some(url), "service_account_impersonation_url")?;
        Ok(Hop { url, delegates })
    }

    /// SECURITY: an address in a file gets keys and tokens, so it has to be as safe as one in the
    /// settings.
    fn address(self, url: Option<&str>, key: &str) -> Result<String> {
        let named = format!("`{key}` in {}", self.named);
        endpoint::checked(&named, url.unwrap_or(TOKEN_URL), self.settings.allow_http)
    }

    fn read<'a, T: Deserialize<'a>>(self, content: &'a [u8]) -> Result<T> {
        // serde's message could quote the key, so it is not passed on.
        serde_json::from_slice(content).map_err(|_| {
            self.wrong("is no login of Google's")
                .with_hint("it has to be JSON as Google gives it for a key, a login or a workload")
        })
    }

    fn wrong(self, what: &str) -> Error {
        Error::new(Kind::Misconfigured, format!("{} {what}", self.named))
    }
}

#[derive(Deserialize)]
struct External {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: ExternalSource,
    #[serde(default)]
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    client_secret: Option<Zeroizing<String>>,
    #[serde(default)]
    workforce_pool_user_project: Option<String>,
}

#[derive(Deserialize)]
struct ExternalSource {
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Zeroizing<String>>,
    #[serde(default)]
    format: Option<Format>,
    #[serde(default)]
    executable: Option<IgnoredAny>,
    #[serde(default)]
    environment_id: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    subject_token_field_name: Option<String>,
}
