//! `resolve doctor`

use std::process::ExitCode;

use serde::Serialize;

use crate::app::App;
use crate::doctor::{CHECKS, Row, Site, Status};
use crate::failure::{FINDINGS, Failure};
use crate::output::{Output, Style};

/// How many lines of evidence and of fixes of one check people get; JSON has them all.
const SHOWN: usize = 12;

/// Arguments of `doctor`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve doctor            what gives secrets away here, with the command that mends each\n  \
    resolve doctor --fix      mends what is safe to mend: modes, and what git ignores\n  \
    resolve doctor --json\n\n\
    `--fix` takes rights away from others and adds lines to `.gitignore`; it never changes\n\
    what a file says, what git tracks, or a value. `docs/doctor.md` describes each check.\n\n\
    Exit codes: 0 nothing was found; 8 something is to be mended.")]
pub(crate) struct Args {
    /// Mend what is safe to mend, and look again
    #[arg(long)]
    fix: bool,
    /// Ask servers too: how long logins last, and values that are kept there
    #[arg(long)]
    online: bool,
}

/// `doctor --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    checks: Vec<Row>,
}

/// Runs every check, and tells about each.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let site = Site::new(app, args.online)?;
    let checks: Vec<Row> = CHECKS
        .iter()
        .map(|check| check.row(&site, args.fix))
        .collect();
    let found = checks.iter().any(|row| row.status == Status::Finding);
    if app.output().is_json() {
        let document = Document { version: 1, checks };
        app.output().json(&document)?;
    } else {
        app.output().data(text(&checks, app.output()).as_bytes())?;
    }
    Ok(ExitCode::from(if found { FINDINGS } else { 0 }))
}

fn text(rows: &[Row], output: &Output) -> String {
    let width = rows.iter().map(|row| row.check.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        text += &row_text(row, width, output);
    }
    let found = rows.iter().filter(|row| row.status == Status::Finding);
    let (count, mendable) = found.fold((0, false), |(count, mendable), row| {
        (count + 1, mendable || row.mendable)
    });
    text += &match count {
        0 => "\nnothing was found\n".to_owned(),
        1 => "\n1 check found something\n".to_owned(),
        count => format!("\n{count} checks found something\n"),
    };
    if mendable {
        text += &format!(
            "{} `resolve doctor --fix` mends what is safe to mend\n",
            output.style(Style::Hint, "hint:")
        );
    }
    text
}

fn row_text(row: &Row, width: usize, output: &Output) -> String {
    let (mark, style) = match row.status {
        Status::Ok => ("ok", Style::Good),
        Status::Finding => ("finding", Style::Bad),
        Status::Skipped => ("skipped", Style::Dim),
    };
    let about = |line: &String| match row.status {
        Status::Finding => line.clone(),
        _ => output.style(Style::Dim, line),
    };
    let mut lines: Vec<String> = cut(row.evidence.iter()).iter().map(about).collect();
    let fixes = row.fix.iter().flat_map(|fix| fix.lines());
    let fixes = cut(fixes.map(str::to_owned).collect::<Vec<_>>().iter());
    let fix = output.style(Style::Hint, "fix:");
    lines.extend(fixes.iter().map(|line| format!("{fix} {line}")));
    let done = output.style(Style::Good, "fixed:");
    lines.extend(row.fixed.iter().map(|what| format!("{done} {what}")));
    let mark = output.style(style, &format!("{mark:7}"));
    let mut text = String::new();
    let mut head = format!("{mark}  {:width$}", row.check);
    let indent = " ".repeat(9 + width);
    for line in &lines {
        text += &format!("{head}  {line}\n");
        head.clone_from(&indent);
    }
    if lines.is_empty() {
        text = format!("{}\n", head.trim_end());
    }
    text
}

/// The first lines, and how many more there are.
fn cut<'a>(lines: impl ExactSizeIterator<Item = &'a String>) -> Vec<String> {
    let more = lines.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = lines.take(SHOWN).cloned().collect();
    if more > 0 {
        shown.push(format!("… and {more} more; `--json` has them all"));
    }
    shown
}
