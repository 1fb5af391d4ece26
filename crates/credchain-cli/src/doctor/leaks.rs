//! `secrets-in-source` and `secrets-in-logs`: what `resolve scan` finds.

use std::path::{Path, PathBuf};

use credchain::redact::Rules;
use credchain::scan::{Finding, Scan, SkipReason};

use super::{Report, Site};
use crate::output::printable_line;

/// Where logs are, in the syntax of `.gitignore`.
const LOGS: [&str; 4] = ["*.log", "*.log.*", "logs/", "nohup.out"];

/// What a folder of scripts has at the most: this many files,
const MOST_UNMARKED: usize = 5000;

/// and none of them so large.
const LARGEST_UNMARKED: u64 = 16 << 20;

/// Whether there is a secret in what git does not ignore: one of the project's own, in any
/// encoding, or what looks like one. Logs have a row of their own.
pub(crate) fn source(site: &Site<'_>) -> Report {
    let scan = scan(site).allow(LOGS);
    if site.is_marked() {
        return run(site, &scan.files([site.root()]), "take it out");
    }
    // This may be a folder of scripts, or everything that somebody has.
    if site.tree().len() > MOST_UNMARKED {
        return Report::skipped(
            "this is neither a project nor a repository, and large; `resolve scan PATH` looks \
             into a part of it",
        );
    }
    let scan = scan.files(present(site)).max_size(LARGEST_UNMARKED);
    run(site, &scan, "take it out")
}

/// Whether there is one in a log, ignored by git or not.
pub(crate) fn logs(site: &Site<'_>) -> Report {
    let root = site.root();
    let below = |path: &&Path| is_log(path.strip_prefix(root).unwrap_or(path));
    let logs: Vec<PathBuf> = present(site).filter(below).map(Path::to_owned).collect();
    if logs.is_empty() {
        return Report::default();
    }
    let fix = "remove the log, and run what writes it under `resolve exec`, which masks";
    run(site, &scan(site).files(logs), fix)
}

/// The files that are still there: logs are rotated and other files temporary.
fn present<'a>(site: &'a Site<'_>) -> impl Iterator<Item = &'a Path> {
    let files = site.tree().files();
    files.filter(|path| path.symlink_metadata().is_ok())
}

fn scan(site: &Site<'_>) -> Scan {
    // Rules of a project that is not trusted are left out, and so are wrong ones.
    let rules = site
        .project()
        .ok()
        .and_then(|project| project.scan_rules().ok());
    let scan = Scan::new(rules.unwrap_or_else(Rules::builtin)).withhold(site.app().own_secrets());
    match site.values() {
        Ok(values) => scan.known(&values.known),
        // Then there is only what looks like a secret.
        Err(_) => scan,
    }
}

fn run(site: &Site<'_>, scan: &Scan, fix: &str) -> Report {
    let found = match scan.run(&|_| {}) {
        Ok(found) => found,
        Err(error) => return Report::skipped(printable_line(&error.to_string())),
    };
    let mut report = Report::default();
    for finding in &found.findings {
        let fix = format!("{fix}; {}", printable_line(&finding.next_step()));
        report.problem(evidence(site, finding), fix);
    }
    for skipped in &found.skipped {
        if skipped.reason != SkipReason::NotAFile {
            let shown = site.shown(Path::new(&*skipped.path));
            report.note(format!("`{shown}` was left out: {}", skipped.reason));
        }
    }
    report
}

fn evidence(site: &Site<'_>, finding: &Finding) -> String {
    let shown = site.shown(Path::new(&*finding.path));
    let cell = finding.cell.as_ref();
    let cell = cell.map(|cell| format!(", {cell}")).unwrap_or_default();
    let what = match &finding.credential {
        Some(name) => format!("the value of `{name}`"),
        None => format!("what looks like a secret (`{}`)", finding.rule),
    };
    let (line, column) = (finding.line, finding.column);
    printable_line(&format!("`{shown}`:{line}:{column}{cell}: {what}"))
}

/// Whether a path below the root is a log by [`LOGS`].
fn is_log(below: &Path) -> bool {
    let name = below.file_name().unwrap_or_default().to_string_lossy();
    let in_logs = below.parent().is_some_and(|parent| {
        let mut parts = parent.components();
        parts.any(|part| part.as_os_str() == "logs")
    });
    let is_rotated = name.contains(".log.");
    in_logs
        || is_rotated
        || name == "nohup.out"
        || below.extension().is_some_and(|end| end == "log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_known_by_their_names_and_places() {
        for (path, log) in [
            ("app.log", true),
            ("a/app.log.1", true),
            ("a/logs/out.txt", true),
            ("nohup.out", true),
            ("logs", false),
            ("log.rs", false),
            ("catalogs/x.txt", false),
        ] {
            assert_eq!(is_log(Path::new(path)), log, "{path}");
        }
    }
}
