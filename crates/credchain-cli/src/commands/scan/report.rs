//! What was found, in words and as JSON.

use credchain::scan::{Finding, Report, Skipped};
use serde::Serialize;

use super::known::Known;
use crate::app::App;
use crate::output::{Output, Style, printable_line};

/// How many skipped files people are told one by one; JSON has them all.
const SHOWN: usize = 12;

/// `scan --json`
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    version: u8,
    findings: &'a [Finding],
    skipped: &'a [Skipped],
    /// The credentials whose values were not looked for.
    unread: &'a [String],
}

impl<'a> Document<'a> {
    pub(super) fn new(report: &'a Report, known: &'a Known) -> Self {
        Self {
            version: 1,
            findings: &report.findings,
            skipped: &report.skipped,
            unread: &known.unread,
        }
    }
}

/// Says what was not scanned.
pub(super) fn warn(report: &Report, app: &App) {
    for skipped in report.skipped.iter().take(SHOWN) {
        let path = printable_line(&skipped.path);
        app.output()
            .warn(&format!("`{path}` was not scanned: {}", skipped.reason));
    }
    let more = report.skipped.len().saturating_sub(SHOWN);
    if more > 0 {
        app.output().warn(&format!(
            "{more} more were not scanned; `--json` has them all"
        ));
    }
}

/// Every finding, and what to do.
pub(super) fn text(report: &Report, output: &Output) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text += &finding_text(finding, output);
    }
    let scanned = format!(
        "{} ({}) scanned",
        count(report.texts, "file"),
        size(report.bytes)
    );
    let quiet: String = [
        (report.allowed, "allowed by comments"),
        (report.known_before, "in the baseline"),
    ]
    .iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("; {number} {what}"))
    .collect();
    if report.is_clean() {
        return format!("nothing was found; {scanned}{quiet}\n");
    }
    let found = count(report.findings.len() as u64, "finding");
    text += &format!("{found}; {scanned}{quiet}\n");
    let hint = output.style(Style::Hint, "hint:");
    text += &format!(
        "{hint} a false alarm? write `credchain:allow RULE` in a comment in its line, or leave the \
         path out with `--allow`; `--write-baseline FILE` accepts all that is there\n"
    );
    text
}

fn finding_text(finding: &Finding, output: &Output) -> String {
    let place = format!("{}:{}:{}", finding.path, finding.line, finding.column);
    let place = output.style(Style::Bold, &printable_line(&place));
    let rule = match &finding.credential {
        Some(name) => format!("{} ({name})", finding.rule),
        None => finding.rule.to_string(),
    };
    let rule = output.style(Style::Bad, &printable_line(&rule));
    let mut about = String::new();
    if let Some(cell) = &finding.cell {
        about += &format!("  {cell}");
    }
    if let Some(commit) = &finding.commit {
        about += &format!("  since {} of {}", commit.id, commit.date);
    }
    let about = output.style(Style::Dim, &printable_line(&about));
    let snippet = printable_line(&finding.snippet);
    let next = output.style(Style::Hint, "next:");
    let step = printable_line(&finding.next_step());
    format!("{place}  {rule}{about}\n    {snippet}\n    {next} {step}\n\n")
}

/// A number of things.
pub(super) fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

fn size(bytes: u64) -> String {
    crate::progress::size(bytes)
}
