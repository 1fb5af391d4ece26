//! Writing and deleting.

use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use credchain_core::{Error, Expect, Kind, Result, Secret, SetOptions, Version};

use super::{DELETE, PUT, get};
use crate::address::Address;
use crate::config::Tier;
use crate::error::{Failed, Failure};
use crate::session::{Ask, call};

/// Writes an encrypted parameter and tells its version.
pub(crate) async fn set(
    ask: Ask<'_>,
    address: &Address,
    value: &Secret,
    options: &SetOptions,
) -> Result<Version> {
    // AWS compares nothing but whether the name is taken, which is not what is claimed.
    if options.expect != Expect::Any {
        return Err(Error::unsupported("a condition for writing a parameter"));
    }
    // A NUL would have to be in the answer of every tool that shows the parameter.
    let Some(text) = value.expose_text().filter(|text| !text.contains('\0')) else {
        return Err(
            Error::new(Kind::Invalid, "a parameter holds text without NUL only")
                .with_hint("`service = \"secretsmanager\"` holds any bytes"),
        );
    };
    writable(address)?;
    if options.idempotency_key.is_some()
        && let Some(version) = repeated(ask, address, value).await?
    {
        return Ok(version);
    }
    let request = ask.session.parameters.put_parameter();
    let request = request
        .name(address.as_str())
        .value(text)
        .r#type(ParameterType::SecureString)
        .tier(tier(ask.settings.tier))
        .set_key_id(ask.settings.kms_key.clone())
        .overwrite(true);
    let answer = call(ask.cx, PUT, request.send()).await.map_err(|failed| {
        let other_type = failed.has_code("HierarchyTypeMismatchException");
        let error = failed.into_error();
        if other_type {
            error.with_hint("it is there as another type: delete it first, then write it encrypted")
        } else {
            error
        }
    })?;
    u64::try_from(answer.version())
        .map(Version::number)
        .map_err(|_| Failed::new(PUT, Failure::Unreadable).into_error())
}

/// The current version if it holds this value already. Parameter Store has no token that makes
/// a repeated write count once, so the value itself has to tell.
async fn repeated(ask: Ask<'_>, address: &Address, value: &Secret) -> Result<Option<Version>> {
    match get(ask, address, None).await {
        Ok(stored) if stored.same_value(value) => Ok(stored.meta().version.clone()),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Names that AWS keeps for itself can be read and not written.
fn writable(address: &Address) -> Result<()> {
    let name = address.as_str().trim_start_matches('/');
    let reserved = |word: &str| {
        name.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if address.is_arn() {
        return Err(Error::new(
            Kind::Invalid,
            "a parameter is written by its name, not by an ARN",
        ));
    }
    if reserved("aws") || reserved("ssm") {
        return Err(Error::new(
            Kind::Invalid,
            "AWS keeps names that begin with `aws` or `ssm` for itself",
        )
        .with_hint("set a `prefix`, or another `path`"));
    }
    Ok(())
}

fn tier(tier: Tier) -> ParameterTier {
    match tier {
        Tier::Standard => ParameterTier::Standard,
        Tier::Advanced => ParameterTier::Advanced,
        Tier::Intelligent => ParameterTier::IntelligentTiering,
    }
}

/// Deletes a parameter with all its versions, for good.
pub(crate) async fn delete(ask: Ask<'_>, address: &Address) -> Result<()> {
    let request = ask
        .session
        .parameters
        .delete_parameter()
        .name(address.as_str());
    let deleted = call(ask.cx, DELETE, request.send()).await;
    deleted.map(drop).map_err(Failed::into_error)
}
