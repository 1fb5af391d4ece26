//! The security checklist of `resolve doctor`: each group of checks is a module, each check a
//! function from the [`Site`] to a [`Report`].
//!
//! No check shows a value, not even a part of one, and none runs a program but `git`.

mod certificate;
mod ci;
mod configuration;
mod dockerfile;
mod git;
mod ignored;
mod leaks;
mod leases;
mod literal;
mod literals;
mod mode;
mod modes;
mod refresh;
mod rotation;
mod site;
mod tls;
mod tokens;
mod tree;
mod values;
mod yaml;

use std::path::PathBuf;

use serde::Serialize;

pub(crate) use self::site::Site;

use crate::failure::Failure;
use crate::ignore;
use crate::output::printable_line;

/// One check: a name that stays, and what it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    name: &'static str,
    look: fn(&Site<'_>) -> Report,
}

/// Every check, in the order of its row.
pub(crate) const CHECKS: &[Check] = &[
    Check::new("secrets-in-source", leaks::source),
    Check::new("ignored-files", ignored::ignored),
    Check::new("tracked-files", ignored::tracked),
    Check::new("dotenv-mode", modes::dotenv),
    Check::new("private-modes", modes::private),
    Check::new("token-files", tokens::look),
    Check::new("literals", literals::look),
    Check::new("secrets-in-logs", leaks::logs),
    Check::new("ci-literals", ci::look),
    Check::new("oauth2-refresh", refresh::look),
    Check::new("short-values", values::look),
    Check::new("rotation-due", rotation::look),
    Check::new("tls", tls::look),
    Check::new("leases", leases::look),
    Check::new("world-writable-config", configuration::writable),
    Check::new("configuration", configuration::loads),
];

/// What one check has seen.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    /// What is worth a word and no problem.
    notes: Vec<String>,
    /// Why nothing could be looked at.
    skipped: Option<String>,
}

/// Something that should not be so.
#[derive(Debug)]
pub(crate) struct Problem {
    /// What was seen, as one harmless line.
    evidence: String,
    /// The command that mends it.
    fix: String,
    /// The same for `--fix`, where it takes nothing away and decides nothing.
    mend: Option<Mend>,
}

/// What `--fix` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    /// Takes a file or directory away from everybody but its owner.
    Close(PathBuf),
    /// Has git ignore what a line of `.gitignore` says.
    Ignore(String),
}

/// A row of the answer.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) check: &'static str,
    pub(crate) status: Status,
    pub(crate) evidence: Vec<String>,
    /// Commands, one a line.
    pub(crate) fix: Option<String>,
    /// What `--fix` has done.
    pub(crate) fixed: Vec<String>,
    /// How much of it `--fix` would mend.
    #[serde(skip)]
    pub(crate) mendable: bool,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Ok,
    Finding,
    Skipped,
}

impl Check {
    const fn new(name: &'static str, look: fn(&Site<'_>) -> Report) -> Self {
        Self { name, look }
    }

    /// Looks; with `fix`, mends what is safe to mend and looks again.
    pub(crate) fn row(self, site: &Site<'_>, fix: bool) -> Row {
        let mut report = (self.look)(site);
        let (mut fixed, mut failed) = (Vec::new(), Vec::new());
        let mends = report.problems.iter().filter_map(|one| one.mend.clone());
        for mend in mends.filter(|_| fix).collect::<Vec<_>>() {
            match mend.apply(site) {
                Ok(done) => fixed.extend(done),
                Err(failure) => failed.push(format!("not mended: {}", words(&failure))),
            }
        }
        if fix && !report.problems.is_empty() {
            report = (self.look)(site);
        }
        report.notes.extend(failed);
        report.row(self.name, fixed)
    }
}

impl Report {
    /// Nothing could be looked at.
    fn skipped(why: impl Into<String>) -> Self {
        Self {
            skipped: Some(why.into()),
            ..Self::default()
        }
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn problem(&mut self, evidence: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem {
            evidence: evidence.into(),
            fix: fix.into(),
            mend: None,
        });
    }

    fn row(self, check: &'static str, fixed: Vec<String>) -> Row {
        let status = match (self.problems.is_empty(), &self.skipped) {
            (false, _) => Status::Finding,
            (true, Some(_)) => Status::Skipped,
            (true, None) => Status::Ok,
        };
        let mendable = self.problems.iter().any(|one| one.mend.is_some());
        let mut commands: Vec<String> = Vec::new();
        let mut evidence = Vec::new();
        for problem in self.problems {
            evidence.push(problem.evidence);
            if !commands.contains(&problem.fix) {
                commands.push(problem.fix);
            }
        }
        evidence.extend(self.skipped);
        evidence.extend(self.notes);
        Row {
            check,
            status,
            evidence,
            fix: (!commands.is_empty()).then(|| commands.join("\n")),
            fixed,
            mendable,
        }
    }
}

impl Extend<Problem> for Report {
    fn extend<T: IntoIterator<Item = Problem>>(&mut self, problems: T) {
        self.problems.extend(problems);
    }
}

impl Mend {
    /// Does it, and says what was done; nothing if it had been done.
    fn apply(&self, site: &Site<'_>) -> Result<Option<String>, Failure> {
        match self {
            Self::Close(path) => {
                let shown = site.shown(path);
                mode::close(path)
                    .map_err(|error| Failure::io(format!("closing `{shown}`"), error))?;
                Ok(Some(format!("closed `{shown}` to others")))
            }
            Self::Ignore(line) => {
                let added = ignore::add(&site.root().join(".gitignore"), &[line])?;
                let shown = printable_line(line);
                Ok(added.then(|| format!("added `{shown}` to `.gitignore`")))
            }
        }
    }
}

/// Why something could not be done, in a few words.
fn words(failure: &Failure) -> String {
    let text = match failure {
        Failure::Credentials(errors) => errors.first().map(ToString::to_string),
        Failure::Config(diagnostics) => Some(diagnostics.to_string()),
        Failure::Usage { message, .. } => Some(message.clone()),
        Failure::Io { doing, source } => Some(format!("{doing}: {}", source.kind())),
        _ => None,
    };
    printable_line(&text.unwrap_or_else(|| "it was interrupted".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_unique_and_kebab_case() {
        let mut names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        let kebab = |name: &&str| {
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        assert!(names.iter().all(kebab));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }

    #[test]
    fn a_problem_outweighs_what_was_skipped_and_the_same_fix_is_told_once() {
        let mut report = Report::skipped("half of it");
        report.problem("a", "do it");
        report.problem("b", "do it");
        let row = report.row("check", Vec::new());
        assert_eq!(row.status, Status::Finding);
        assert_eq!(row.fix.as_deref(), Some("do it"));
        assert_eq!(row.evidence, ["a", "b", "half of it"]);
    }
}
