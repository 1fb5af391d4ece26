//! What git knows: asked, never guessed from the text of `.gitignore`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use credchain::{Environment, is_own_secret};

/// A repository, asked from one of its directories.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    root: PathBuf,
    /// credchain's own secrets, which no program that it starts gets.
    withheld: Vec<OsString>,
}

impl Git {
    /// The repository around a directory, or why there is none.
    pub(crate) fn around(directory: &Path, env: &Environment) -> Result<Self, &'static str> {
        let names = env.all().into_iter().map(|(name, _)| name);
        let own = |name: &OsString| name.to_str().is_some_and(is_own_secret);
        let git = Self {
            root: directory.to_owned(),
            withheld: names.filter(own).collect(),
        };
        let marked = || {
            directory
                .ancestors()
                .any(|above| above.join(".git").exists())
        };
        match git.run(&["rev-parse", "--show-toplevel"], &[]) {
            Ok(output) if output.status.success() => {
                let line = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
                let top = path(line);
                // SECURITY: the settings of a repository that came in an archive can put its top
                // anywhere, such as at `/`.
                let is_marked = top.join(".git").exists();
                Ok(git.at(if is_marked { &top } else { directory }))
            }
            Ok(_) if marked() => Err("git does not use this repository; `git status` says why"),
            Ok(_) => Err("this is no git repository"),
            Err(_) => Err("git is not installed"),
        }
    }

    /// The same repository, asked from another directory of it.
    pub(crate) fn at(&self, directory: &Path) -> Self {
        Self {
            root: directory.to_owned(),
            ..self.clone()
        }
    }

    /// Where it is asked.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Which of some paths below the root git ignores, tracked or not.
    pub(crate) fn ignored(&self, paths: &[PathBuf]) -> io::Result<BTreeSet<PathBuf>> {
        let mut input = Vec::new();
        for path in paths {
            // As a path, not as a pattern or an option of the protocol.
            input.extend_from_slice(b"./");
            input.extend_from_slice(path.as_os_str().as_encoded_bytes());
            input.push(0);
        }
        let output = self.run(&["check-ignore", "--no-index", "--stdin", "-z"], &input)?;
        match output.status.code() {
            Some(0 | 1) => Ok(split(&output.stdout)
                .map(|path| path.strip_prefix("./").map(Path::to_owned).unwrap_or(path))
                .collect()),
            _ => Err(io::ErrorKind::Other.into()),
        }
    }

    /// The tracked files below the root.
    pub(crate) fn tracked(&self) -> io::Result<Vec<PathBuf>> {
        let output = self.run(&["ls-files", "--cached", "-z"], &[])?;
        if !output.status.success() {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(split(&output.stdout).collect())
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> io::Result<Output> {
        let mut command = Command::new("git");
        command
            // SECURITY: a repository that came in an archive has settings of its own, and this
            // one names a program.
            .args(["-c", "core.fsmonitor=false"])
            .args(arguments)
            .current_dir(&self.root)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for name in &self.withheld {
            command.env_remove(name);
        }
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take();
        thread::scope(|scope| {
            scope.spawn(move || {
                // A git that ends before it has read everything says so by its exit code.
                let _ = stdin.as_mut().map(|stdin| stdin.write_all(input));
            });
            child.wait_with_output()
        })
    }
}

fn split(output: &[u8]) -> impl Iterator<Item = PathBuf> {
    let names = output.split(|byte| *byte == 0);
    names.filter(|name| !name.is_empty()).map(path)
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Git speaks UTF-8 here.
#[cfg(not(unix))]
fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}
