//! What rotation can change at the server itself: passwords, secret ids, static roles.

mod approle;
mod database;
mod userpass;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use credchain_core::{Context, Error, Kind, Result, Rotatable, Secret, Settings, Target, Verdict};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::client::Call;
use crate::config::trimmed;
use crate::error::{Ask, garbled};
use crate::login::Server;
use crate::provider::Vault;

/// How long giving back a token may take, whatever the caller's patience is by then.
const GIVING_BACK: Duration = Duration::from_secs(10);

impl Rotatable for Vault {
    fn target(&self, type_name: &str, settings: &Settings) -> Result<Arc<dyn Target>> {
        let server = self.server().clone();
        Ok(match type_name {
            "vault_userpass" => Arc::new(userpass::Userpass::new(server, settings)?),
            "vault_approle" => Arc::new(approle::AppRole::new(server, settings)?),
            "vault_database" => Arc::new(database::Database::new(server, settings)?),
            _ => return Err(Error::unsupported("a target of this type")),
        })
    }
}

/// Where an engine or a login is mounted.
fn mount(settings: &Settings, default: &str) -> Result<String> {
    trimmed("mount", settings.text("mount")?.unwrap_or(default))
}

/// The name of a user or role that the target is about.
fn named(settings: &Settings, key: &'static str) -> Result<String> {
    let name = settings.text(key)?.unwrap_or_default();
    if is_name(name) {
        Ok(name.to_owned())
    } else {
        let message = format!("setting `{key}` must be a name at the server");
        Err(Error::new(Kind::Misconfigured, message))
    }
}

/// Whether it is one part of a path, and stays that on the way.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/') && !name.contains(char::is_control)
}

/// A value to be sent; nothing else than text can be.
fn text(secret: &Secret) -> Result<&str> {
    secret
        .expose_text()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Error::new(Kind::Invalid, "the value is no text, and Vault takes texts"))
}

/// Tries a login, and gives back the token that comes of it.
///
/// `refusals` are what servers say of a login that is wrong, in small letters. The status says the same of other
/// mistakes, and a refusal is evidence on which an old value is thrown away: so here the words
/// count. Other words are an error, which stops a rotation and does no harm.
async fn probe(
    server: &Arc<Server>,
    path: &str,
    body: &str,
    refusals: &[&str],
    cx: &Context,
) -> Result<Verdict> {
    let call = Call::new("POST", path).body(body);
    let reply = server.client.send(call, cx).await?;
    if reply.status == 400 && refusals.iter().any(|words| reply.says(words)) {
        return Ok(Verdict::Refused);
    }
    let envelope = reply.accepted(Ask::Probe)?;
    let login = envelope
        .auth
        .ok_or_else(|| garbled("the login gave no token"))?;
    if login.client_token.is_empty() {
        let message = "the login needs a second factor, which nobody gives here";
        return Err(Error::new(Kind::Unsupported, message));
    }
    let token = Secret::from(login.client_token.to_owned());
    let own = cx.clone().without_deadline().with_timeout(GIVING_BACK);
    if let Err(error) = server.give_up(&token, &own).await {
        // The login worked all the same. A token without a right to end itself ends with its life.
        tracing::warn!(kind = %error.kind(), "the token of a trial login was not revoked");
    }
    Ok(Verdict::Accepted)
}

/// What is missing of these rights, each a path and a capability, by the server's own word.
async fn check_rights(server: &Arc<Server>, needed: &[(&str, &str)], cx: &Context) -> Result<()> {
    let paths: Vec<&str> = needed.iter().map(|(path, _)| *path).collect();
    let body = serde_json::json!({ "paths": paths }).to_string();
    let call = Call::new("POST", "sys/capabilities-self").body(&body);
    let reply = server.send(call, cx).await?;
    let envelope = match reply.accepted(Ask::Read) {
        Err(error) if error.kind() == Kind::Denied => {
            tracing::debug!("the token may not ask what it may do");
            return Ok(());
        }
        answer => answer?,
    };
    let data = envelope.data.map_or("{}", |data| data.get());
    let granted: BTreeMap<String, Vec<String>> =
        serde_json::from_str(data).map_err(|_| garbled("the rights are told in another way"))?;
    for (path, capability) in needed {
        let given = granted.get(*path).map(Vec::as_slice).unwrap_or_default();
        let has = |word: &str| given.iter().any(|given| given == word);
        if !has("root") && !has(capability) {
            let message = format!("policy does not allow `{capability}` on `{path}`");
            return Err(Error::new(Kind::Denied, message).with_hint(format!(
                "`vault token capabilities {path}` shows what the token may do"
            )));
        }
    }
    Ok(())
}

/// A request that changes something.
async fn change(server: &Arc<Server>, path: &str, body: &str, cx: &Context) -> Result<()> {
    let call = Call::new("POST", path).body(body);
    let reply = server.send(call, cx).await?;
    reply
        .accepted(Ask::Write)
        .map(drop)
        .map_err(|error| lacking(error, path))
}

/// What to ask for, where policy refuses.
fn lacking(error: Error, path: &str) -> Error {
    if error.kind() == Kind::Denied {
        error.with_hint(format!(
            "`vault token capabilities {path}` shows what the token may do"
        ))
    } else {
        error
    }
}

/// A JSON object with one text, wiped after use.
fn object(key: &str, value: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{{\"{key}\":{}}}", *crate::document::quoted(value)))
}

/// A moment as the server writes it, in its own time zone.
fn moment(text: &str) -> Option<SystemTime> {
    let Some(at) = text.rfind(['+', '-']).filter(|at| *at > 10) else {
        return humantime::parse_rfc3339(text).ok();
    };
    let (local, offset) = text.split_at(at);
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let minutes = hours.parse::<u64>().ok()?.checked_mul(60)? + minutes.parse::<u64>().ok()?;
    let by = Duration::from_secs(minutes.checked_mul(60)?);
    if offset.starts_with('+') {
        local.checked_sub(by)
    } else {
        local.checked_add(by)
    }
}

/// The time in an answer; none for what never was, which is the year 1.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Option<String>")]
struct Moment(Option<SystemTime>);

impl From<Option<String>> for Moment {
    fn from(text: Option<String>) -> Self {
        Self(text.as_deref().and_then(moment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_in_every_time_zone() {
        let utc = moment("2026-11-26T16:08:46.5Z").unwrap();
        for text in [
            "2026-11-26T18:08:46.5+02:00",
            "2026-11-26T10:38:46.5-05:30",
            "2026-11-26T16:08:46.5+00:00",
        ] {
            assert_eq!(moment(text), Some(utc), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "0001-01-01T00:00:00Z",
            "2026-11-26T18:08:46+x",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        for odd in ["", ".", "..", "a/b", "a\nb"] {
            assert!(!is_name(odd), "{odd:?}");
        }
        assert!(is_name("etl-user@example.com"));
    }
}
