//! What a child gets to see of the caller's environment, and where its program is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use credchain_core::{Environment, Error, Kind, Project, Result, is_own_secret};

/// The caller's variables without credchain's own secrets and those named in `without`.
pub(crate) fn inherited(env: &Environment, without: &[String]) -> Vec<(OsString, OsString)> {
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
        !is_own_secret(&name) && !without.iter().any(same)
    });
    variables
}

/// Sets a variable in a list of them.
pub(crate) fn assign(variables: &mut Vec<(OsString, OsString)>, name: &str, value: OsString) {
    variables.retain(|(other, _)| other != OsStr::new(name));
    variables.push((name.into(), value));
}

/// The absolute path of a program: a bare name is looked up on `PATH`, anything else starts in
/// the project.
///
/// # Errors
/// [`Kind::Misconfigured`] if there is no such program or it cannot be executed.
pub(crate) fn find(program: &str, env: &Environment, project: &Project) -> Result<PathBuf> {
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
            "install it, or put its absolute path into the provider's `program`"
        } else {
            "a relative `program` starts in the directory of `credchain.toml`"
        }));
    };
    if !executable(&path) {
        return Err(not_executable(program));
    }
    Ok(path)
}

pub(crate) fn not_executable(program: &str) -> Error {
    Error::new(
        Kind::Misconfigured,
        format!("the program `{program}` cannot be executed"),
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_secrets_and_bootstrap_credentials_are_left_out() {
        let env = Environment::fixed([
            ("PATH", "/bin"),
            ("CREDCHAIN_PROFILE", "ci"),
            ("CREDCHAIN_IDENTITY", "a"),
            ("CREDCHAIN_IDENTITY_FILE", "b"),
            ("CREDCHAIN_PASSPHRASE", "c"),
            ("CREDCHAIN_PASSPHRASE_FILE", "d"),
            ("CREDCHAIN_TOKEN", "e"),
            ("CREDCHAIN_TOKEN_CACHE_KEY", "f"),
            ("VAULT_SECRET_ID", "g"),
        ]);
        let left: Vec<_> = inherited(&env, &["VAULT_SECRET_ID".into()])
            .into_iter()
            .map(|(name, _)| name.into_string().unwrap())
            .collect();
        assert_eq!(left, ["CREDCHAIN_PROFILE", "PATH"]);
    }

    #[cfg(unix)]
    #[test]
    fn programs_become_absolute_and_relative_path_entries_are_ignored() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let tool = directory.path().join("tool");
        std::fs::write(&tool, "#!/bin/sh\n").unwrap();
        let project = Project::new("p", "/").with_root(directory.path());
        let on = |path: &Path| Environment::fixed([("PATH", path.as_os_str())]);

        let error = find("./tool", &on(Path::new("/nowhere")), &project).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.message().contains("cannot be executed"), "{error}");
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();

        assert_eq!(find("tool", &on(directory.path()), &project).unwrap(), tool);
        assert!(
            find("./tool", &on(directory.path()), &project)
                .unwrap()
                .is_absolute()
        );
        for bad in [
            find("tool", &on(Path::new(".")), &project),
            find("sub/x", &on(directory.path()), &project),
        ] {
            let error = bad.unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
            assert!(error.hint().is_some());
        }
    }
}
