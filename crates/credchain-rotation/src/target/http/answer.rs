//! What an answer means.

use credchain_core::{Error, Issued, Kind, Result, Secret};
use serde_json::Value;

use super::super::{id_of, moment, wrong};
use super::config::{Action, Pointers};
use super::exchange::Head;
use super::fill::Wiped;

/// What a status means that is not one of those that mean yes.
fn kind_of(action: Action, status: u16) -> Kind {
    match status {
        429 => Kind::Throttled,
        // Whoever gave up waiting for the request, or for somebody behind, may be asked again.
        408 | 425 | 500.. => Kind::Unavailable,
        401 => Kind::Unauthenticated,
        403 => Kind::Denied,
        409 => Kind::Conflict,
        400 | 413 | 422 if action == Action::Apply => Kind::Invalid,
        _ => Kind::Misconfigured,
    }
}

/// An answer that means no, or nothing.
pub(super) fn refusal(action: Action, head: &Head) -> Error {
    let (key, status) = (action.key(), head.status);
    let kind = kind_of(action, status);
    let error = Error::new(
        kind,
        format!("`{key}` was answered with HTTP status {status}"),
    );
    let error = match (kind, status) {
        (_, 300..400) => error.with_hint(
            "it points elsewhere, where no secret is sent: look at `base` and at the path",
        ),
        (Kind::Unauthenticated | Kind::Denied, _) => {
            error.with_hint("look at what `{admin}` stands for, and at its rights")
        }
        (Kind::Misconfigured, _) if action == Action::Verify => error.with_hint(
            "`verify.accept` and `verify.refuse` say which statuses mean yes and no; this one is \
             in neither",
        ),
        (Kind::Misconfigured, _) => {
            error.with_hint(format!("look at `{key}`: its method, path and body"))
        }
        _ => error,
    };
    match head.retry_after {
        Some(wait) if kind.is_transient() => error.with_retry_after(wait),
        _ => error,
    }
}

/// The id, which may be empty, and the value of a new key.
pub(super) fn issued_key(pointers: &Pointers, body: &[u8]) -> Result<(String, Secret)> {
    let answer = parse(Action::Issue, body)?;
    let at = |pointer: &Option<String>| answer.0.pointer(pointer.as_deref()?);
    let secret = at(&pointers.secret).and_then(Value::as_str);
    let Some(secret) = secret.filter(|secret| !secret.is_empty()) else {
        return Err(nothing_at(Action::Issue, "secret"));
    };
    let id = match &pointers.id {
        None => String::new(),
        Some(_) => at(&pointers.id)
            .and_then(id_of)
            .ok_or_else(|| nothing_at(Action::Issue, "id"))?,
    };
    Ok((id, Secret::new(secret.as_bytes().to_vec())))
}

/// The keys of a list.
pub(super) fn listed_keys(pointers: &Pointers, body: &[u8]) -> Result<Vec<Issued>> {
    let answer = parse(Action::Issued, body)?;
    let items = answer
        .0
        .pointer(pointers.items.as_deref().unwrap_or_default());
    let Some(Value::Array(items)) = items else {
        return Err(nothing_at(Action::Issued, "items"));
    };
    items
        .iter()
        .map(|item| listed_key(pointers, item))
        .collect()
}

fn listed_key(pointers: &Pointers, item: &Value) -> Result<Issued> {
    let at = |pointer: &Option<String>| {
        let found = item.pointer(pointer.as_deref()?);
        found.filter(|value| !value.is_null())
    };
    let missing = |name| nothing_at(Action::Issued, name);
    let mut key = Issued::new(
        at(&pointers.id)
            .and_then(id_of)
            .ok_or_else(|| missing("id"))?,
    );
    key.created = match at(&pointers.created) {
        None => None,
        Some(value) => Some(moment(value).ok_or_else(|| missing("created"))?),
    };
    key.enabled = match at(&pointers.enabled) {
        // Where the setting names something, its absence says nothing.
        None if pointers.enabled.is_some() => return Err(missing("enabled")),
        None => true,
        Some(value) => enabled(value).ok_or_else(|| missing("enabled"))?,
    };
    key.tag = at(&pointers.tag).and_then(Value::as_str).map(str::to_owned);
    Ok(key)
}

/// Yes and no, as APIs say them.
fn enabled(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(enabled) => Some(*enabled),
        Value::String(text) => match &*text.to_ascii_lowercase() {
            "true" | "active" | "enabled" => Some(true),
            "false" | "inactive" | "disabled" | "revoked" | "expired" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn parse(action: Action, body: &[u8]) -> Result<Wiped> {
    // The error of serde quotes what it read, so it is not passed on.
    serde_json::from_slice(body).map(Wiped).map_err(|_| {
        let key = action.key();
        wrong(format!("the answer to `{key}` is no JSON"))
            .with_hint("look at `base`, and at proxies on the way")
    })
}

fn nothing_at(action: Action, name: &str) -> Error {
    let key = action.key();
    wrong(format!(
        "the answer to `{key}` has nothing usable where `{key}.{name}` points"
    ))
    .with_hint("a JSON pointer such as `/data/id`; those of a list's items begin at the item")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn each_status_has_its_kind() {
        use Action::{Apply, Issue, Revoke, Verify};
        for (action, status, kind) in [
            (Verify, 204, Kind::Misconfigured),
            (Verify, 302, Kind::Misconfigured),
            (Verify, 400, Kind::Misconfigured),
            (Verify, 404, Kind::Misconfigured),
            (Verify, 408, Kind::Unavailable),
            (Verify, 429, Kind::Throttled),
            (Verify, 500, Kind::Unavailable),
            (Verify, 503, Kind::Unavailable),
            (Apply, 400, Kind::Invalid),
            (Apply, 401, Kind::Unauthenticated),
            (Apply, 403, Kind::Denied),
            (Apply, 404, Kind::Misconfigured),
            (Apply, 409, Kind::Conflict),
            (Apply, 413, Kind::Invalid),
            (Apply, 422, Kind::Invalid),
            (Issue, 400, Kind::Misconfigured),
            (Issue, 409, Kind::Conflict),
            (Revoke, 403, Kind::Denied),
        ] {
            assert_eq!(kind_of(action, status), kind, "{action:?} {status}");
        }
    }

    #[test]
    fn keys_are_where_the_pointers_say() {
        let at = |pointer: &str| Some(pointer.to_owned());
        let pointers = Pointers {
            id: at("/id"),
            secret: at("/data/0/a~1b"),
            items: at("/keys"),
            created: at("/made"),
            enabled: at("/status"),
            tag: at("/note"),
        };
        let body = br#"{"id": 7, "data": [{"a/b": "v"}]}"#;
        let (id, secret) = issued_key(&pointers, body).unwrap();
        assert_eq!((&*id, secret.expose()), ("7", &b"v"[..]));
        let body = br#"{"keys": [
            {"id": "a", "made": 1767323045, "status": "Inactive", "note": "t"},
            {"id": "b", "made": null, "status": true, "note": 5}
        ]}"#;
        let keys = listed_keys(&pointers, body).unwrap();
        let mut first = Issued::new("a");
        first.created = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045));
        first.enabled = false;
        first.tag = Some("t".into());
        assert_eq!(keys, [first, Issued::new("b")]);
        for body in [
            &b"<html>"[..],
            b"[]",
            br#"{"keys": {}}"#,
            br#"{"keys": [{"status": true}]}"#,
            br#"{"keys": [{"id": "a"}]}"#,
            br#"{"keys": [{"id": "a", "status": "maybe"}]}"#,
            br#"{"keys": [{"id": "a", "status": true, "made": "soon"}]}"#,
        ] {
            let kind = listed_keys(&pointers, body).unwrap_err().kind();
            assert_eq!(kind, Kind::Misconfigured);
            assert!(issued_key(&pointers, body).is_err());
        }
    }
}
