//! A scratch project with a home of its own.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::Resolve;
use crate::binary::{resolve_binary, variable};

/// A scratch project directory beside a scratch home directory; both go when the last clone goes.
///
/// Nothing of the developer's own configuration, stores or environment is visible from inside.
#[derive(Clone, Debug)]
pub struct Project(Arc<TempDir>);

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

impl Project {
    /// An empty project called `project`, marked as the root of a repository, in an empty home.
    pub fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("credchain-test-")
            .tempdir()
            .expect("the temporary folder is writable");
        let project = Self(Arc::new(root));
        for dir in [
            "project/.git",
            "home",
            "config",
            "data",
            "state",
            "cache",
            "run",
            "tmp",
            "bin",
        ] {
            make_private_dir(&project.root().join(dir));
        }
        link_binary(&project.root().join("bin"));
        project
    }

    /// A run of `resolve` with these arguments in this project.
    pub fn resolve<I, A>(&self, args: I) -> Resolve
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        Resolve::in_project(self).args(args)
    }

    /// A run of another program in this project, with `resolve` on its `PATH`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Resolve {
        Resolve::in_project(self).program(program)
    }

    /// A run of a shell script in this project, with `resolve` on its `PATH`.
    pub fn sh(&self, script: &str) -> Resolve {
        self.command("sh").args(["-c", script])
    }

    /// Writes a file below the project directory, making its folders.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir().join(path);
        let parent = path.parent().expect("a file lies in a folder");
        fs::create_dir_all(parent).expect("the project is writable");
        fs::write(&path, content).expect("the project is writable");
        path
    }

    /// Copies a file of the repository, such as an example, to a path below the project directory.
    pub fn copy(&self, from: &str, to: impl AsRef<Path>) -> PathBuf {
        let to = self.dir().join(to);
        fs::copy(crate::repository().join(from), &to)
            .unwrap_or_else(|error| panic!("cannot copy {from}: {error}"));
        to
    }

    /// Reads a file below the project directory.
    ///
    /// # Panics
    /// If it is not there.
    #[track_caller]
    pub fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let path = self.dir().join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }

    /// The project directory: where commands run.
    pub fn dir(&self) -> PathBuf {
        self.root().join("project")
    }

    /// The home directory.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// `$XDG_CONFIG_HOME`.
    pub fn config_home(&self) -> PathBuf {
        self.root().join("config")
    }

    /// `$XDG_STATE_HOME`.
    pub fn state_home(&self) -> PathBuf {
        self.root().join("state")
    }

    /// `$TMPDIR`; a test can assert that nothing was left in it.
    pub fn tmp(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// The whole environment that a command gets unless the test adds to it.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let dir = |name: &str| self.root().join(name).into_os_string();
        let mut all: Vec<(OsString, OsString)> = [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
            ("TMPDIR", "tmp"),
        ]
        .into_iter()
        .map(|(name, folder)| (name.into(), dir(folder)))
        .collect();
        let path = std::env::join_paths(self.search_path());
        all.push((
            "PATH".into(),
            path.expect("the scratch path has no separator in it"),
        ));
        for needed in ["SYSTEMROOT", "COMSPEC", "LLVM_PROFILE_FILE"] {
            all.extend(variable(needed).map(|value| (needed.into(), value.into())));
        }
        all
    }

    /// Where programs are searched for: `resolve` first, then the machine's.
    pub(crate) fn search_path(&self) -> Vec<PathBuf> {
        let inherited = variable("PATH").unwrap_or_default();
        let machine = std::env::split_paths(&inherited);
        std::iter::once(self.root().join("bin"))
            .chain(machine)
            .collect()
    }

    fn root(&self) -> &Path {
        self.0.path()
    }
}

fn make_private_dir(path: &Path) {
    fs::create_dir_all(path).expect("the temporary folder is writable");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("it is ours");
    }
}

/// Puts `resolve`, and nothing else of the target folder, on the `PATH` of the project's commands.
fn link_binary(dir: &Path) {
    let binary = resolve_binary();
    let name = format!("resolve{}", std::env::consts::EXE_SUFFIX);
    #[cfg(unix)]
    std::os::unix::fs::symlink(binary, dir.join(name)).expect("the scratch folder takes links");
    #[cfg(not(unix))]
    fs::copy(binary, dir.join(name))
        .map(drop)
        .expect("the scratch folder is writable");
}
