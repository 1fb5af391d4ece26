//! Versions, and the aliases on them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use credchain_core::{Error, Kind, Result, Version, VersionState};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::read::time;
use super::{
    DESTROY, DISABLE, Page, SECRET, UPDATE, VERSION, VERSIONS, VersionEntry, last_part, pages,
};
use crate::address::{LATEST, Place, Selector, check_alias, numbered};
use crate::error::{Action, Failed};
use crate::session::{Ask, Call};

/// How often a change of aliases is tried while others change them too.
const ATTEMPTS: usize = 3;

/// All versions, newest first, those that cannot be read any more included.
pub(crate) async fn versions(ask: Ask<'_>, place: &Place) -> Result<Vec<VersionState>> {
    let path = format!("{place}/versions");
    let listed = pages::<Versions>(ask, VERSIONS, &path);
    let (listed, aliases) = futures_util::future::join(listed, aliases(ask, place)).await;
    let (mut listed, aliases) = (listed?, aliases.map_err(Failed::into_error)?.aliases);
    listed.sort_by_key(|entry| Reverse(number(entry)));
    let mut states: Vec<_> = listed
        .iter()
        .filter_map(|entry| state(entry, &aliases))
        .collect();
    if let Some(newest) = states.first_mut() {
        newest.labels.insert(0, LATEST.to_owned());
    }
    Ok(states)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    #[serde(default)]
    versions: Vec<VersionEntry>,
    #[serde(default)]
    next_page_token: Option<String>,
}

impl Page for Versions {
    type Entry = VersionEntry;

    fn split(self) -> (Vec<VersionEntry>, Option<String>) {
        (self.versions, self.next_page_token)
    }
}

fn number(entry: &VersionEntry) -> u64 {
    last_part(&entry.name).parse().unwrap_or(0)
}

fn state(entry: &VersionEntry, aliases: &BTreeMap<String, String>) -> Option<VersionState> {
    let name = last_part(&entry.name);
    let mut state = VersionState::new(Version::new(name).ok()?);
    state.created = time(entry.create_time.as_deref());
    state.enabled = entry.state.as_deref() == Some("ENABLED");
    let held = aliases.iter().filter(|(_, number)| *number == name);
    state.labels = held.map(|(alias, _)| alias.clone()).collect();
    Some(state)
}

/// The aliases of a secret's versions, and the mark of this state of the secret.
#[derive(Deserialize)]
struct Aliases {
    #[serde(rename = "versionAliases", default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    etag: Option<String>,
}

async fn aliases(ask: Ask<'_>, place: &Place) -> Result<Aliases, Failed> {
    let answer = ask.send(&Call::get(SECRET, place.to_string())).await?;
    answer
        .parse()
        .map_err(|failure| Failed::new(SECRET, failure))
}

/// Moves an alias to a version, from wherever it is.
pub(crate) async fn stage(
    ask: Ask<'_>,
    place: &Place,
    version: &Version,
    label: &str,
) -> Result<()> {
    check_alias(label)?;
    let number = numbered(version)?;
    // Google does not say of a number whether there is such a version.
    let path = format!("{place}/versions/{number}");
    let there = ask.send(&Call::get(VERSION, path)).await;
    there.map_err(Failed::into_error)?;
    for _ in 0..ATTEMPTS {
        match move_alias(ask, place, number, label).await {
            Err(failed) if failed.kind() == Kind::Conflict => {}
            moved => return moved.map_err(Failed::into_error),
        }
    }
    Err(Error::new(
        Kind::Conflict,
        "somebody else changes the aliases of the secret at the same time",
    ))
}

/// The table of aliases is replaced as a whole: the mark keeps others' changes.
async fn move_alias(ask: Ask<'_>, place: &Place, number: &str, label: &str) -> Result<(), Failed> {
    let Aliases { mut aliases, etag } = aliases(ask, place).await?;
    if aliases.get(label).is_some_and(|held| held == number) {
        return Ok(());
    }
    aliases.insert(label.to_owned(), number.to_owned());
    let body = json!({"name": place.to_string(), "etag": etag, "versionAliases": aliases});
    let call = Call::new(UPDATE, Method::PATCH, place.to_string())
        .query("updateMask", "versionAliases")
        .body(Zeroizing::new(body.to_string()));
    ask.send(&call).await.map(drop)
}

/// Makes a version unreadable until it is enabled again.
pub(crate) async fn disable(ask: Ask<'_>, place: &Place, version: &Version) -> Result<()> {
    change(ask, DISABLE, place, version, "disable").await
}

/// Removes a version's value for good.
pub(crate) async fn destroy(ask: Ask<'_>, place: &Place, version: &Version) -> Result<()> {
    change(ask, DESTROY, place, version, "destroy").await
}

async fn change(
    ask: Ask<'_>,
    action: Action,
    place: &Place,
    version: &Version,
    verb: &str,
) -> Result<()> {
    let version = Selector::of(Some(version))?;
    let path = format!("{place}/versions/{}:{verb}", version.as_str());
    let call = Call::post(action, path, Zeroizing::new("{}".to_owned()));
    match ask.send(&call).await {
        Ok(_) => Ok(()),
        Err(failed) if failed.has_code("FAILED_PRECONDITION") => Err(Error::new(
            Kind::NotFound,
            "the version was destroyed already",
        )),
        Err(failed) => Err(failed.into_error()),
    }
}
