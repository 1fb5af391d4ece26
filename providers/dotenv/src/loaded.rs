//! One file, parsed once and kept until it changes.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime};

use credchain_core::files::Regular;
use credchain_core::{Context, Environment, Result, Secret};
use zeroize::Zeroizing;

use crate::error::{FILE_LIMIT, refused};
use crate::parse::{Warning, parse};

/// How long after its last change a file may change again without its time showing it. Linux
/// stamps files at the ticks of a clock, the slowest of which are 10 ms apart.
const UNSETTLED: Duration = Duration::from_millis(20);

/// What a file says.
#[derive(Debug)]
pub(crate) struct Loaded {
    values: HashMap<String, Secret>,
    pub(crate) warnings: Vec<Warning>,
    stamp: Stamp,
    /// Whether a later change is sure to change the stamp.
    settled: bool,
    /// The variables that the file's values were made with.
    variables: BTreeMap<String, Option<Secret>>,
}

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, inode and the time of the last change of any kind.
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
}

impl Loaded {
    /// Reads and parses an opened file.
    pub(crate) fn new(regular: Regular, path: &Path, cx: &Context) -> Result<Self> {
        let stamp = Stamp::of(regular.metadata());
        let now = cx.clock().now();
        let changed = stamp
            .modified
            .and_then(|modified| now.duration_since(modified).ok());
        let bytes = regular
            .read(FILE_LIMIT)
            .map_err(|reason| refused(reason, path))?;
        let bytes = Zeroizing::new(bytes);
        let variables = RefCell::new(BTreeMap::new());
        let lookup = |name: &str| {
            let mut known = variables.borrow_mut();
            if !known.contains_key(name) {
                known.insert(name.to_owned(), variable(cx.env(), name));
            }
            known[name]
                .as_ref()
                .map(|secret: &Secret| secret.expose().to_vec())
        };
        let parsed = parse(&bytes, &lookup).map_err(|error| in_file(&error, path))?;
        let with_value = |entry: crate::Entry| Some((entry.key, entry.value?));
        Ok(Self {
            values: parsed.entries.into_iter().filter_map(with_value).collect(),
            warnings: parsed
                .warnings
                .into_iter()
                .map(|w| w.in_file(path))
                .collect(),
            stamp,
            settled: changed.is_some_and(|age| age >= UNSETTLED),
            variables: variables.into_inner(),
        })
    }

    /// Whether reading the file again would give the same.
    pub(crate) fn is_current(&self, stamp: &Stamp, env: &Environment) -> bool {
        self.settled
            && self.stamp == *stamp
            && self
                .variables
                .iter()
                .all(|(name, then)| match (then, variable(env, name)) {
                    (Some(then), Some(now)) => then.same_value(&now),
                    (then, now) => then.is_none() && now.is_none(),
                })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Secret> {
        self.values.get(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            identity: (
                metadata.dev(),
                metadata.ino(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ),
        }
    }
}

fn variable(env: &Environment, name: &str) -> Option<Secret> {
    let value = env.get(name)?;
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStringExt::into_vec(value);
    #[cfg(not(unix))]
    let bytes = value.into_string().ok()?.into_bytes();
    Some(Secret::new(bytes))
}

fn in_file(error: &credchain_core::Error, path: &Path) -> credchain_core::Error {
    let message = format!("`{}`: {}", path.display(), error.message());
    let located = credchain_core::Error::new(error.kind(), message);
    match error.hint() {
        Some(hint) => located.with_hint(hint.to_owned()),
        None => located,
    }
}
