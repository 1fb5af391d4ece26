//! The lines of the plugin protocol. `docs/plugin-protocol.md` is their specification.
//!
//! Unknown keys are ignored everywhere, so that either side can learn new ones. Everything that
//! may hold a value is a plain struct: serde's `flatten` and `untagged` would keep copies of it in
//! buffers that are not wiped.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credchain_core::{
    Description, Error, Expect, Kind, Listed, Reference, Result, Secret, SetOptions, Version,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::time::parse_time;

/// The version of the protocol that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// Most items in one request.
pub(crate) const MAX_ITEMS: usize = 1000;

/// The first line a plugin writes.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Hello {
    protocol: Vec<u32>,
    #[serde(default)]
    capabilities: Vec<String>,
}

/// The first line a plugin reads.
#[derive(Debug, Serialize)]
pub(crate) struct Greeting<'a> {
    pub(crate) protocol: u32,
    pub(crate) link: &'a str,
    pub(crate) project: &'a str,
    pub(crate) profile: &'a str,
    pub(crate) max_response: u64,
}

/// A request.
#[derive(Serialize)]
pub(crate) struct Request<'a> {
    pub(crate) id: u64,
    pub(crate) op: Op,
    pub(crate) deadline_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) items: Option<Vec<Item<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<&'a str>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    Get,
    Set,
    Delete,
    List,
    Describe,
}

/// One place that a request is about and, for `set`, what to write there.
#[derive(Default, Serialize)]
pub(crate) struct Item<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<Wiped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Expected<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Expected<'a> {
    Absent(bool),
    Version(&'a str),
}

/// A response.
#[derive(Deserialize)]
pub(crate) struct Response {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) results: Option<Vec<Answer>>,
    #[serde(default)]
    pub(crate) error: Option<Failure>,
}

/// What a response says about one item, or one entry of a listing.
#[derive(Default, Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    error: Option<Failure>,
    #[serde(default)]
    value: Option<Wiped>,
    #[serde(default)]
    value_base64: Option<Wiped>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    expires: Option<String>,
    #[serde(default)]
    lease: Option<String>,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    field: Option<String>,
}

/// Text that is wiped when it is dropped.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct Wiped(String);

impl Drop for Wiped {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// Why something failed, in the plugin's words. Its free text is for the plugin's own log and is
/// not even parsed: it may quote a value.
#[derive(Deserialize)]
pub(crate) struct Failure {
    kind: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

impl Hello {
    pub(crate) fn parse(line: &[u8]) -> Result<Self> {
        let hello: Self = serde_json::from_slice(line).map_err(|_| {
            Error::new(Kind::Invalid, "the plugin's first line is no hello")
                .with_hint("`program` must speak credchain's plugin protocol; for any other tool use `preset`, or `program` with `get`")
        })?;
        if hello.protocol.contains(&PROTOCOL_VERSION) {
            return Ok(hello);
        }
        let message =
            format!("the plugin does not speak version {PROTOCOL_VERSION} of the plugin protocol");
        Err(Error::new(Kind::Misconfigured, message)
            .with_hint("install a release of the plugin that matches this credchain"))
    }

    pub(crate) fn offers(&self, capability: &str) -> bool {
        self.capabilities
            .iter()
            .any(|offered| offered == capability)
    }
}

impl<'a> Item<'a> {
    pub(crate) fn place(reference: &'a Reference) -> Self {
        Self {
            path: reference.path(),
            field: reference.field(),
            version: reference.version().map(Version::as_str),
            ..Self::default()
        }
    }

    pub(crate) fn writing(mut self, value: &'a Secret, options: &'a SetOptions) -> Self {
        match value.expose_text() {
            Some(text) => self.value = Some(text),
            None => self.value_base64 = Some(Wiped(STANDARD.encode(value.expose()))),
        }
        self.expect = match &options.expect {
            Expect::Absent => Some(Expected::Absent(true)),
            Expect::Version(version) => Some(Expected::Version(version.as_str())),
            _ => None,
        };
        self.idempotency_key = options.idempotency_key.as_deref();
        self.metadata = Some(&options.metadata).filter(|metadata| !metadata.is_empty());
        self
    }
}

/// Writes one message as a line.
pub(crate) fn line(message: &impl Serialize) -> Result<Zeroizing<Vec<u8>>> {
    // Sized before it is written: a buffer that grows leaves copies behind.
    let mut counter = Counter(0);
    let fail = |_| Error::new(Kind::Internal, "a request cannot be written as JSON");
    serde_json::to_writer(&mut counter, message).map_err(fail)?;
    let mut line = Zeroizing::new(Vec::with_capacity(counter.0 + 1));
    serde_json::to_writer(&mut *line, message).map_err(fail)?;
    line.push(b'\n');
    Ok(line)
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Answer {
    pub(crate) fn into_secret(self, reference: &Reference) -> Result<Secret> {
        let mut answer = self.checked()?;
        let value = match (answer.value.take(), answer.value_base64.take()) {
            (Some(mut text), None) => std::mem::take(&mut text.0).into_bytes(),
            (None, Some(text)) => STANDARD
                .decode(text.0.as_bytes())
                .map_err(|_| malformed("`value_base64` is not standard base64 with padding"))?,
            _ => {
                return Err(malformed(
                    "a result has neither or both of `value` and `value_base64`",
                ));
            }
        };
        let about = answer.into_description()?;
        Ok(Secret::new(value).with_meta(|meta| {
            meta.reference = Some(reference.clone());
            meta.version = about.0.version;
            meta.created = about.0.created;
            meta.expires = about.0.expires;
            meta.lease = about.1;
            meta.renewable = about.2;
        }))
    }

    pub(crate) fn into_version(self) -> Result<Version> {
        let answer = self.checked()?;
        // Not every store numbers its values.
        version(answer.version.as_deref().unwrap_or("current"))
    }

    pub(crate) fn into_nothing(self) -> Result<()> {
        self.checked().map(drop)
    }

    pub(crate) fn into_details(self) -> Result<Description> {
        Ok(self.checked()?.into_description()?.0)
    }

    pub(crate) fn into_listed(self) -> Result<Listed> {
        let answer = self.checked()?;
        let place = |_| malformed("a listed place is no reference");
        let path = answer
            .path
            .as_deref()
            .ok_or_else(|| malformed("a listed entry has no `path`"))?;
        let mut reference = Reference::new(path).map_err(place)?;
        if let Some(field) = &answer.field {
            reference = reference.with_field(field).map_err(place)?;
        }
        let mut listed = Listed::new(reference);
        listed.version = answer.version.as_deref().map(version).transpose()?;
        listed.created = time("created", answer.created.as_deref())?;
        Ok(listed)
    }

    fn checked(mut self) -> Result<Self> {
        match self.error.take() {
            None => Ok(self),
            Some(failure) => Err(failure.into_error()),
        }
    }

    fn into_description(self) -> Result<(Description, Option<String>, bool)> {
        let mut description = Description::default();
        description.version = self.version.as_deref().map(version).transpose()?;
        description.created = time("created", self.created.as_deref())?;
        description.expires = time("expires", self.expires.as_deref())?;
        description.metadata = self.metadata;
        Ok((description, self.lease, self.renewable))
    }
}

impl Failure {
    pub(crate) fn into_error(self) -> Error {
        let Some(kind) = Kind::from_token(&self.kind) else {
            return malformed("it answered with an unknown kind of error");
        };
        let error = match self.code.filter(|code| is_code(code)) {
            Some(code) => Error::new(kind, format!("the plugin answered `{code}`")),
            None if kind == Kind::NotFound => Error::not_found(),
            None => Error::new(kind, "the plugin said so"),
        };
        match self.retry_after_ms {
            Some(wait) => error.with_retry_after(Duration::from_millis(wait)),
            None => error,
        }
    }
}

/// What a plugin may say in a message: a token such as `policy_refused`. SECURITY: narrow enough
/// that neither terminal escapes nor, by accident, most values fit in.
fn is_code(code: &str) -> bool {
    code.len() <= 40
        && code.starts_with(|first: char| first.is_ascii_lowercase())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The plugin broke the protocol.
pub(crate) fn malformed(what: &str) -> Error {
    Error::new(
        Kind::Invalid,
        format!("the plugin broke the plugin protocol: {what}"),
    )
    .with_hint("`docs/plugin-protocol.md` is the specification; this is a defect of the plugin")
}

fn version(text: &str) -> Result<Version> {
    Version::new(text).map_err(|_| malformed("a `version` is empty, too long or not printable"))
}

fn time(key: &str, text: Option<&str>) -> Result<Option<SystemTime>> {
    let Some(text) = text else { return Ok(None) };
    match parse_time(text) {
        Some(time) => Ok(Some(time)),
        None => Err(malformed(&format!("`{key}` is not an RFC 3339 time"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn answer(result: &Value) -> Answer {
        serde_json::from_value(result.clone()).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read_as_an_answer(value: Vec<u8>) {
            let (secret, options) = (Secret::new(value.clone()), SetOptions::default());
            let reference: Reference = "a/b#c".parse().unwrap();
            let written = line(&Item::place(&reference).writing(&secret, &options)).unwrap();
            prop_assert!(!written[..written.len() - 1].contains(&b'\n'));
            let result: Value = serde_json::from_slice(&written).unwrap();
            let read = answer(&result).into_secret(&reference).unwrap();
            prop_assert_eq!(read.expose(), value);
        }

        #[test]
        fn no_line_makes_the_parser_panic(bytes: Vec<u8>, text in "[\\[\\]{}:,\"a-z0-9]{0,60}") {
            for line in [&bytes[..], text.as_bytes()] {
                let _ = Hello::parse(line);
                let _ = serde_json::from_slice::<Response>(line).is_ok();
            }
        }
    }

    #[test]
    fn a_condition_is_written_as_the_specification_says() {
        let reference: Reference = "p".parse().unwrap();
        let secret = Secret::new("v");
        let expect = |expect| {
            let options = SetOptions::expecting(expect);
            let item = serde_json::to_value(Item::place(&reference).writing(&secret, &options));
            item.unwrap().get("expect").cloned()
        };
        assert_eq!(expect(Expect::Any), None);
        assert_eq!(expect(Expect::Absent), Some(json!({"absent": true})));
        let version = Expect::Version(Version::number(3));
        assert_eq!(expect(version), Some(json!({"version": "3"})));
    }

    #[test]
    fn malformed_answers_are_invalid_and_quote_nothing() {
        let reference: Reference = "p".parse().unwrap();
        for result in [
            json!({}),
            json!({"value": "canary", "value_base64": "AA=="}),
            json!({"value_base64": "canary!"}),
            json!({"value": "canary", "expires": "canary"}),
            json!({"value": "canary", "version": "canary\n"}),
            json!({"value": "canary", "error": {"kind": "canary"}}),
        ] {
            let error = answer(&result).into_secret(&reference).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{result}");
            assert!(!format!("{error:?}").contains("canary"), "{result}");
        }
        for listed in [
            json!({}),
            json!({"path": "../canary"}),
            json!({"path": "a", "field": ""}),
        ] {
            let error = answer(&listed).into_listed().unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{listed}");
        }
    }

    #[test]
    fn only_short_tokens_are_shown() {
        for (code, shown) in [
            ("policy_7", true),
            ("7up", false),
            ("Policy", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(is_code(code), shown, "{code}");
        }
        assert!(!is_code(&"a".repeat(41)));
    }
}
