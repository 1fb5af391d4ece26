//! What the numbers mean with which macOS refuses something.

use crate::error::Failure;

/// What an `OSStatus` of the Keychain means.
pub(crate) fn of(status: i32) -> Failure {
    match status {
        // errSecItemNotFound
        -25300 => Failure::NotFound,
        // wrPermErr, errSecNoAccessForItem, errSecInvalidOwnerEdit, errSecReadOnly; and
        // errSecDuplicateItem, which is what a write gets over an item that it may not see.
        -61 | -25243 | -25244 | -25292 | -25299 => Failure::Denied,
        // errSecNotAvailable, errSecNoSuchKeychain, errSecNoDefaultKeychain
        -25291 | -25294 | -25307 => Failure::NoStore,
        // errSecInteractionNotAllowed, errSecInteractionRequired
        -25308 | -25315 => Failure::Locked,
        // userCanceledErr, errSecAuthFailed: the question was answered with Cancel or Deny, or
        // with a wrong password.
        -128 | -25293 => Failure::Dismissed,
        // errSecInvalidKeychain, errSecDecode
        -25295 | -26275 => Failure::Garbled,
        // errSecParam: the only parameters are the two names.
        -50 => Failure::BadName,
        other => Failure::Other(format!("OSStatus {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_meaning() {
        for (statuses, failure) in [
            (&[-25300][..], Failure::NotFound),
            (&[-61, -25243, -25244, -25292, -25299], Failure::Denied),
            (&[-25291, -25294, -25307], Failure::NoStore),
            (&[-25308, -25315], Failure::Locked),
            (&[-128, -25293], Failure::Dismissed),
            (&[-25295, -26275], Failure::Garbled),
            (&[-50], Failure::BadName),
            (&[-4], Failure::Other("OSStatus -4".to_owned())),
        ] {
            for status in statuses {
                assert_eq!(of(*status), failure, "{status}");
            }
        }
    }
}
