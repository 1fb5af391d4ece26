//! Whether a dependency is in the graph more than once without a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use super::metadata::Metadata;
use crate::run::Failure;

/// The duplicates that `deny.toml` has no reason for, and the reasons that nothing needs.
pub(super) fn check(metadata: &Metadata, deny: &toml::Table) -> Findings {
    let mut skipped = skips(deny)?;
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata.others() {
        versions
            .entry(&package.name)
            .or_default()
            .insert(&package.version);
    }
    let mut wrong = Vec::new();
    for (name, found) in versions {
        let unexplained: Vec<&str> = found
            .into_iter()
            .filter(|version| !skipped.remove(&format!("{name}@{version}")))
            .collect();
        if unexplained.len() > 1 {
            wrong.push(format!("{name}: {}", unexplained.join(", ")));
        }
    }
    wrong.extend(
        skipped
            .into_iter()
            .map(|skip| format!("{skip} is not in the graph any more")),
    );
    Ok(wrong)
}

/// `[bans] skip = [{ crate = "NAME@VERSION", reason = "…" }]`, as cargo-deny reads it.
fn skips(deny: &toml::Table) -> Result<BTreeSet<String>, Failure> {
    let list = deny
        .get("bans")
        .and_then(|table| table.get("skip")?.as_array());
    list.into_iter()
        .flatten()
        .map(|entry| {
            let text = |key| {
                entry
                    .get(key)
                    .and_then(toml::Value::as_str)
                    .filter(|s| !s.is_empty())
            };
            match (text("crate"), text("reason")) {
                (Some(name), Some(_)) if name.contains('@') => Ok(name.to_owned()),
                _ => Err(Failure::new(format!(
                    "deny.toml: a skip needs `crate = \"NAME@VERSION\"` and a `reason`: {entry:?}"
                ))),
            }
        })
        .collect()
}
