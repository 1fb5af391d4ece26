//! The secrets that providers themselves log in with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;

use super::Inner;
use crate::{Context, CredentialSource, Error, Kind, LinkName, Name, Result, Secret};

/// Filled in when the resolver is built: providers hold the source before that.
pub(super) type Late = Arc<OnceLock<Weak<Inner>>>;

/// Where one link's provider gets its own secrets from.
pub(super) struct Source {
    pub(super) link: LinkName,
    pub(super) resolver: Late,
}

#[async_trait]
impl CredentialSource for Source {
    async fn credential(&self, name: &Name, cx: &Context) -> Result<Secret> {
        let resolver = self.resolver.get().and_then(Weak::upgrade).ok_or_else(|| {
            Error::new(Kind::Internal, "the resolver is gone").for_credential(name)
        })?;
        let names = std::slice::from_ref(name);
        let mut all = resolver.resolve(names, Some(&self.link), cx).await;
        all.swap_remove(0).result
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

/// For each link, itself and every link that (through whatever it needs to log in) needs it.
/// Passing those over while its own secrets are resolved makes waiting in a circle impossible:
/// of two links that need each other, neither is asked on behalf of the other.
pub(super) fn blocked(
    uses: &BTreeMap<LinkName, BTreeSet<LinkName>>,
) -> BTreeMap<LinkName, BTreeSet<LinkName>> {
    uses.keys()
        .map(|link| {
            let needing = uses
                .keys()
                .filter(|other| reaches(uses, other, link))
                .cloned();
            (link.clone(), needing.chain([link.clone()]).collect())
        })
        .collect()
}

fn reaches(uses: &BTreeMap<LinkName, BTreeSet<LinkName>>, from: &LinkName, to: &LinkName) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(link) = open.pop() {
        for next in uses.get(link).into_iter().flatten() {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}
