//! Where texts come from.

pub(crate) mod blobs;
pub(crate) mod files;
pub(crate) mod git;
pub(crate) mod log;

use std::sync::Arc;

/// The name of an object in git, in hexadecimal.
pub(crate) type Oid = Arc<str>;

/// Where a text is from.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// As a person would type it.
    pub(crate) path: Arc<str>,
    /// From the root of the repository, with `/`.
    pub(crate) path_from_root: Arc<str>,
    pub(crate) blob: Option<Oid>,
}

impl Place {
    /// A place that has only a name.
    pub(crate) fn named(name: &Arc<str>) -> Self {
        Self {
            path: name.clone(),
            path_from_root: name.clone(),
            blob: None,
        }
    }
}
