//! Running other programs, and how a chore fails.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// How a chore ends.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a chore did not do what it was asked, in words.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Something is wrong in the project.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 1,
        }
    }

    /// The caller has to do something first.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 2,
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.trim_end())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    credchain_tests::repository()
}

/// Where cargo builds: one folder for everything, nested workspaces included.
pub(crate) fn target_dir() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a chore takes its surroundings as they are"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The cargo that runs this chore, in the root of the checkout.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(args)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target_dir());
    // What `cargo run` sets for this program is not meant for the crates that it builds.
    for name in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
        "OUT_DIR",
    ] {
        command.env_remove(name);
    }
    command
}

/// Shows a command and runs it to its end.
pub(crate) fn step(command: &mut Command) -> Outcome {
    let words = words(command);
    eprintln!("$ {words}");
    let status = command
        .status()
        .map_err(|error| Failure::new(format!("`{words}` cannot be started: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("`{words}` failed")))
    }
}

/// Runs a command and takes its standard output.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let words = words(command);
    let output = command
        .output()
        .map_err(|error| Failure::new(format!("`{words}` cannot be started: {error}")))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("`{words}` failed\n{stderr}")));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::new(format!("`{words}`: not UTF-8")))
}

/// Whether a program can be started and says that all is well.
pub(crate) fn succeeds(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The files that git tracks or would track, relative to the root.
pub(crate) fn tracked_files() -> Outcome<Vec<String>> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(root());
    let listed = output(&mut git)?;
    let mut files: Vec<String> = listed
        .split('\0')
        .filter(|file| !file.is_empty() && root().join(file).is_file())
        .map(str::to_owned)
        .collect();
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

/// Whether a file's name ends in one of these, which are given without the dot.
pub(crate) fn has_ending(file: &str, endings: &[&str]) -> bool {
    let ending = Path::new(file)
        .extension()
        .and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| endings.contains(&ending))
}

fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
