//! What the SDK's errors say, in our words.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use credchain_core::{Clock, causes};
use http_body_util::LengthLimitError;

use crate::error::{Failed, Failure};

/// What went wrong at an action. The SDK's error ends here: it carries the answer's body.
pub(crate) fn failed<E>(action: &'static str, error: &SdkError<E>, clock: &Clock) -> Failed
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let Some(failed) = login(error, clock) {
        return failed;
    }
    let failed = Failed::new(action, failure_of(error));
    match error.raw_response() {
        Some(answer) => failed.with_head(answer.headers(), clock.now()),
        None => failed,
    }
}

fn failure_of<E>(error: &SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status();
            match answer.err().code().filter(|code| !code.is_empty()) {
                _ if status.is_success() => Failure::Unreadable,
                Some(code) => Failure::Code(code.to_owned(), Some(status.as_u16())),
                None => Failure::Status(status.as_u16()),
            }
        }
        SdkError::ConstructionFailure(_) => Failure::Unasked,
        _ if cause::<LengthLimitError>(error).is_some() => Failure::TooLarge,
        _ if cause::<rustls::Error>(error).is_some_and(is_distrust) => Failure::Certificate,
        _ => Failure::Silence,
    }
}

/// What went wrong with logging in, if that was it. A login is a request of its own.
fn login(error: &(dyn StdError + 'static), clock: &Clock) -> Option<Failed> {
    let failure = match cause::<CredentialsError>(error)? {
        CredentialsError::CredentialsNotLoaded(_) => Failure::NoCredentials,
        CredentialsError::ProviderTimedOut(_) => Failure::Silence,
        CredentialsError::InvalidConfiguration(_) => Failure::WrongCredentials,
        _ => {
            if let Some(error) = cause::<SdkError<AssumeRoleError>>(error) {
                return Some(failed("sts:AssumeRole", error, clock));
            }
            if let Some(error) = cause::<SdkError<AssumeRoleWithWebIdentityError>>(error) {
                return Some(failed("sts:AssumeRoleWithWebIdentity", error, clock));
            }
            if cause::<ConnectorError>(error).is_some_and(is_network) {
                Failure::Silence
            } else {
                Failure::NoLogin
            }
        }
    };
    Some(Failed::new("logging in", failure))
}

fn is_distrust(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_))
}

fn is_network(error: &ConnectorError) -> bool {
    error.is_io() || error.is_timeout()
}

/// The deepest cause of this type.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let all = std::iter::once(error).chain(causes(error));
    all.filter_map(|one| one.downcast_ref()).last()
}
