//! What Secret Manager is asked, and what it answers.

mod history;
mod read;
mod write;

use credchain_core::Result;
use serde::Deserialize;

pub(crate) use self::history::{destroy, disable, stage, versions};
pub(crate) use self::read::{describe, get, list};
pub(crate) use self::write::{delete, set};
use crate::error::{Action, Failed, Failure};
use crate::session::{Ask, Call};

/// The largest value, in bytes.
pub(crate) const MAX_VALUE: usize = 64 << 10;

/// How many entries of a list are in one answer.
const PAGE: &str = "1000";

const ADMIN: &str = "roles/secretmanager.admin";
const VIEWER: &str = "roles/secretmanager.viewer";
const VERSION_MANAGER: &str = "roles/secretmanager.secretVersionManager";

const ACCESS: Action = Action::new(
    "secretmanager.versions.access",
    "roles/secretmanager.secretAccessor",
);
const ADD: Action = Action::new(
    "secretmanager.versions.add",
    "roles/secretmanager.secretVersionAdder",
);
const CREATE: Action = Action::new("secretmanager.secrets.create", ADMIN);
const DELETE: Action = Action::new("secretmanager.secrets.delete", ADMIN);
const UPDATE: Action = Action::new("secretmanager.secrets.update", ADMIN);
const LIST: Action = Action::new("secretmanager.secrets.list", VIEWER);
const SECRET: Action = Action::new("secretmanager.secrets.get", VIEWER);
const VERSION: Action = Action::new("secretmanager.versions.get", VIEWER);
const VERSIONS: Action = Action::new("secretmanager.versions.list", VIEWER);
const DISABLE: Action = Action::new("secretmanager.versions.disable", VERSION_MANAGER);
const DESTROY: Action = Action::new("secretmanager.versions.destroy", VERSION_MANAGER);

/// One version of a secret, without its value.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionEntry {
    name: String,
    #[serde(default)]
    create_time: Option<String>,
    #[serde(default)]
    state: Option<String>,
}

/// One page of a list.
trait Page {
    type Entry;

    /// What is on this page, and the token that asks for the next one.
    fn split(self) -> (Vec<Self::Entry>, Option<String>);
}

/// Reads a list to its end.
async fn pages<P>(ask: Ask<'_>, action: Action, path: &str) -> Result<Vec<P::Entry>>
where
    P: Page + for<'de> Deserialize<'de>,
{
    let mut entries = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mut call = Call::get(action, path.to_owned()).query("pageSize", PAGE);
        if let Some(token) = &next {
            call = call.query("pageToken", token.clone());
        }
        let answer = ask.send(&call).await.map_err(Failed::into_error)?;
        let page: P = answer
            .parse()
            .map_err(|failure| Failed::new(action, failure).into_error())?;
        let (more, token) = page.split();
        entries.extend(more);
        match token.filter(|token| !token.is_empty()) {
            None => return Ok(entries),
            // A server that sends us round in circles would never end.
            Some(token) if next.as_ref() == Some(&token) => {
                return Err(Failed::new(action, Failure::Unreadable).into_error());
            }
            Some(token) => next = Some(token),
        }
    }
}

/// The last part of a resource's name: a secret's name, or a version's number.
fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}
