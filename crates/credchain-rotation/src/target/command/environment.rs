//! Where a program is, and what it gets to see of the caller's environment.
//!
//! The rules are those of the provider `command`, which this crate cannot see.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use credchain_core::{Environment, Error, Kind, Project, Result, is_own_secret};

/// The caller's variables without credchain's own secrets and those that are withheld.
pub(super) fn inherited(env: &Environment, withheld: &[String]) -> Vec<(OsString, OsString)> {
    let mut variables = env.all();
    variables.retain(|(name, _)| {
        let name = name.to_string_lossy();
        // Windows does not distinguish case in the names of variables.
        let same = |other: &String| {
            if cfg!(windows) {
                name.eq_ignore_ascii_case(other)
            } else {
                name == other.as_str()
            }
        };
        !is_own_secret(&name) && !withheld.iter().any(same)
    });
    variables
}

/// Sets a variable in a list of them.
pub(super) fn assign(variables: &mut Vec<(OsString, OsString)>, name: &str, value: &str) {
    variables.retain(|(other, _)| other != OsStr::new(name));
    variables.push((name.into(), value.into()));
}

/// The absolute path of a program: a bare name is looked up on `PATH`, anything else starts in
/// the project.
///
/// # Errors
/// [`Kind::Misconfigured`] if there is no such program or it cannot be executed.
pub(super) fn find(program: &str, env: &Environment, project: &Project) -> Result<PathBuf> {
    let bare = !program.contains(['/', '\\']);
    let found = if bare {
        on_path(program, env)
    } else {
        std::path::absolute(project.base().join(program))
            .ok()
            .filter(|path| path.is_file())
    };
    let Some(path) = found else {
        let message = format!("the program `{program}` was not found");
        return Err(Error::new(Kind::Misconfigured, message).with_hint(if bare {
            "install it, or name it by its absolute path"
        } else {
            "a relative path starts in the directory of `credchain.toml`"
        }));
    };
    if executable(&path) {
        Ok(path)
    } else {
        Err(not_executable(program))
    }
}

pub(super) fn not_executable(program: &str) -> Error {
    let message = format!("the program `{program}` cannot be executed");
    Error::new(Kind::Misconfigured, message)
        .with_hint("`chmod +x` it, and check the interpreter that its first line names")
}

fn on_path(program: &str, env: &Environment) -> Option<PathBuf> {
    let path = env.get("PATH")?;
    let candidates = std::env::split_paths(&path)
        // SECURITY: an empty or relative entry would run whatever lies in the working directory.
        .filter(|directory| directory.is_absolute())
        .flat_map(|directory| names(program).map(move |name| directory.join(name)))
        .filter(|candidate| candidate.is_file());
    // Like a shell: a file that cannot be executed does not hide a later one that can.
    let mut blocked = None;
    for candidate in candidates {
        if executable(&candidate) {
            return Some(candidate);
        }
        blocked.get_or_insert(candidate);
    }
    blocked
}

fn names(program: &str) -> impl Iterator<Item = String> {
    let windows = cfg!(windows).then(|| format!("{program}.exe"));
    std::iter::once(program.to_owned()).chain(windows)
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn executable(path: &Path) -> bool {
    path.is_file()
}
