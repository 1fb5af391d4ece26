//! A reference's path as the two names that a keyring knows an item by.

use credchain_core::{Error, Kind, Reference, Result};

/// Where a keyring keeps one value: the pair that Python's `keyring` calls `service` and
/// `username`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) service: String,
    pub(crate) user: String,
}

impl Place {
    /// The place of a reference: the last segment of its path is the user, what is before it the
    /// service. A path of one segment is a user of the service `own`.
    pub(crate) fn of(reference: &Reference, own: &str) -> Result<Self> {
        if reference.version().is_some() {
            return Err(Error::unsupported("a version"));
        }
        if reference.field().is_some() {
            return Err(Error::unsupported("a field"));
        }
        let path = reference.path();
        let absolute = path.strip_prefix('/');
        let (service, user) = match absolute.unwrap_or(path).rsplit_once('/') {
            Some(names) => names,
            None if absolute.is_some() => ("", path),
            None => (own, path),
        };
        if service.is_empty() || user.is_empty() {
            return Err(
                Error::new(Kind::Invalid, "the reference names no service or no user")
                    .with_hint("in a keyring a place is written `SERVICE/USER`"),
            );
        }
        Ok(Self {
            service: service.to_owned(),
            user: user.to_owned(),
        })
    }

    /// The shortest reference that means this place; nothing if none does.
    pub(crate) fn reference(&self, own: &str) -> Option<Reference> {
        let Self { service, user } = self;
        let path = if service == own {
            user.clone()
        } else if service.starts_with('/') {
            format!("/{service}/{user}")
        } else {
            format!("{service}/{user}")
        };
        let reference = Reference::new(path).ok()?;
        // A user with a slash in it would be read as something else.
        (Self::of(&reference, own).ok()? == *self).then_some(reference)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(service: &str, user: &str) -> Place {
        Place {
            service: service.into(),
            user: user.into(),
        }
    }

    #[test]
    fn the_last_segment_is_the_user() {
        for (path, service, user) in [
            ("api_key", "own", "api_key"),
            ("demo/api_key", "demo", "api_key"),
            ("/demo/api_key", "demo", "api_key"),
            ("demo/prod/api_key", "demo/prod", "api_key"),
            (
                "https://example.com/me@example.com",
                "https://example.com",
                "me@example.com",
            ),
            ("a//b", "a/", "b"),
            ("//a/b", "/a", "b"),
        ] {
            let reference = Reference::new(path).unwrap();
            assert_eq!(
                Place::of(&reference, "own").unwrap(),
                place(service, user),
                "{path}"
            );
        }
    }

    #[test]
    fn half_a_place_is_invalid() {
        for path in ["/", "/api_key", "demo/", "//", "//api_key"] {
            let error = Place::of(&Reference::new(path).unwrap(), "own").unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{path}");
        }
        let nameless = Place::of(&Reference::new("api_key").unwrap(), "");
        assert_eq!(nameless.unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn a_user_with_a_slash_cannot_be_written() {
        assert_eq!(place("demo", "a/b").reference("own"), None);
        assert_eq!(place("own", "a/b").reference("own"), None);
        assert_eq!(place("own", "/b").reference("own"), None);
    }

    #[test]
    fn versions_and_fields_are_not_offered() {
        for text in ["a/b#c", "a/b?version=1"] {
            let error = Place::of(&text.parse().unwrap(), "own").unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported);
        }
    }

    proptest! {
        #[test]
        fn what_can_be_written_is_read_back_as_itself(
            service in "[a-z/ %#?\\\\é]{1,12}",
            user in "[a-zA-Z %#?@\\\\é]{1,12}",
            own in "[a-z/]{0,3}",
        ) {
            let place = place(&service, &user);
            let written = place.reference(&own).expect("no `..` and no control character");
            let read: Reference = written.to_string().parse().unwrap();
            prop_assert_eq!(Place::of(&read, &own).unwrap(), place);
        }
    }
}
