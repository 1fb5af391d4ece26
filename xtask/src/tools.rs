//! What the tests need on the machine: Debian packages and a Python with pinned packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Failure, Outcome, root, step, succeeds, target_dir};

/// Installs the missing Debian packages as root; otherwise tells the one line that does.
pub(crate) fn debian_packages() -> Outcome {
    let wanted = lists("xtask/data/debian-packages.txt", "tests/PACKAGES")?;
    if !succeeds("dpkg-query", &["--version"]) {
        eprintln!(
            "no Debian here; the tests expect to find: {}",
            wanted.join(" ")
        );
        return Ok(());
    }
    let mut missing: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|name| !is_installed(name))
        .collect();
    // Debian has it apart from Node.js, others in one package with it.
    if !succeeds("npm", &["--version"]) {
        missing.push("npm");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!(
        "apt-get install --yes --no-install-recommends {}",
        missing.join(" ")
    );
    if !credchain_tests::is_root() {
        return Err(Failure::usage(format!(
            "the tests need some Debian packages; install them with\n\n  sudo {line}\n"
        )));
    }
    let apt = |args: &str| {
        let mut command = Command::new("apt-get");
        // At this run level no package starts a service of its own.
        command.args(args.split(' ').skip(1)).env("RUNLEVEL", "1");
        step(command.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt("apt-get update --quiet --quiet")?;
    apt(&line)
}

/// Makes `target/test-tools/venv` hold exactly the pinned packages; tells its folder of programs.
pub(crate) fn python() -> Outcome<PathBuf> {
    let venv = target_dir().join("test-tools/venv");
    let bin = venv.join("bin");
    let packages = lists("xtask/data/requirements.txt", "tests/requirements.txt")?;
    let stamp = venv.join("installed.txt");
    let wanted = packages.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(bin);
    }
    // Debian's own where there is one: the package python3-venv belongs to it.
    let debian = Path::new("/usr/bin/python3");
    let python = if debian.exists() {
        debian
    } else {
        Path::new("python3")
    };
    step(
        Command::new(python)
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    )?;
    let mut pip = Command::new(bin.join("python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]);
    step(pip.args(&packages))?;
    fs::write(&stamp, wanted)?;
    Ok(bin)
}

/// One list for the whole project, and one of each provider that has its own.
fn lists(common: &str, own: &str) -> Outcome<Vec<String>> {
    let mut files = vec![root().join(common)];
    for provider in fs::read_dir(root().join("providers"))? {
        files.extend(Some(provider?.path().join(own)).filter(|path| path.exists()));
    }
    let mut all = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let entries = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        all.extend(entries.filter(|entry| !entry.is_empty()).map(str::to_owned));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status}", package])
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}
