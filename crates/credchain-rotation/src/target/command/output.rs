//! What programs print: a new key, and a list of keys.

use std::borrow::Cow;

use credchain_core::{Error, Issued, Kind, Result};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::{id_of, moment, wrong};

/// The id, which may be empty, and the value of a key that was printed.
pub(super) fn issued_key(printed: &[u8]) -> Result<(String, Zeroizing<Vec<u8>>)> {
    #[derive(Deserialize)]
    // A value may be a JSON object itself: with other members it is not this one.
    #[serde(deny_unknown_fields)]
    struct Key<'a> {
        #[serde(default)]
        id: Value,
        #[serde(borrow)]
        secret: Cow<'a, str>,
    }
    let (id, secret) = if let Ok(key) = serde_json::from_slice::<Key<'_>>(printed) {
        let secret = Zeroizing::new(key.secret.into_owned().into_bytes());
        (id_of(&key.id).unwrap_or_default(), secret)
    } else {
        let value = printed.strip_suffix(b"\n").unwrap_or(printed);
        (String::new(), Zeroizing::new(value.to_vec()))
    };
    if secret.is_empty() {
        return Err(wrong("the program of `issue` printed no value").with_hint(
            "it prints the value, or `{\"id\": \"…\", \"secret\": \"…\"}`, to its standard output",
        ));
    }
    Ok((id, secret))
}

/// The keys of a list, one JSON object a line.
pub(super) fn listed_keys(printed: &[u8]) -> Result<Vec<Issued>> {
    let lines = (1..).zip(printed.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    lines
        .map(|(number, line)| listed_key(number, line))
        .collect()
}

fn listed_key(number: usize, line: &[u8]) -> Result<Issued> {
    let unreadable = |what: &str| {
        let message = format!("line {number} of what the program of `issued` prints {what}");
        Error::new(Kind::Misconfigured, message)
            .with_hint("`{\"id\": \"…\", \"created\": \"…\", \"enabled\": true, \"tag\": \"…\"}`")
    };
    let line: Value = serde_json::from_slice(line).map_err(|_| unreadable("is no JSON object"))?;
    let id = line.get("id").and_then(id_of);
    let mut key = Issued::new(id.ok_or_else(|| unreadable("has no `id`"))?);
    let time = |name: &str| match line.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => moment(value)
            .map(Some)
            .ok_or_else(|| unreadable("has a date that is none")),
    };
    key.created = time("created")?;
    key.used = time("used")?;
    key.enabled = match line.get("enabled") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(enabled)) => *enabled,
        Some(_) => {
            return Err(unreadable(
                "has an `enabled` that is neither true nor false",
            ));
        }
    };
    key.tag = line.get("tag").and_then(Value::as_str).map(str::to_owned);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_value_or_an_object() {
        let object = br#"{"type": "service_account", "secret": "x"}"#;
        for (printed, id, secret) in [
            (&b"v\n"[..], "", &b"v"[..]),
            (b"v", "", b"v"),
            (b"v\n\n", "", b"v\n"),
            (b"\xff\n", "", b"\xff"),
            (br#"{"id": "k1", "secret": "v\n"}"#, "k1", b"v\n"),
            (b"{\"id\": 7, \"secret\": \"v\"}\n", "7", b"v"),
            (br#"{"secret": "v"}"#, "", b"v"),
            (object, "", object),
        ] {
            let (found, value) = issued_key(printed).unwrap();
            assert_eq!((&*found, &**value), (id, secret));
        }
        for nothing in [&b""[..], b"\n", br#"{"id": "k", "secret": ""}"#] {
            assert_eq!(issued_key(nothing).unwrap_err().kind(), Kind::Misconfigured);
        }
    }

    #[test]
    fn a_list_has_one_object_a_line() {
        let printed =
            br#"{"id": "a", "created": "2026-01-02T03:04:05Z", "enabled": false, "tag": "t"}

            {"id": 2}
        "#;
        let keys = listed_keys(printed).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!((&*keys[0].id, keys[0].enabled), ("a", false));
        assert_eq!(keys[0].tag.as_deref(), Some("t"));
        assert!(keys[0].created.is_some());
        assert_eq!(keys[1], Issued::new("2"));
        for bad in [
            &b"x"[..],
            b"[]",
            b"{}",
            br#"{"id": ""}"#,
            br#"{"id": "a", "created": "soon"}"#,
            br#"{"id": "a", "enabled": "yes"}"#,
        ] {
            assert_eq!(listed_keys(bad).unwrap_err().kind(), Kind::Misconfigured);
        }
    }
}
