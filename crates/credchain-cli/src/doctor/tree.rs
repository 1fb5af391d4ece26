//! The files of a project, and what is in the small ones.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use credchain::files::{Links, open_with, read_to_limit};
use zeroize::Zeroizing;

/// Where a walk ends; it says so.
const MOST: usize = 500_000;

/// What makes a directory somebody else's: a repository of its own, a cache, packages.
const FOREIGN: [&str; 3] = [".git", "CACHEDIR.TAG", "pyvenv.cfg"];

/// Directories of packages that have no mark.
const PACKAGES: [&str; 2] = [".git", "node_modules"];

/// Every file and link below a directory. No link is followed, and no other file system entered:
/// reading what is in one may wait for ever.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    cut: bool,
}

impl Tree {
    /// Walks down; what cannot be read holds nothing that git could commit.
    pub(crate) fn below(root: &Path, depth: usize) -> Self {
        let mut tree = Self::default();
        let device = device(root);
        let mut open = vec![(root.to_owned(), 0)];
        while let Some((directory, level)) = open.pop() {
            let Ok(entries) = fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                let path = entry.path();
                if !kind.is_dir() {
                    tree.files.push(path);
                } else if level + 1 < depth && self::device(&path) == device && !is_foreign(&path) {
                    tree.directories.push(path.clone());
                    open.push((path, level + 1));
                }
            }
            if tree.files.len() + tree.directories.len() > MOST {
                tree.cut = true;
                break;
            }
        }
        tree.files.sort_unstable();
        tree
    }

    /// The files, in the order of their paths.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// The directories that were walked, without the first one.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// A word on what was left out.
    pub(crate) fn caveat(&self) -> Option<String> {
        self.cut
            .then(|| format!("not everything was looked at: there are more than {MOST} files"))
    }
}

/// The number of the file system that a path is on.
#[cfg(unix)]
fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Some(path.symlink_metadata().ok()?.dev())
}

/// File systems have no number here.
#[cfg(not(unix))]
fn device(_: &Path) -> Option<u64> {
    None
}

fn is_foreign(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| PACKAGES.contains(&name))
        || FOREIGN.iter().any(|mark| directory.join(mark).exists())
}

/// What a regular file says, if it is there, may be read and is no larger than `limit`.
pub(crate) fn read(path: &Path, links: Links, limit: u64) -> Option<Zeroizing<Vec<u8>>> {
    let mut file = open_with(path, OpenOptions::new().read(true), links).ok()?;
    let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let bytes = read_to_limit(&mut file, metadata.len(), limit).ok()?;
    Some(Zeroizing::new(bytes))
}

/// The same as text.
pub(crate) fn text(path: &Path, limit: u64) -> Option<Zeroizing<String>> {
    let bytes = read(path, Links::Follow, limit)?;
    let text = str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(files: &[&str], depth: usize) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let tree = Tree::below(root.path(), depth);
        let below = |path: &Path| {
            path.strip_prefix(root.path())
                .unwrap()
                .display()
                .to_string()
        };
        tree.files().map(below).collect()
    }

    #[test]
    fn packages_caches_and_other_repositories_are_left_out() {
        let files = [
            ".env",
            ".git/config",
            "a/b.pem",
            "node_modules/x/.env",
            "other/.git/HEAD",
            "other/.env",
            "target/CACHEDIR.TAG",
            "target/.env",
            "venv/pyvenv.cfg",
            "venv/x.pem",
        ];
        assert_eq!(walk(&files, DEEP), [".env", "a/b.pem"]);
    }

    #[test]
    fn a_depth_is_kept() {
        assert_eq!(walk(&["a", "b/c", "b/d/e"], 2), ["a", "b/c"]);
    }

    const DEEP: usize = 9;
}
