//! Whether a dependency is in the graph more than once without a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use super::metadata::Metadata;
use crate::run::Failure;

/// The duplicates that `deny.toml` has no reason for, and the reasons that nothing needs.
pub(super) fn check(metadata: &Metadata, deny: &toml::Table) -> Findings {
    let skips = skips(deny)?;
    let mut needed = BTreeSet::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata.others() {
        versions
            .entry(&package.name)
            .or_default()
            .insert(&package.version);
    }
    let mut wrong = Vec::new();
    for (name, found) in versions {
        let (explained, rest): (Vec<_>, Vec<_>) = found
            .into_iter()
            .map(|version| {
                (
                    version,
                    skips.iter().find(|skip| skip.matches(name, version)),
                )
            })
            .partition(|(_, skip)| skip.is_some());
        if rest.len() > 1 {
            let versions: Vec<&str> = rest.iter().map(|(version, _)| *version).collect();
            wrong.push(format!("{name}: {}", versions.join(", ")));
        }
        // Beside another version only: alone it needs no reason.
        if explained.len() + rest.len() > 1 {
            needed.extend(explained.into_iter().filter_map(|(_, skip)| skip));
        }
    }
    let stale = skips.iter().filter(|skip| !needed.contains(skip));
    wrong.extend(
        stale.map(|skip| format!("{}@{} is no duplicate any more", skip.name, skip.version)),
    );
    Ok(wrong)
}

/// A version of a package that may be there beside another one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Skip {
    name: String,
    /// A version or the beginning of one: `0.10` stands for `0.10.4`.
    version: String,
}

impl Skip {
    fn matches(&self, name: &str, version: &str) -> bool {
        let rest = version.strip_prefix(&self.version);
        self.name == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// `[bans] skip = [{ crate = "NAME@VERSION", reason = "…" }]`, as cargo-deny reads it.
fn skips(deny: &toml::Table) -> Result<Vec<Skip>, Failure> {
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
                (Some(spec), Some(_)) if let Some((name, version)) = spec.split_once('@') => {
                    Ok(Skip {
                        name: name.to_owned(),
                        version: version.to_owned(),
                    })
                }
                _ => Err(Failure::new(format!(
                    "deny.toml: a skip needs `crate = \"NAME@VERSION\"` and a `reason`: {entry:?}"
                ))),
            }
        })
        .collect()
}
