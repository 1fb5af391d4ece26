//! The name of a key: one text for a service and a user.

use crate::error::Failure;
use crate::place::Place;

/// What the `keyring` family of Rust crates writes before a user.
const PREFIX: &str = "keyring:";

/// What stands between the user and the service.
const DIVIDER: char = '@';

/// The longest description that the kernel takes.
const MAX: usize = 4095;

/// The description of a key: `keyring:USER@SERVICE`, as the `keyring` family of Rust crates
/// writes it. A user may have the `@` of an e-mail address; that of a service is written `%40`,
/// and every `%` is written `%25`, so that no two places have one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description(String);

impl Description {
    pub(super) fn of(place: &Place) -> Result<Self, Failure> {
        let user = place.user.replace('%', "%25");
        let service = place.service.replace('%', "%25").replace(DIVIDER, "%40");
        let description = format!("{PREFIX}{user}{DIVIDER}{service}");
        if description.len() > MAX || description.contains('\0') {
            return Err(Failure::BadName);
        }
        Ok(Self(description))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The place that has this description, if one has it.
pub(super) fn place(description: &str) -> Option<Place> {
    let names = description.strip_prefix(PREFIX)?;
    let (user, service) = names.rsplit_once(DIVIDER)?;
    let place = Place {
        service: service.replace("%40", "@").replace("%25", "%"),
        user: user.replace("%25", "%"),
    };
    // Somebody else's `%` may be one that is never written here.
    (Description::of(&place).ok()?.as_str() == description).then_some(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn described(service: &str, user: &str) -> String {
        let (service, user) = (service.to_owned(), user.to_owned());
        let description = Description::of(&Place { service, user }).unwrap();
        description.as_str().to_owned()
    }

    #[test]
    fn everyday_names_are_written_as_the_keyring_crates_write_them() {
        for (service, user, description) in [
            ("demo", "api_key", "keyring:api_key@demo"),
            ("demo/prod", "api_key", "keyring:api_key@demo/prod"),
            (
                "https://example.com",
                "me@example.com",
                "keyring:me@example.com@https://example.com",
            ),
        ] {
            assert_eq!(described(service, user), description);
        }
    }

    #[test]
    fn two_places_never_have_one_key() {
        assert_ne!(described("b@c", "a"), described("c", "a@b"));
        assert_ne!(described("b%40c", "a"), described("b@c", "a"));
    }

    #[test]
    fn keys_that_nobody_here_would_write_are_no_places() {
        for description in [
            "api_key@demo",
            "keyring:api_key",
            "keyring:100%@demo",
            "keyring:a@b%20c",
        ] {
            assert_eq!(place(description), None, "{description}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_refused_before_the_kernel_sees_it() {
        let service = "s".repeat(MAX);
        let user = "u".to_owned();
        let refused = Description::of(&Place { service, user });
        assert_eq!(refused, Err(Failure::BadName));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_itself(
            service in "[a-z@%0245:; é]{1,12}",
            user in "[a-z@%0245:; é]{1,12}",
        ) {
            let read = place(&described(&service, &user));
            prop_assert_eq!(read, Some(Place { service, user }));
        }
    }
}
