//! The settings of a provider type, described as data.
//!
//! One table per provider says which keys exist, what shape each has and what it is for. The
//! configuration crate checks `[providers.NAME]` against it and reports every mistake with its
//! place; the JSON schema, `resolve providers` and the reference page are made from it; and the
//! trust rule sees which settings name programs, paths and endpoints. A provider that is built
//! from [`Settings`] can rely on the shapes.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Error, Kind, Name, Result, parse_duration, parse_size};

/// One key of a settings table.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// What may stand there.
    pub shape: Shape,
    /// Whether the table is wrong without it.
    pub required: bool,
    /// The default, as it would be written in TOML.
    pub default: Option<&'static str>,
    /// One sentence: what it is for.
    pub doc: &'static str,
}

/// What may stand at a key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// Any text.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number in this range.
    Integer {
        /// Smallest accepted number.
        min: i64,
        /// Largest accepted number.
        max: i64,
    },
    /// A length of time such as `"500ms"`, `"5m"`, `"90d"`.
    Duration,
    /// A number of bytes such as `"64KiB"` or `1048576`.
    Size,
    /// A file or directory; relative to the project's directory.
    Path,
    /// A program; a name is looked up on `PATH`, a relative path is inside the project.
    Program,
    /// The address of a server.
    Url,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of one shape.
    List(&'static Self),
    /// A table with free keys and values of one shape.
    Map(&'static Self),
    /// A table with these keys.
    Table(&'static [Setting]),
    /// A table whose keys depend on one of them.
    Tagged {
        /// The key that decides.
        tag: &'static str,
        /// Each word it may have, with the other keys.
        variants: &'static [(&'static str, &'static [Setting])],
    },
    /// `{ credential = "NAME" }`: a secret that is itself resolved. A literal is a mistake.
    Credential,
    /// Any of these shapes, the first that fits.
    AnyOf(&'static [Self]),
}

impl Setting {
    /// An optional key.
    pub const fn new(key: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self {
            key,
            shape,
            required: false,
            default: None,
            doc,
        }
    }

    /// The same key, without which the table is wrong.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same key, with its default as written in TOML.
    pub const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

/// The settings of one provider, checked against its table.
#[derive(Clone, Default)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// Settings from a JSON-like table.
    pub fn new(table: Map<String, Value>) -> Self {
        Self(table)
    }

    /// Settings from `serde_json::json!({…})`; anything but an object is empty.
    pub fn from_json(value: Value) -> Self {
        match value {
            Value::Object(table) => Self(table),
            _ => Self::default(),
        }
    }

    /// Whether the key is set.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The text at a key.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.read(key, "text", Value::as_str)
    }

    /// The truth at a key.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, "`true` or `false`", Value::as_bool)
    }

    /// The whole number at a key.
    pub fn integer(&self, key: &str) -> Result<Option<i64>> {
        self.read(key, "a whole number", Value::as_i64)
    }

    /// The length of time at a key.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>> {
        self.read(key, "a duration such as \"5m\"", |v| {
            parse_duration(v.as_str()?)
        })
    }

    /// The number of bytes at a key.
    pub fn size(&self, key: &str) -> Result<Option<u64>> {
        self.read(key, "a size such as \"64KiB\"", |value| match value {
            Value::String(text) => parse_size(text),
            other => other.as_u64(),
        })
    }

    /// The path at a key, as written.
    pub fn path(&self, key: &str) -> Result<Option<PathBuf>> {
        Ok(self.text(key)?.map(PathBuf::from))
    }

    /// The texts at a key; a single text counts as a list of one.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>> {
        self.read(key, "a list of texts", |value| match value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect(),
            _ => None,
        })
    }

    /// The table at a key.
    pub fn table(&self, key: &str) -> Result<Option<Self>> {
        self.read(key, "a table", |value| value.as_object().cloned().map(Self))
    }

    /// The credential named at a key by `{ credential = "NAME" }`.
    pub fn credential(&self, key: &str) -> Result<Option<Name>> {
        self.read(key, "`{ credential = \"NAME\" }`", |value| {
            value.as_object()?.get("credential")?.as_str()?.parse().ok()
        })
    }

    /// Everything at once, into a type of the provider's own.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T> {
        // The error of serde quotes the offending value, so it is not passed on.
        serde_json::from_value(Value::Object(self.0.clone()))
            .map_err(|_| Error::new(Kind::Misconfigured, "a setting has the wrong type"))
    }

    /// The keys that are set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn read<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        convert(value).map(Some).ok_or_else(|| {
            Error::new(
                Kind::Misconfigured,
                format!("setting `{key}` must be {expected}"),
            )
        })
    }
}

impl std::fmt::Debug for Settings {
    // Values are left out: a user may have put a secret where it does not belong.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Settings")
            .field(&self.0.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_shape_is_read() {
        let settings = Settings::from_json(json!({
            "prefix": "APP_", "deep": {"x": 1}, "ttl": "5m", "max": "64KiB", "on": true,
            "files": [".env"], "one": ".env", "id": {"credential": "vault_id"},
        }));
        assert_eq!(settings.text("prefix").unwrap(), Some("APP_"));
        assert_eq!(settings.text("absent").unwrap(), None);
        assert_eq!(
            settings.duration("ttl").unwrap(),
            Some(Duration::from_mins(5))
        );
        assert_eq!(settings.size("max").unwrap(), Some(65_536));
        assert_eq!(settings.bool("on").unwrap(), Some(true));
        assert_eq!(
            settings.texts("files").unwrap(),
            settings.texts("one").unwrap()
        );
        assert_eq!(
            settings
                .table("deep")
                .unwrap()
                .unwrap()
                .integer("x")
                .unwrap(),
            Some(1)
        );
        assert_eq!(
            settings.credential("id").unwrap().unwrap().as_str(),
            "vault_id"
        );
    }

    #[test]
    fn a_wrong_type_names_the_key_and_not_the_value() {
        let settings = Settings::from_json(json!({"ttl": "canary-value"}));
        let error = settings.duration("ttl").unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.to_string().contains("`ttl`") && !error.to_string().contains("canary"));
        assert!(!format!("{settings:?}").contains("canary"));
    }
}
