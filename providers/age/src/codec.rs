//! The text form of a [`Document`]: sorted, indented JSON, described in the README.
//!
//! Values never pass through memory that is not wiped: they are unescaped here, because a JSON
//! parser keeps scratch space of its own, and written into a buffer that wipes what it outgrows.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credchain_core::{Error, Kind, Reference, Result, Secret};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::document::{Document, Entry, Revision};
use crate::error::{Fault, invalid};
use crate::recipients::Recipient;

/// The version of the form that this code writes, and the newest that it reads.
const FORM: u64 = 1;

/// Reads a document.
pub(crate) fn decode(text: &[u8]) -> Result<Document> {
    let form: RawForm = serde_json::from_slice(text).map_err(|error| misplaced(&error))?;
    if form.version > FORM {
        return Err(Fault::Newer.plain());
    }
    let raw: RawDocument<'_> = serde_json::from_slice(text).map_err(|error| misplaced(&error))?;
    let recipients = raw
        .recipients
        .map(|list| list.into_iter().map(RawRecipient::check).collect())
        .transpose()?;
    let entries = raw
        .entries
        .into_iter()
        .map(|(path, entry)| {
            let named = Reference::new(&path).is_ok() && !path.starts_with('/');
            let entry = entry.check().filter(|_| named);
            entry
                .map(|entry| (path, entry))
                .ok_or_else(|| Fault::Undecodable.plain())
        })
        .collect::<Result<_>>()?;
    Ok(Document {
        recipients,
        retired: raw.retired,
        entries,
    })
}

/// Writes a document.
pub(crate) fn encode(document: &Document) -> Result<Zeroizing<Vec<u8>>> {
    let form = WrittenDocument {
        version: FORM,
        recipients: document.recipients.as_deref().map(|list| {
            list.iter()
                .map(|one| RawRecipient {
                    key: one.key().to_owned(),
                    label: one.label().map(str::to_owned),
                })
                .collect()
        }),
        retired: document.retired,
        entries: document
            .entries
            .iter()
            .map(|(path, entry)| (&**path, Written(entry)))
            .collect(),
    };
    let mut buffer = WipingBuffer(Zeroizing::new(Vec::with_capacity(4096)));
    serde_json::to_writer_pretty(&mut buffer, &form)
        .and_then(|()| io::Write::write_all(&mut buffer, b"\n").map_err(serde_json::Error::io))
        .map_err(|_| unwritable())?;
    Ok(buffer.0)
}

/// One field of a value that is a JSON object: a text as it is, anything else as JSON.
pub(crate) fn field(value: &Secret, name: &str) -> Result<Secret> {
    let object = object(value)?;
    let raw = object
        .get(name)
        .ok_or_else(|| Error::new(Kind::NotFound, "no such field"))?;
    let text = unescape(raw.get());
    Ok(text.map_or_else(|| Secret::new(raw.get()), into_secret))
}

/// The value, a JSON object or nothing yet, with one field set to a text.
pub(crate) fn with_field(value: Option<&Secret>, name: &str, text: &Secret) -> Result<Secret> {
    let text = text
        .expose_text()
        .ok_or_else(|| invalid("a field holds text only"))?;
    let others = value.map(object).transpose()?.unwrap_or_default();
    let mut buffer = WipingBuffer(Zeroizing::new(Vec::with_capacity(4096)));
    let mut serializer = serde_json::Serializer::new(&mut buffer);
    let written = serializer.serialize_map(None).and_then(|mut map| {
        for (key, raw) in others.iter().filter(|(key, _)| *key != name) {
            map.serialize_entry(key, raw)?;
        }
        map.serialize_entry(name, text)?;
        map.end()
    });
    written.map_err(|_| unwritable())?;
    Ok(into_secret(buffer.0))
}

fn object(value: &Secret) -> Result<BTreeMap<String, &RawValue>> {
    serde_json::from_slice(value.expose())
        .map_err(|_| invalid("the value has no fields: it is no JSON object"))
}

fn unwritable() -> Error {
    Error::new(Kind::Internal, "the document cannot be written")
}

/// Which form it is; everything else is looked at only if it is a known one.
#[derive(Deserialize)]
struct RawForm {
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDocument<'a> {
    #[serde(rename = "version")]
    _version: u64,
    recipients: Option<Vec<RawRecipient>>,
    #[serde(default)]
    retired: u64,
    #[serde(borrow)]
    entries: BTreeMap<String, RawEntry<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawRecipient {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    value_base64: Option<&'a RawValue>,
    version: Option<u64>,
    created: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    idempotency_key: Option<String>,
    #[serde(borrow, default)]
    previous: Vec<Self>,
}

impl RawRecipient {
    fn check(self) -> Result<Recipient> {
        self.key
            .parse::<Recipient>()?
            .with_label(self.label.as_deref().unwrap_or_default())
    }
}

impl RawEntry<'_> {
    fn check(mut self) -> Option<Entry> {
        let older = std::mem::take(&mut self.previous);
        let current = self.revision()?;
        let mut previous: Vec<Revision> = Vec::with_capacity(older.len());
        for entry in older {
            let newer = previous.last().map_or(current.number, |one| one.number);
            let flat = entry.previous.is_empty();
            previous.push(entry.revision().filter(|one| flat && one.number < newer)?);
        }
        Some(Entry { current, previous })
    }

    fn revision(self) -> Option<Revision> {
        let value = match (self.value, self.value_base64) {
            (Some(text), None) => unescape(text.get())?,
            (None, Some(text)) => {
                let encoded = unescape(text.get())?;
                let mut bytes = Vec::with_capacity(base64::decoded_len_estimate(encoded.len()));
                STANDARD.decode_vec(&*encoded, &mut bytes).ok()?;
                Zeroizing::new(bytes)
            }
            _ => return None,
        };
        let created = match self.created {
            Some(text) => Some(humantime::parse_rfc3339(&text).ok()?),
            None => None,
        };
        Some(Revision {
            number: self.version.unwrap_or(1),
            value: into_secret(value),
            created,
            metadata: self.metadata,
            idempotency_key: self.idempotency_key,
        })
    }
}

#[derive(Serialize)]
struct WrittenDocument<'a> {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipients: Option<Vec<RawRecipient>>,
    #[serde(skip_serializing_if = "is_zero")]
    retired: u64,
    entries: BTreeMap<&'a str, Written<'a, Entry>>,
}

struct Written<'a, T>(&'a T);

impl Serialize for Written<'_, Entry> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write_revision(&self.0.current, &mut map)?;
        if !self.0.previous.is_empty() {
            let previous: Vec<_> = self.0.previous.iter().map(Written).collect();
            map.serialize_entry("previous", &previous)?;
        }
        map.end()
    }
}

impl Serialize for Written<'_, Revision> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write_revision(self.0, &mut map)?;
        map.end()
    }
}

fn write_revision<M: serde::ser::SerializeMap>(
    revision: &Revision,
    map: &mut M,
) -> Result<(), M::Error> {
    let text = revision.value.expose_text();
    if let Some(text) = text.filter(|text| is_readable(text)) {
        map.serialize_entry("value", text)?;
    } else {
        let bytes = revision.value.expose();
        let length = base64::encoded_len(bytes.len(), true).unwrap_or_default();
        let mut encoded = Zeroizing::new(String::with_capacity(length));
        STANDARD.encode_string(bytes, &mut encoded);
        map.serialize_entry("value_base64", &**encoded)?;
    }
    map.serialize_entry("version", &revision.number)?;
    if let Some(created) = revision.created.filter(|time| is_datable(*time)) {
        map.serialize_entry(
            "created",
            &humantime::format_rfc3339_millis(created).to_string(),
        )?;
    }
    if !revision.metadata.is_empty() {
        map.serialize_entry("metadata", &revision.metadata)?;
    }
    if let Some(key) = &revision.idempotency_key {
        map.serialize_entry("idempotency_key", key)?;
    }
    Ok(())
}

/// Whether a person can read this text in a JSON string, so that it need not be base64.
fn is_readable(text: &str) -> bool {
    text.chars()
        .all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

/// Whether the time can be written as a date of four-digit year.
fn is_datable(time: SystemTime) -> bool {
    const YEAR_10000: Duration = Duration::from_hours(70_389_528);
    time.duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|since| since < YEAR_10000)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Hands the bytes over without a copy that nobody wipes.
fn into_secret(mut bytes: Zeroizing<Vec<u8>>) -> Secret {
    Secret::new(std::mem::take(&mut *bytes))
}

/// Decodes one JSON string, quotes included, straight into memory that is wiped.
fn unescape(raw: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut rest = raw.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = Zeroizing::new(Vec::with_capacity(rest.len()));
    while let Some(at) = rest.find('\\') {
        text.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = rest[at + 1..].chars().next()?;
        rest = &rest[at + 1 + escape.len_utf8()..];
        let plain = match escape {
            '"' | '\\' | '/' => escape,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => unescape_unicode(&mut rest)?,
            _ => return None,
        };
        text.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
    }
    text.extend_from_slice(rest.as_bytes());
    Some(text)
}

fn unescape_unicode(rest: &mut &str) -> Option<char> {
    let mut unit = || {
        let (hex, tail) = rest.split_at_checked(4)?;
        *rest = tail;
        u16::from_str_radix(hex, 16).ok()
    };
    let first = unit()?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first.into());
    }
    *rest = rest.strip_prefix("\\u")?;
    let mut unit = || {
        let (hex, tail) = rest.split_at_checked(4)?;
        *rest = tail;
        u16::from_str_radix(hex, 16).ok()
    };
    char::decode_utf16([first, unit()?]).next()?.ok()
}

/// What is wrong with the text, by place only: serde's own message quotes values.
fn misplaced(error: &serde_json::Error) -> Error {
    let place = format!(
        "line {}, column {} of the contents",
        error.line(),
        error.column()
    );
    let fault = Fault::Undecodable.plain();
    let message = format!("{} ({place})", fault.message());
    Error::new(fault.kind(), message).with_hint(fault.hint().unwrap_or_default().to_owned())
}

/// A growing buffer that wipes what it outgrows.
struct WipingBuffer(Zeroizing<Vec<u8>>);

impl io::Write for WipingBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(self.0.capacity() * 2)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use credchain_core::SetOptions;
    use proptest::prelude::*;

    use super::*;

    fn value_at(text: &str, path: &str) -> Vec<u8> {
        decode(text.as_bytes()).unwrap().entries[path]
            .current
            .value
            .expose()
            .to_vec()
    }

    proptest! {
        #[test]
        fn any_bytes_under_any_name_come_back(
            values in proptest::collection::btree_map(
                "[a-z]{1,8}/[^\\x00-\\x1f\\x7f-\\u{9f}./\\\\]{1,20}",
                proptest::collection::vec(any::<u8>(), 0..200),
                0..8,
            ),
            key in proptest::option::of(".{0,20}"),
            seconds in 0_u64..300_000_000_000,
        ) {
            let mut document = Document::default();
            let mut options = SetOptions::default();
            options.idempotency_key = key;
            let now = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            for (path, value) in &values {
                document.set(path, &Secret::new(&value[..]), &options, now, 2).unwrap();
                document.set(path, &Secret::new("second"), &SetOptions::default(), now, 2).unwrap();
            }
            let again = decode(&encode(&document).unwrap()).unwrap();
            prop_assert_eq!(again.entries.len(), values.len());
            for (path, value) in &values {
                let entry = &again.entries[path];
                prop_assert_eq!(entry.previous[0].value.expose(), &value[..]);
                prop_assert_eq!(&entry.previous[0].idempotency_key, &options.idempotency_key);
                prop_assert_eq!((entry.current.number, entry.previous[0].number), (2, 1));
                prop_assert_eq!(entry.current.created, now.filter(|now| is_datable(*now)));
            }
        }

        #[test]
        fn strings_are_unescaped_as_a_json_parser_does(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let unescaped = unescape(&json).unwrap();
            prop_assert_eq!(&unescaped[..], text.as_bytes());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[\\[\\]{}\":,\\\\a-z0-9]{0,200}") {
            let _ = decode(text.as_bytes());
            let _ = unescape(&text);
        }
    }

    #[test]
    fn escapes_that_other_tools_write_are_understood() {
        let text = r#"{"version": 1, "entries": {"a/b": {"value": "\u0041\ud83d\ude00\/\b"}}}"#;
        assert_eq!(value_at(text, "a/b"), "A\u{1f600}/\u{8}".as_bytes());
        let lone = r#"{"version": 1, "entries": {"a/b": {"value": "\ud83d"}}}"#;
        assert!(decode(lone.as_bytes()).is_err());
    }

    #[test]
    fn text_stays_readable_and_bytes_become_base64() {
        let mut document = Document::default();
        for (path, value) in [("d/text", &b"line\n\"two\""[..]), ("d/bytes", b"\0\xff")] {
            document
                .set(path, &Secret::new(value), &SetOptions::default(), None, 1)
                .unwrap();
        }
        let text = String::from_utf8(encode(&document).unwrap().to_vec()).unwrap();
        assert!(text.contains(r#""value": "line\n\"two\"""#), "{text}");
        assert!(text.contains(r#""value_base64": "AP8=""#), "{text}");
        assert!(text.find("d/bytes") < text.find("d/text"), "sorted");
    }

    #[test]
    fn mistakes_are_refused_without_repeating_a_value() {
        for text in [
            "",
            "canary",
            r#"{"version": 1}"#,
            r#"{"version": 1, "entries": {"a/b": {"value": 5, "note": "canary"}}}"#,
            r#"{"version": 1, "entries": {"a/b": {"value": "canary", "version": "canary"}}}"#,
            r#"{"version": 1, "entries": {"a/b": {"value": "canary", "value_base64": ""}}}"#,
            r#"{"version": 1, "entries": {"a/b": {"value_base64": "canary!"}}}"#,
            r#"{"version": 1, "entries": {"../b": {"value": "canary"}}}"#,
            r#"{"version": 1, "entries": {"/b": {"value": "canary"}}}"#,
            r#"{"version": 1, "entries": {"a\nb": {"value": "canary"}}}"#,
            r#"{"version": 1, "entries": {"a": {"value": "x", "previous": [{"value": "canary"}]}}}"#,
            r#"{"version": 1, "recipients": [{"key": "canary"}], "entries": {}}"#,
        ] {
            let error = decode(text.as_bytes()).err().expect(text);
            assert_eq!(error.kind(), Kind::Invalid, "{text}");
            assert!(!format!("{error:?}").contains("canary"), "{text}");
        }
    }

    #[test]
    fn fields_are_read_and_written() {
        let value = with_field(None, "user", &Secret::new("ann \"a\"")).unwrap();
        let value = with_field(Some(&value), "port", &Secret::new("5432")).unwrap();
        let value = with_field(Some(&value), "user", &Secret::new("bob\n")).unwrap();
        assert_eq!(field(&value, "user").unwrap().expose(), b"bob\n");
        assert_eq!(field(&value, "port").unwrap().expose(), b"5432");
        assert_eq!(
            field(&Secret::new(r#"{"a": [1]}"#), "a").unwrap().expose(),
            b"[1]"
        );
        assert_eq!(field(&value, "host").unwrap_err().kind(), Kind::NotFound);
        for plain in ["canary", "[1]", ""] {
            let error = field(&Secret::new(plain), "a").unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(with_field(Some(&Secret::new(plain)), "a", &Secret::new("x")).is_err());
        }
        assert!(with_field(None, "a", &Secret::new(b"\xff".to_vec())).is_err());
    }

    #[test]
    fn a_newer_form_is_told_apart_from_a_damaged_one() {
        let error = decode(br#"{"version": 2, "vaults": []}"#).err().unwrap();
        assert!(error.message().contains("newer"));
    }
}
