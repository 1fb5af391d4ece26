//! How much an application takes on with the library and its default features.

use std::collections::BTreeSet;

use super::Findings;
use crate::run::{Outcome, cargo, output};

/// The most packages that `credchain` may bring along, build tools and macros included.
pub(crate) const MOST_DEPENDENCIES: usize = 60;

/// Whether the budget is kept.
pub(super) fn check() -> Findings {
    let all = dependencies()?;
    if all.len() <= MOST_DEPENDENCIES {
        return Ok(Vec::new());
    }
    let names = all
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    Ok(vec![format!(
        "{} dependencies, at most {MOST_DEPENDENCIES}: {names}",
        all.len()
    )])
}

/// The packages of others that an application compiles for `credchain` alone.
pub(crate) fn dependencies() -> Outcome<BTreeSet<String>> {
    let tree = output(&mut cargo(&[
        "tree",
        "--package=credchain",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ]))?;
    Ok(tree
        .lines()
        // A package of this repository is shown with its folder.
        .filter(|line| !line.is_empty() && !line.contains("(/") && !line.contains(":\\"))
        .map(|line| {
            line.trim_end_matches(" (*)")
                .trim_end_matches(" (proc-macro)")
                .to_owned()
        })
        .collect())
}
