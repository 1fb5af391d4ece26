//! The hook that scans before each commit.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::app::App;
use crate::failure::Failure;

/// The line that somebody else's hook needs.
const LINE: &str = "resolve scan --staged || exit $?";

const SCRIPT: &str = "\
#!/bin/sh
# Written by `resolve scan --install-hook`: no commit with a credential in it.
# `git commit --no-verify` goes past it.
resolve scan --staged || exit $?
";

/// Writes the hook, unless there is one already.
pub(super) fn install(app: &App) -> Result<(), Failure> {
    let directory = hooks(app)?;
    let path = directory.join("pre-commit");
    let shown = path.display();
    match std::fs::read(&path) {
        Ok(before) if has_line(&before) => {
            app.output().note(&format!("`{shown}` scans already"));
            return Ok(());
        }
        // SECURITY: what somebody else checks before a commit must go on being checked.
        Ok(_) => return Err(foreign(&path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::io(format!("reading `{shown}`"), error)),
    }
    write(&directory, &path).map_err(|error| match error.kind() {
        // A link that leads nowhere, or another program a moment ago.
        io::ErrorKind::AlreadyExists => foreign(&path),
        _ => Failure::io(format!("writing `{shown}`"), error),
    })?;
    app.output().note(&format!(
        "wrote `{shown}`: each commit is scanned from now on"
    ));
    Ok(())
}

fn foreign(path: &Path) -> Failure {
    Failure::usage_with(
        format!("`{}` is another hook, and stays as it is", path.display()),
        format!("add this line to it: {LINE}"),
    )
}

fn has_line(script: &[u8]) -> bool {
    let text = String::from_utf8_lossy(script);
    let mut lines = text.lines().map(str::trim);
    lines.any(|line| !line.starts_with('#') && line.contains("resolve scan --staged"))
}

fn write(directory: &Path, path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
    options.open(path)?.write_all(SCRIPT.as_bytes())
}

/// Where git looks for hooks here: asked, since `core.hooksPath` may say otherwise.
fn hooks(app: &App) -> Result<PathBuf, Failure> {
    let mut git = Command::new("git");
    git.args(["rev-parse", "--git-path", "hooks"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    for name in app.own_secrets() {
        git.env_remove(name);
    }
    let output = git
        .output()
        .map_err(|error| Failure::io("starting git", error))?;
    let path = String::from_utf8_lossy(&output.stdout);
    match path.trim_end_matches('\n') {
        path if output.status.success() && !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(Failure::usage_with(
            "this is no git repository",
            "a hook belongs to one: `git init` makes it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_scans_is_recognised_and_one_that_says_so_in_a_comment_is_not() {
        assert!(has_line(SCRIPT.as_bytes()));
        assert!(has_line(
            format!("#!/bin/sh\nmake lint\n{LINE}\n").as_bytes()
        ));
        assert!(!has_line(b"#!/bin/sh\n# resolve scan --staged\n"));
    }
}
