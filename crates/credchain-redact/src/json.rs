//! The door for JSON values that are not text yet.

use serde_json::{Map, Value};

use crate::redactor::Redactor;

/// Redacts every text in a value: strings and the names of members; numbers that are a secret; and
/// lists of numbers that are the bytes of one.
///
/// # Examples
/// ```
/// use credchain_redact::{Options, Redactor, json};
///
/// let redactor = Redactor::new();
/// assert!(redactor.register("api_key", b"correct horse", Options::default()).is_masked());
/// let mut value = serde_json::json!({ "headers": ["Key correct horse"], "retries": 3 });
/// json::redact(&redactor, &mut value);
/// assert_eq!(value, serde_json::json!({ "headers": ["Key ***"], "retries": 3 }));
/// ```
pub fn redact(redactor: &Redactor, value: &mut Value) {
    // A list instead of recursion: a value can be nested deeper than the stack is.
    let mut todo = vec![value];
    while let Some(value) = todo.pop() {
        if let Some(redacted) = redact_bytes(redactor, value) {
            *value = redacted;
        }
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::String(text) => *text = redactor.redact_text(text),
            Value::Number(number) => {
                let text = number.to_string();
                let redacted = redactor.redact_text(&text);
                if redacted != text {
                    *value = Value::String(redacted);
                }
            }
            Value::Array(items) => todo.extend(items),
            Value::Object(members) => {
                redact_names(redactor, members);
                todo.extend(members.values_mut());
            }
        }
    }
}

fn redact_names(redactor: &Redactor, members: &mut Map<String, Value>) {
    let is_clean = |name: &String| redactor.redact_text(name) == *name;
    if members.keys().all(is_clean) {
        return;
    }
    for (name, value) in std::mem::take(members) {
        let redacted = redactor.redact_text(&name);
        // Two secrets may leave the same name; neither member must be lost.
        let mut unique = redacted.clone();
        let mut number = 2;
        while members.contains_key(&unique) {
            unique = format!("{redacted} ({number})");
            number += 1;
        }
        members.insert(unique, value);
    }
}

/// What a list of numbers becomes if it is the bytes of a text with a secret.
fn redact_bytes(redactor: &Redactor, value: &Value) -> Option<Value> {
    let byte = |item: &Value| u8::try_from(item.as_u64()?).ok();
    let bytes: Option<Vec<u8>> = value.as_array()?.iter().map(byte).collect();
    let bytes = zeroize::Zeroizing::new(bytes?);
    let redacted = redactor.redact(&bytes);
    let changed = redacted != *bytes;
    changed.then(|| Value::String(String::from_utf8_lossy(&redacted).into_owned()))
}
