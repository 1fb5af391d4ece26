//! What the kernel's refusals mean.

use std::io;

use linux_keyutils::KeyError;

use crate::error::Failure;

/// What it means that a keyring could not be reached.
pub(super) fn opening(error: KeyError) -> Failure {
    match error {
        // Nobody lacks the permission to ask for a keyring of their own: it is a filter of system
        // calls, as containers have one, that answers like this.
        KeyError::PermissionDenied => Failure::NoStore,
        KeyError::OperationNotSupported => Failure::NoPersistent,
        other => Failure::from(other),
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            // A key that has expired or that was revoked is gone for everybody, whatever is left
            // of it.
            KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked => {
                Self::NotFound
            }
            KeyError::AccessDenied | KeyError::PermissionDenied => Self::Denied,
            KeyError::QuotaExceeded => Self::Full,
            KeyError::InvalidDescription => Self::BadName,
            KeyError::InvalidIdentifier => Self::Garbled,
            KeyError::Unknown(number) if is_no_such_call(number) => Self::NoStore,
            KeyError::Unknown(number) => Self::Other(format!("errno {number}")),
            // The names of these say what the kernel said, and nothing about the key.
            other => Self::Other(format!("{other:?}")),
        }
    }
}

fn is_no_such_call(number: i32) -> bool {
    io::Error::from_raw_os_error(number).kind() == io::ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_meaning() {
        const NO_SUCH_CALL: i32 = 38;
        const TOO_MANY_KEYS: i32 = 23;
        for (error, failure) in [
            (KeyError::KeyDoesNotExist, Failure::NotFound),
            (KeyError::KeyExpired, Failure::NotFound),
            (KeyError::KeyRevoked, Failure::NotFound),
            (KeyError::AccessDenied, Failure::Denied),
            (KeyError::PermissionDenied, Failure::Denied),
            (KeyError::QuotaExceeded, Failure::Full),
            (KeyError::InvalidDescription, Failure::BadName),
            (KeyError::InvalidIdentifier, Failure::Garbled),
            (KeyError::Unknown(NO_SUCH_CALL), Failure::NoStore),
            (
                KeyError::Unknown(TOO_MANY_KEYS),
                Failure::Other("errno 23".to_owned()),
            ),
            (
                KeyError::OutOfMemory,
                Failure::Other("OutOfMemory".to_owned()),
            ),
        ] {
            assert_eq!(Failure::from(error), failure, "{error:?}");
        }
    }

    #[test]
    fn a_filter_of_system_calls_is_told_from_a_denial() {
        assert_eq!(opening(KeyError::PermissionDenied), Failure::NoStore);
        assert_eq!(opening(KeyError::AccessDenied), Failure::Denied);
        let persistent = opening(KeyError::OperationNotSupported);
        assert_eq!(persistent, Failure::NoPersistent);
    }
}
