//! What was resolved, and the way from there to fields.

use std::collections::BTreeMap;

use credchain_core::{Error, Name, Resolution, Result, Secret};

use super::error::Problem;
use super::{Credentials, Field, FromSecret, Problems};

/// The resolutions that a struct is built from, by name.
#[derive(Debug, Default)]
pub struct Resolved {
    entries: BTreeMap<Name, Entry>,
    prefix: String,
}

#[derive(Debug)]
struct Entry {
    resolution: Resolution,
    variable: String,
}

impl Resolved {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a credential with its conventional environment variable.
    pub fn insert(&mut self, name: Name, resolution: Resolution) {
        let variable = name.to_env();
        self.insert_as(name, resolution, variable);
    }

    /// Adds a credential that is read from `variable`.
    pub fn insert_as(&mut self, name: Name, resolution: Resolution, variable: String) {
        self.entries.insert(
            name,
            Entry {
                resolution,
                variable,
            },
        );
    }

    /// The value of a required field. `None` if it is missing or unusable: then `problems` says
    /// why.
    pub fn field<T: FromSecret<Via>, Via>(
        &self,
        field: Field,
        problems: &mut Problems,
    ) -> Option<T> {
        let (field, found) = self.find(field);
        let entry = self.entries.get(&field.name);
        match found {
            Err(error) if error.kind().is_miss() => {
                problems.push(Problem::missing(
                    field,
                    &error,
                    entry.and_then(Entry::note),
                    self,
                ));
                None
            }
            Err(error) => {
                problems.push(Problem::failed(field, error));
                None
            }
            Ok(secret) => convert(field, &secret, problems),
        }
    }

    /// The value of an optional field: `Some(None)` if every link answered that there is none.
    /// `None` if it is unusable: then `problems` says why.
    pub fn optional<T: FromSecret<Via>, Via>(
        &self,
        field: Field,
        problems: &mut Problems,
    ) -> Option<Option<T>> {
        match self.find(field) {
            (_, Err(error)) if error.kind().is_miss() => Some(None),
            (field, Err(error)) => {
                problems.push(Problem::failed(field, error));
                None
            }
            (field, Ok(secret)) => convert(field, &secret, problems).map(Some),
        }
    }

    /// A struct whose names begin with `prefix`.
    pub fn nested<T: Credentials>(&mut self, prefix: &str, problems: &mut Problems) -> Option<T> {
        let outer = self.prefix.len();
        self.prefix.push_str(prefix);
        let nested = T::from_resolved(self);
        self.prefix.truncate(outer);
        nested.map_err(|error| problems.extend(error)).ok()
    }

    /// The environment variable of a credential.
    pub(super) fn variable(&self, name: &Name) -> String {
        self.entries
            .get(name)
            .map_or_else(|| name.to_env(), |entry| entry.variable.clone())
    }

    /// The field under its full name, with its value or default.
    fn find(&self, mut field: Field) -> (Field, Result<Secret>) {
        if !self.prefix.is_empty() {
            match format!("{}{}", self.prefix, field.name).parse() {
                Ok(name) => field.name = name,
                Err(_) => return (field, Err(Error::not_found())),
            }
        }
        let found = match self.entries.get(&field.name) {
            None => Err(Error::not_found()),
            Some(entry) => match &entry.resolution.result {
                Ok(secret) if secret.is_empty() && !field.allow_empty => Err(set_but_empty()),
                other => other.clone(),
            },
        };
        let found = match (found, field.default) {
            (Err(error), Some(default)) if error.kind().is_miss() => Ok(Secret::new(default)),
            (found, _) => found,
        };
        (field, found)
    }
}

impl Entry {
    fn note(&self) -> Option<String> {
        match &self.resolution.result {
            Ok(_) => Some("set but empty".to_owned()),
            Err(_) => self.resolution.trace.note().map(str::to_owned),
        }
    }
}

fn set_but_empty() -> Error {
    Error::new(credchain_core::Kind::NotFound, "it is set but empty")
}

fn convert<T: FromSecret<Via>, Via>(
    field: Field,
    secret: &Secret,
    problems: &mut Problems,
) -> Option<T> {
    let converted = T::from_secret(secret);
    converted
        .map_err(|unfit| problems.push(Problem::unfit(field, &unfit, secret)))
        .ok()
}
