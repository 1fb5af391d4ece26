//! `cargo xtask test`: everything that the tests need, then the tests.

use std::env::join_paths;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::demo;
use crate::run::{Failure, Outcome, cargo, root, step, succeeds, target_dir, variable};
use crate::tools;

/// The provider that `docs/adding-a-provider.md` builds; a workspace of its own.
const OUT_OF_TREE: &str = "examples/out-of-tree-provider";

/// Sets up and runs; with arguments only the test runner, which gets them.
pub(crate) fn run(args: &[&str]) -> Outcome {
    tools::debian_packages()?;
    let python = tools::python()?;
    // Together with the tests, so that both come from one graph of dependencies.
    let resolve = build()?;
    let scratch = Scratch::new()?;
    let surroundings = Surroundings {
        python,
        resolve,
        home: scratch.0.clone(),
    };
    let run = |args: &[&str]| step(surroundings.of(&mut cargo(args)));

    let mut outcomes = Vec::new();
    if args.is_empty() {
        // What the README promises a newcomer.
        outcomes.push(demo::show());
        outcomes.push(run(&["test", "--workspace", "--doc", "--quiet"]));
        if root().join(OUT_OF_TREE).join("Cargo.toml").exists() {
            let manifest = format!("{OUT_OF_TREE}/Cargo.toml");
            outcomes.push(run(&["test", "--quiet", "--manifest-path", &manifest]));
        }
    }
    // Last, so that the suite ends with the runner's closing line.
    let runner: &[&str] = if succeeds("cargo", &["nextest", "--version"]) {
        match variable("CI") {
            Some(_) => &["nextest", "run", "--workspace", "--profile=ci"],
            None => &["nextest", "run", "--workspace"],
        }
    } else {
        eprintln!("cargo-nextest is not installed; `cargo test` runs the tests instead");
        &[
            "test",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
        ]
    };
    outcomes.push(run(&[runner, args].concat()));
    let failures: Vec<String> = outcomes
        .into_iter()
        .filter_map(Result::err)
        .map(|failure| failure.to_string())
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(failures.join("\n")))
    }
}

/// Builds all binaries and tests; tells where the `resolve` binary is.
pub(crate) fn build() -> Outcome<PathBuf> {
    step(&mut cargo(&["build", "--workspace", "--bins", "--tests"]))?;
    Ok(target_dir()
        .join("debug")
        .join(format!("resolve{}", std::env::consts::EXE_SUFFIX)))
}

/// What the tests see of the machine: tools, but neither the developer's home nor settings.
struct Surroundings {
    python: PathBuf,
    resolve: PathBuf,
    home: PathBuf,
}

impl Surroundings {
    fn of<'command>(&self, command: &'command mut Command) -> &'command mut Command {
        without_settings(command);
        for (name, below_home) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let real = variable(name)
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(variable("HOME")?).join(below_home)))
                .filter(|dir| dir.is_dir());
            if let Some(dir) = real {
                command.env(name, dir);
            }
        }
        let inherited = variable("PATH").unwrap_or_default();
        let path = std::iter::once(self.python.clone()).chain(std::env::split_paths(&inherited));
        if let Ok(path) = join_paths(path) {
            command.env("PATH", path);
        }
        command
            .env("HOME", &self.home)
            .env("CREDCHAIN_TEST_PYTHON", self.python.join("python"))
            .env("CREDCHAIN_TEST_RESOLVE", &self.resolve)
    }
}

/// Takes the developer's own settings of credchain, and where these are found, from a command.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in variables() {
        if name.starts_with("CREDCHAIN_") || name.starts_with("XDG_") {
            command.env_remove(&name);
        }
    }
    command
}

#[expect(
    clippy::disallowed_methods,
    reason = "the names of what has to be taken away"
)]
fn variables() -> impl Iterator<Item = (String, std::ffi::OsString)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
}

/// An empty home directory for the tests, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Outcome<Self> {
        let dir: &Path = &std::env::temp_dir();
        let home = dir.join(format!("credchain-test-home-{}", std::process::id()));
        fs::create_dir_all(&home)?;
        Ok(Self(home))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A scratch folder that stays behind is no reason to fail.
        drop(fs::remove_dir_all(&self.0));
    }
}
