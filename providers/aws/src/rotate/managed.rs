//! Secrets that Secrets Manager rotates by itself, with a function or a service that owns them.

use std::fmt;
use std::time::SystemTime;

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use credchain_core::{
    Abilities, Account, Context, Error, Kind, Reference, Result, Settings as Table, Target,
    Verdict, async_trait, format_duration,
};

use super::{Link, moment};
use crate::address::{Address, CURRENT};
use crate::config::Service;
use crate::secrets::{token_of, versions};
use crate::session::{Ask, Session, call};

const ROTATE: &str = "secretsmanager:RotateSecret";

/// The stage of a version that a rotation has begun with.
const PENDING: &str = "AWSPENDING";

/// One secret.
pub(super) struct Managed {
    link: Link,
    address: Address,
}

impl Managed {
    pub(super) fn new(link: Link, settings: &Table) -> Result<Self> {
        if link.settings.service != Service::SecretsManager {
            let message = "only Secrets Manager rotates by itself, and this link is not one";
            return Err(Error::new(Kind::Misconfigured, message)
                .with_hint("name a provider with `service = \"secretsmanager\"`"));
        }
        let named = settings
            .text("secret")?
            .and_then(|name| Reference::new(name).ok());
        let address = named.and_then(|named| Address::of(&named, &link.settings).ok());
        let address = address.ok_or_else(|| {
            Error::new(
                Kind::Misconfigured,
                "setting `secret` must be a secret's name or ARN",
            )
        })?;
        Ok(Self { link, address })
    }

    async fn session(&self, cx: &Context) -> Result<std::sync::Arc<Session>> {
        let session = self.link.session(cx).await?;
        self.address.check_region(&session.region)?;
        Ok(session)
    }

    async fn describe(&self, ask: Ask<'_>) -> Result<DescribeSecretOutput> {
        let told = ask.describe(&self.address).await.map_err(|failed| {
            match self.link.noted(failed).into_error() {
                error if error.kind() == Kind::NotFound => {
                    Error::new(Kind::Misconfigured, "there is no such secret to rotate")
                        .with_hint("look at `secret` of the target, and at the link's region")
                }
                error => error,
            }
        })?;
        if told.deleted_date().is_some() {
            let message = "the secret is waiting for its deletion";
            return Err(Error::new(Kind::Misconfigured, message));
        }
        Ok(told)
    }

    /// The token of the rotation that begins at this moment. It makes a repeated request count
    /// once, and becomes the new version's id.
    fn token(&self, since: SystemTime) -> String {
        let since = since
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let key = format!("rotation {} {}", self.address.as_str(), since.as_nanos());
        token_of(key.as_bytes())
    }

    /// A rotation that has begun and not ended keeps every other from beginning.
    async fn unfinished(&self, ask: Ask<'_>, version: &str) -> Error {
        let id = self.address.as_str();
        let states = versions(ask, &self.address).await.unwrap_or_default();
        let created = states
            .into_iter()
            .find(|state| state.version.as_str() == version)
            .and_then(|state| state.created);
        let age = created.and_then(|begun| ask.cx.clock().now().duration_since(begun).ok());
        let age = age.map_or(String::new(), |age| {
            let whole = std::time::Duration::from_secs(age.as_secs());
            format!(", begun {} ago,", format_duration(whole))
        });
        let message = format!("another rotation of the secret{age} is not finished");
        Error::new(Kind::Conflict, message).with_hint(format!(
            "if nothing is at work on it any more, `aws secretsmanager update-secret-version-stage \
             --secret-id {id} --version-stage {PENDING} --remove-from-version-id {version}` clears it"
        ))
    }
}

/// The version that a rotation has begun with and not finished.
fn pending(told: &DescribeSecretOutput) -> Option<&str> {
    let mut versions = told.version_ids_to_stages()?.iter();
    let has = |stages: &[String], stage: &str| stages.iter().any(|held| held == stage);
    versions
        .find(|(_, stages)| has(stages, PENDING) && !has(stages, CURRENT))
        .map(|(id, _)| id.as_str())
}

/// Whether this version is the one in use.
fn is_current(told: &DescribeSecretOutput, version: &str) -> bool {
    let stages = told
        .version_ids_to_stages()
        .and_then(|all| all.get(version));
    stages.is_some_and(|stages| stages.iter().any(|stage| stage == CURRENT))
}

#[async_trait]
impl Target for Managed {
    fn abilities(&self) -> Abilities {
        Abilities::rotating()
    }

    async fn preflight(&self, _: &Account, _: Option<&str>, cx: &Context) -> Result<()> {
        let session = self.session(cx).await?;
        let ask = self.link.ask(&session, cx);
        let told = self.describe(ask).await?;
        let function = told
            .rotation_lambda_arn()
            .is_some_and(|arn| !arn.is_empty());
        if !function && told.owning_service().is_none() && told.rotation_enabled() != Some(true) {
            let message = "rotation is not set up for the secret";
            return Err(Error::new(Kind::Misconfigured, message)
                .with_hint("`aws secretsmanager rotate-secret` with a function sets it up"));
        }
        match pending(&told) {
            Some(version) => Err(self.unfinished(ask, version).await),
            None => Ok(()),
        }
    }

    async fn probe(&self, _: &Account, _: &Context) -> Result<Verdict> {
        // Whether AWS serves this value says nothing about the system that it is for.
        Err(Error::unsupported("a login with the secret"))
    }

    async fn rotate(&self, since: SystemTime, cx: &Context) -> Result<()> {
        let session = self.session(cx).await?;
        let ask = self.link.ask(&session, cx);
        let told = self.describe(ask).await?;
        let token = self.token(since);
        let rotated = moment(told.last_rotated_date());
        if rotated.is_some_and(|last| last >= since) || is_current(&told, &token) {
            return Ok(());
        }
        if let Some(version) = pending(&told).filter(|version| *version != token) {
            return Err(self.unfinished(ask, version).await);
        }
        let request = session.secrets.rotate_secret();
        let request = request
            .secret_id(self.address.as_str())
            .client_request_token(&token)
            .rotate_immediately(true);
        let Err(failed) = call(cx, ROTATE, request.send()).await else {
            return Ok(());
        };
        let failed = self.link.noted(failed);
        if failed.has_code("InvalidRequestException") {
            match pending(&self.describe(ask).await?) {
                // Ours, which AWS goes on with.
                Some(version) if version == token => return Ok(()),
                Some(version) => return Err(self.unfinished(ask, version).await),
                None => {}
            }
        }
        Err(ask.explained(failed, &self.address).await)
    }

    async fn rotated(&self, cx: &Context) -> Result<Option<SystemTime>> {
        let session = self.session(cx).await?;
        let ask = self.link.ask(&session, cx);
        let told = self.describe(ask).await?;
        if let Some(rotated) = moment(told.last_rotated_date()) {
            return Ok(Some(rotated));
        }
        // Never rotated: what it has is as old as its current version.
        let states = versions(ask, &self.address).await?;
        let current = states
            .into_iter()
            .find(|state| state.labels.iter().any(|label| label == CURRENT));
        Ok(current.and_then(|state| state.created))
    }
}

impl fmt::Debug for Managed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Managed")
            .field("secret", &self.address.as_str())
            .finish_non_exhaustive()
    }
}
