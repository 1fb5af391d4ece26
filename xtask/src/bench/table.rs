//! The table of results, in `docs/performance.md`.

use std::fs;

use crate::run::{Failure, Outcome, root};

const DOCUMENT: &str = "docs/performance.md";

/// One line of the table.
pub(super) struct Row {
    id: &'static str,
    what: String,
    measured: String,
    budget: String,
    met: bool,
}

impl Row {
    /// A result; an empty budget means that there is none.
    pub(super) fn new(
        id: &'static str,
        what: &str,
        measured: String,
        budget: &str,
        met: bool,
    ) -> Self {
        Self {
            id,
            what: what.to_owned(),
            measured,
            budget: budget.to_owned(),
            met,
        }
    }
}

/// The table as Markdown.
pub(super) fn render(rows: &[Row]) -> String {
    let mut table = String::from("| | what | measured | budget | |\n|---|---|---|---|---|\n");
    for Row {
        id,
        what,
        measured,
        budget,
        met,
    } in rows
    {
        let met = match (budget.is_empty(), met) {
            (true, _) => "",
            (false, true) => "met",
            (false, false) => "**missed**",
        };
        table.extend([
            "| ", id, " | ", what, " | ", measured, " | ", budget, " | ", met, " |\n",
        ]);
    }
    table
}

/// Puts a table between its marks in the document.
pub(super) fn write(name: &str, table: &str) -> Outcome {
    let path = root().join(DOCUMENT);
    let text = fs::read_to_string(&path)?;
    let (opening, closing) = (
        format!("<!-- bench: {name} -->\n"),
        format!("<!-- /bench: {name} -->"),
    );
    let place = |mark: &str| {
        text.find(mark)
            .ok_or_else(|| Failure::new(format!("{DOCUMENT} has no `{}`", mark.trim())))
    };
    let (start, end) = (place(&opening)? + opening.len(), place(&closing)?);
    fs::write(&path, [&text[..start], table, &text[end..]].concat())?;
    Ok(())
}
