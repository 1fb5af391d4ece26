//! Writing and deleting.

use aws_smithy_types::Blob;
use credchain_core::{Error, Expect, Kind, Result, Secret, SetOptions, Version};
use sha2::{Digest as _, Sha256};

use super::{CREATE, DELETE, PUT, RESTORE, STAGE, awaits_deletion, get};
use crate::address::{Address, CURRENT, Selector};
use crate::config::Deletion;
use crate::error::{Failed, Failure};
use crate::session::{Ask, call};

/// Writes a value and tells its version.
pub(crate) async fn set(
    ask: Ask<'_>,
    address: &Address,
    value: &Secret,
    options: &SetOptions,
) -> Result<Version> {
    // AWS makes the token the new version's id: the same token and value again change nothing.
    let token = match &options.idempotency_key {
        Some(key) => token_of(key.as_bytes()),
        None => fresh_token()?,
    };
    let write = Write {
        ask,
        address,
        value,
        token: &token,
    };
    match &options.expect {
        Expect::Any => write.anyhow().await,
        Expect::Absent => write.create_only().await,
        Expect::Version(version) => write.over(version.as_str()).await,
        _ => Err(Error::unsupported("such a condition for writing")),
    }
}

/// One write, under a token that makes it count once.
#[derive(Clone, Copy)]
struct Write<'a> {
    ask: Ask<'a>,
    address: &'a Address,
    value: &'a Secret,
    token: &'a str,
}

impl Write<'_> {
    /// Writes whatever is there.
    async fn anyhow(&self) -> Result<Version> {
        let mut failed = match self.put(None).await {
            Ok(version) => return self.version(version),
            Err(failed) => failed,
        };
        if failed.kind() == Kind::NotFound && !self.address.is_arn() {
            failed = match self.create().await {
                Ok(version) => return self.version(version),
                Err(failed) => failed,
            };
            // Somebody else created it in between; the token tells whether it was this write.
            if failed.kind() == Kind::Conflict {
                let put = self.put(None).await;
                return self.version(put.map_err(Failed::into_error)?);
            }
        }
        if failed.has_code("InvalidRequestException") && self.awaits_deletion().await {
            // What is written again is wanted again.
            let restore = self.ask.session.secrets.restore_secret();
            let restore = restore.secret_id(self.address.as_str());
            let restored = call(self.ask.cx, RESTORE, restore.send()).await;
            restored.map_err(Failed::into_error)?;
            let put = self.put(None).await;
            return self.version(put.map_err(Failed::into_error)?);
        }
        Err(failed.into_error())
    }

    /// Writes only where nothing is.
    async fn create_only(&self) -> Result<Version> {
        if self.address.is_arn() {
            return Err(Error::new(
                Kind::Conflict,
                "an ARN names a secret that is there already",
            ));
        }
        let failed = match self.create().await {
            Ok(version) => return self.version(version),
            Err(failed) => failed,
        };
        if failed.has_code("InvalidRequestException") && self.awaits_deletion().await {
            return Err(awaits_deletion(Kind::Conflict, self.address));
        }
        if failed.kind() == Kind::Conflict && self.is_there_already().await {
            return self.version(None);
        }
        Err(conflict(failed, "the secret is there already"))
    }

    /// Writes only over this version.
    ///
    /// Secrets Manager writes without a condition, but moves a stage only away from the version
    /// that the caller names. So the value is put under a stage of its own, which nobody reads,
    /// and then becomes the current one if the expected version still is.
    async fn over(&self, expected: &str) -> Result<Version> {
        let told = self
            .ask
            .describe(self.address)
            .await
            .map_err(Failed::into_error)?;
        if told.deleted_date().is_some() {
            return Err(awaits_deletion(Kind::NotFound, self.address));
        }
        let stages = told.version_ids_to_stages();
        let current = stages.and_then(|stages| {
            let holds = |stages: &[String]| stages.iter().any(|stage| stage == CURRENT);
            stages
                .iter()
                .find(|(_, stages)| holds(stages))
                .map(|(id, _)| id.as_str())
        });
        if current == Some(self.token) && self.is_there_already().await {
            return self.version(None);
        }
        if current != Some(expected) {
            return Err(lost());
        }
        let waiting = format!("credchain-{}", self.token);
        self.put(Some(&waiting))
            .await
            .map_err(|failed| conflict(failed, "the idempotency key was used for another value"))?;
        let moved = self
            .move_stage(CURRENT, Some(expected), Some(self.token))
            .await;
        // Without a stage a version is forgotten in time; with this one it would stay.
        if let Err(failed) = self.move_stage(&waiting, Some(self.token), None).await {
            tracing::debug!(kind = %failed.kind(), "a stage of a finished write was left behind");
        }
        match moved {
            Ok(()) => self.version(None),
            Err(failed) if failed.kind() == Kind::Invalid => Err(lost()),
            Err(failed) => Err(failed.into_error()),
        }
    }

    async fn put(&self, stage: Option<&str>) -> Result<Option<String>, Failed> {
        let (text, bytes) = self.payload();
        let request = self.ask.session.secrets.put_secret_value();
        let request = request
            .secret_id(self.address.as_str())
            .client_request_token(self.token)
            .set_secret_string(text)
            .set_secret_binary(bytes)
            .set_version_stages(stage.map(|stage| vec![stage.to_owned()]));
        let answer = call(self.ask.cx, PUT, request.send()).await?;
        Ok(answer.version_id)
    }

    async fn create(&self) -> Result<Option<String>, Failed> {
        let (text, bytes) = self.payload();
        let request = self.ask.session.secrets.create_secret();
        let request = request
            .name(self.address.as_str())
            .client_request_token(self.token)
            .set_kms_key_id(self.ask.settings.kms_key.clone())
            .set_secret_string(text)
            .set_secret_binary(bytes);
        let answer = call(self.ask.cx, CREATE, request.send()).await?;
        Ok(answer.version_id)
    }

    async fn move_stage(
        &self,
        stage: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), Failed> {
        let request = self.ask.session.secrets.update_secret_version_stage();
        let request = request
            .secret_id(self.address.as_str())
            .version_stage(stage)
            .set_remove_from_version_id(from.map(str::to_owned))
            .set_move_to_version_id(to.map(str::to_owned));
        call(self.ask.cx, STAGE, request.send()).await.map(drop)
    }

    /// Text as text, so that every other tool shows it; anything else, and NUL, as binary.
    fn payload(&self) -> (Option<String>, Option<Blob>) {
        match self.value.expose_text().filter(|text| !text.contains('\0')) {
            Some(text) => (Some(text.to_owned()), None),
            None => (None, Some(Blob::new(self.value.expose()))),
        }
    }

    async fn awaits_deletion(&self) -> bool {
        let told = self.ask.describe(self.address).await;
        told.is_ok_and(|told| told.deleted_date().is_some())
    }

    /// Whether an earlier attempt of this very write got through.
    async fn is_there_already(&self) -> bool {
        let own = Selector::Id(self.token.to_owned());
        let stored = get(self.ask, self.address, &own).await;
        stored.is_ok_and(|stored| stored.same_value(self.value))
    }

    /// The version that was written: the one that AWS tells, which is the token.
    fn version(&self, told: Option<String>) -> Result<Version> {
        Version::new(told.unwrap_or_else(|| self.token.to_owned()))
    }
}

/// Deletes a secret, for good or so that it can be restored, as the settings say.
pub(crate) async fn delete(ask: Ask<'_>, address: &Address) -> Result<()> {
    // Deleting for good succeeds on what is not there as well.
    let told = ask.describe(address).await.map_err(Failed::into_error)?;
    if told.deleted_date().is_some() {
        return Err(awaits_deletion(Kind::NotFound, address));
    }
    let request = ask
        .session
        .secrets
        .delete_secret()
        .secret_id(address.as_str());
    let request = match ask.settings.deletion {
        Deletion::Default => request,
        Deletion::After(days) => request.recovery_window_in_days(days),
        Deletion::AtOnce => request.force_delete_without_recovery(true),
    };
    match call(ask.cx, DELETE, request.send()).await {
        Ok(_) => Ok(()),
        Err(failed) => Err(ask.explained(failed, address).await),
    }
}

fn conflict(failed: Failed, message: &'static str) -> Error {
    match failed.kind() {
        Kind::Conflict => Error::new(Kind::Conflict, message),
        _ => failed.into_error(),
    }
}

fn lost() -> Error {
    Error::new(Kind::Conflict, "another version is current by now")
}

/// A token in the shape that AWS asks for, which depends on the key only.
pub(crate) fn token_of(key: &[u8]) -> String {
    let digest = Sha256::digest(key);
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn fresh_token() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|_| Failed::new(PUT, Failure::Unasked).into_error())
        .map(|()| token_of(&random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_depends_on_the_key_alone_and_has_the_shape_that_aws_asks_for() {
        let token = token_of(b"rotation-42");
        assert_eq!(token, token_of(b"rotation-42"));
        assert_ne!(token, token_of(b"rotation-43"));
        assert!((32..=64).contains(&token.len()));
        assert_eq!(
            token.split('-').map(str::len).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12]
        );
        assert_ne!(fresh_token().unwrap(), fresh_token().unwrap());
    }
}
