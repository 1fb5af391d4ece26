//! A token that another program left in a file in clear, as scripts do: `access_token`, and
//! `expires_at` in seconds since 1970 or as a date in UTC.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use credchain_core::Secret;
use credchain_core::files::{foreign_owner, open};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::answer::Granted;
use crate::date;
use crate::life::Moment;

/// More than any token has.
const MAX_FILE: u64 = 64 << 10;

#[derive(Deserialize)]
struct Found {
    access_token: Zeroizing<String>,
    #[serde(alias = "expiry")]
    expires_at: Value,
}

/// The token of a file, as if it had been granted now; nothing if there is none that has not ended.
pub(crate) fn read(path: &Path, now: Moment) -> Option<Granted> {
    let file = open(path).ok()?;
    if foreign_owner(file.metadata()).is_some() {
        return None;
    }
    let text = Zeroizing::new(file.read(MAX_FILE).ok()?);
    let found: Found = serde_json::from_slice(&text).ok()?;
    let visible = found
        .access_token
        .bytes()
        .all(|byte| byte.is_ascii_graphic());
    let life = end(&found.expires_at)?.duration_since(now.wall).ok()?;
    (visible && !found.access_token.is_empty()).then(|| Granted {
        token: Secret::new(found.access_token.as_bytes()),
        life: Some(life),
        refresh: None,
        scopes: None,
        asked: now,
    })
}

fn end(value: &Value) -> Option<SystemTime> {
    let since = match value {
        Value::Number(number) => Duration::try_from_secs_f64(number.as_f64()?).ok()?,
        Value::String(text) => return date::parse_iso(text),
        _ => return None,
    };
    UNIX_EPOCH.checked_add(since)
}
