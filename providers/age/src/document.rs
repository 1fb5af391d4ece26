//! What is inside the encrypted file: the document, its history and its rules.

use std::collections::BTreeMap;
use std::time::SystemTime;

use credchain_core::{Error, Expect, Kind, Result, Secret, SetOptions, Version};

use crate::error::invalid;
use crate::recipients::Recipient;

/// Largest accepted value, in bytes.
pub(crate) const MAX_VALUE: usize = 4 << 20;

/// All values of a store and who can open it.
#[derive(Clone, Default)]
pub(crate) struct Document {
    /// For whom the file is encrypted; nothing if whoever made it did not say.
    pub(crate) recipients: Option<Vec<Recipient>>,
    /// The highest version that a deleted entry had. New entries start above it, so that no
    /// version ever names two values and a late compare-and-set cannot succeed by accident.
    pub(crate) retired: u64,
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// One value with its history.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) current: Revision,
    /// Older versions, newest first.
    pub(crate) previous: Vec<Revision>,
}

/// One version of a value.
#[derive(Clone)]
pub(crate) struct Revision {
    pub(crate) number: u64,
    pub(crate) value: Secret,
    pub(crate) created: Option<SystemTime>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) idempotency_key: Option<String>,
}

impl Entry {
    /// Every version, newest first.
    pub(crate) fn revisions(&self) -> impl Iterator<Item = &Revision> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// The version with this number, or the one before the current for `previous`.
    pub(crate) fn revision(&self, version: Option<&Version>) -> Option<&Revision> {
        match version.map(Version::as_str) {
            None | Some("current") => Some(&self.current),
            Some("previous") => self.previous.first(),
            Some(number) => self
                .revisions()
                .find(|one| one.number.to_string() == number),
        }
    }
}

impl Document {
    /// Stores a value as the newest version of `path`, keeping `keep` versions in all. Tells
    /// the version, and whether the document changed.
    pub(crate) fn set(
        &mut self,
        path: &str,
        value: &Secret,
        options: &SetOptions,
        now: Option<SystemTime>,
        keep: usize,
    ) -> Result<(Version, bool)> {
        if value.expose().len() > MAX_VALUE {
            return Err(
                invalid(format!("a value has at most {MAX_VALUE} bytes here"))
                    .with_hint("keep large values in a file or in another provider"),
            );
        }
        if let Some(done) = self.repeated(path, value, options) {
            return Ok((done, false));
        }
        let current = self.entries.get(path).map(|entry| entry.current.number);
        let holds = match &options.expect {
            Expect::Absent => current.is_none(),
            Expect::Version(wanted) => current.map(Version::number).as_ref() == Some(wanted),
            // `Any`; what is not known here must not be written over.
            other => *other == Expect::Any,
        };
        if !holds {
            return Err(Error::new(Kind::Conflict, "another version is there")
                .with_hint("read the value again, then decide"));
        }
        let number = current
            .unwrap_or(self.retired)
            .checked_add(1)
            .ok_or_else(|| {
                Error::new(
                    Kind::Invalid,
                    "the version numbers of this value are used up",
                )
            })?;
        let revision = Revision {
            number,
            value: value.clone(),
            created: now,
            metadata: options.metadata.clone(),
            idempotency_key: options.idempotency_key.clone(),
        };
        let mut previous = Vec::new();
        if let Some(old) = self.entries.remove(path) {
            previous = old.previous;
            previous.insert(0, old.current);
            previous.truncate(keep.saturating_sub(1));
        }
        self.entries.insert(
            path.to_owned(),
            Entry {
                current: revision,
                previous,
            },
        );
        Ok((Version::number(number), true))
    }

    /// Removes `path` with its history.
    pub(crate) fn delete(&mut self, path: &str) -> Result<()> {
        let entry = self.entries.remove(path).ok_or_else(Error::not_found)?;
        self.retired = self.retired.max(entry.current.number);
        Ok(())
    }

    /// Removes one older version of `path`.
    pub(crate) fn destroy(&mut self, path: &str, version: &Version) -> Result<()> {
        let entry = self.entries.get_mut(path).ok_or_else(Error::not_found)?;
        let number = entry
            .revision(Some(version))
            .ok_or_else(no_such_version)?
            .number;
        if number == entry.current.number {
            return Err(
                Error::new(Kind::Conflict, "the current version cannot be destroyed")
                    .with_hint("delete the value, or set another one first"),
            );
        }
        entry.previous.retain(|revision| revision.number != number);
        Ok(())
    }

    /// The version that an earlier write with the same key and value made. All kept versions
    /// count: a retry that arrives late must not write over what came after it.
    fn repeated(&self, path: &str, value: &Secret, options: &SetOptions) -> Option<Version> {
        let key = options.idempotency_key.as_ref()?;
        let mut revisions = self.entries.get(path)?.revisions();
        revisions
            .find(|one| one.idempotency_key.as_ref() == Some(key) && one.value.same_value(value))
            .map(|one| Version::number(one.number))
    }
}

pub(crate) fn no_such_version() -> Error {
    Error::new(Kind::NotFound, "no such version")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(document: &mut Document, value: &str, options: &SetOptions) -> Result<(Version, bool)> {
        document.set("default/x", &Secret::new(value), options, None, 3)
    }

    fn key(key: &str) -> SetOptions {
        let mut options = SetOptions::default();
        options.idempotency_key = Some(key.into());
        options
    }

    #[test]
    fn history_is_kept_up_to_its_bound() {
        let mut document = Document::default();
        for value in ["a", "b", "c", "d"] {
            set(&mut document, value, &SetOptions::default()).unwrap();
        }
        let numbers: Vec<_> = document.entries["default/x"]
            .revisions()
            .map(|one| one.number)
            .collect();
        assert_eq!(numbers, [4, 3, 2]);
        let previous = Version::new("previous").unwrap();
        let entry = &document.entries["default/x"];
        assert_eq!(
            entry.revision(Some(&previous)).unwrap().value.expose(),
            b"c"
        );
        assert!(entry.revision(Some(&Version::number(1))).is_none());
    }

    #[test]
    fn a_version_number_is_never_given_out_twice() {
        let mut document = Document::default();
        let (first, _) = set(&mut document, "a", &SetOptions::default()).unwrap();
        document.delete("default/x").unwrap();
        let (second, _) = set(&mut document, "b", &SetOptions::default()).unwrap();
        assert_ne!(first, second);
        let late = SetOptions::expecting(Expect::Version(first));
        assert_eq!(
            set(&mut document, "c", &late).unwrap_err().kind(),
            Kind::Conflict
        );
    }

    #[test]
    fn a_late_retry_does_not_write_over_what_came_after_it() {
        let mut document = Document::default();
        let first = set(&mut document, "a", &key("k")).unwrap();
        set(&mut document, "b", &SetOptions::default()).unwrap();
        assert_eq!(
            set(&mut document, "a", &key("k")).unwrap(),
            (first.0, false)
        );
        assert_eq!(document.entries["default/x"].current.value.expose(), b"b");
        assert!(
            set(&mut document, "other", &key("k")).unwrap().1,
            "another value is a new write"
        );
    }

    #[test]
    fn the_current_version_is_not_destroyed_by_itself() {
        let mut document = Document::default();
        let (first, _) = set(&mut document, "a", &SetOptions::default()).unwrap();
        let (second, _) = set(&mut document, "b", &SetOptions::default()).unwrap();
        let refusal = document.destroy("default/x", &second).unwrap_err();
        assert_eq!(refusal.kind(), Kind::Conflict);
        document.destroy("default/x", &first).unwrap();
        assert_eq!(
            document.destroy("default/x", &first).unwrap_err().kind(),
            Kind::NotFound
        );
        assert_eq!(document.entries["default/x"].current.value.expose(), b"b");
    }
}
