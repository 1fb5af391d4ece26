//! `cargo xtask docs`: code in the docs is taken from files that are compiled and tested.
//!
//! `<!-- include: PATH#ANCHOR -->` up to `<!-- /include -->` is filled with the part of the file
//! between `ANCHOR: name` and `ANCHOR_END: name`; without `#ANCHOR` with the whole file.
//! An included `.tsv` becomes a table. `<!-- faults -->` up to `<!-- /faults -->` is filled with what
//! the providers' fault tests found.

use std::fs;
use std::path::Path;

use crate::reference;
use crate::run::{Failure, Outcome, has_ending, root, tracked_files};
use crate::test;

const OPENING: &str = "<!-- include: ";
const CLOSING: &str = "<!-- /include -->";

const FAULTS: [&str; 2] = ["<!-- faults -->", "<!-- /faults -->"];

/// Whether stale files are written or reported.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Brings every generated part of the tree up to date, or tells which is not.
pub(crate) fn run(mode: Mode) -> Outcome {
    let mut stale = Vec::new();
    for (file, new) in reference::files(&test::build()?)? {
        let path = root().join(file);
        let old = fs::read_to_string(&path).unwrap_or_default();
        update(mode, &path, &old, &new, &mut stale)?;
    }
    for file in tracked_files()?
        .into_iter()
        .filter(|file| has_ending(file, &["md"]))
    {
        let path = root().join(&file);
        let old = fs::read_to_string(&path)?;
        let new = fill(&old).map_err(|failure| Failure::new(format!("{file}: {failure}")))?;
        update(mode, &path, &old, &new, &mut stale)?;
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "stale, `cargo xtask docs` renews: {}",
        stale.join(", ")
    )))
}

fn update(mode: Mode, path: &Path, old: &str, new: &str, stale: &mut Vec<String>) -> Outcome {
    if old == new {
        return Ok(());
    }
    let name = path
        .strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string();
    match mode {
        Mode::Check => stale.push(name),
        Mode::Write => {
            fs::write(path, new)?;
            eprintln!("wrote {name}");
        }
    }
    Ok(())
}

/// The document with each included part as it is in its file now.
fn fill(document: &str) -> Outcome<String> {
    let mut filled = String::with_capacity(document.len());
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        filled.push_str(line);
        filled.push('\n');
        if line == FAULTS[0] {
            if !lines.any(|line| line == FAULTS[1]) {
                return Err(Failure::new(format!("`{line}` has no `{}`", FAULTS[1])));
            }
            filled.extend([&faults()?, FAULTS[1], "\n"]);
            continue;
        }
        let Some(source) = line
            .strip_prefix(OPENING)
            .and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        if !lines.any(|line| line == CLOSING) {
            return Err(Failure::new(format!("`{line}` has no `{CLOSING}`")));
        }
        let (path, anchor) = match source.split_once('#') {
            Some((path, anchor)) => (path, Some(anchor)),
            None => (source, None),
        };
        let text = fs::read_to_string(root().join(path))
            .map_err(|error| Failure::new(format!("{path}: {error}")))?;
        let part = extract(&text, anchor).ok_or_else(|| {
            Failure::new(format!("{path} has no anchor `{}`", anchor.unwrap_or("")))
        })?;
        if language(path) == "tsv" {
            filled.extend([&table(&part)?, CLOSING, "\n"]);
        } else {
            filled.extend(["```", language(path), "\n", &part, "```\n", CLOSING, "\n"]);
        }
    }
    Ok(filled)
}

/// A table whose columns are separated by tabs, in Markdown. A last column `test` names the test
/// that shows what the row says, as the runner of the tests does: it has to exist, and is left out.
fn table(text: &str) -> Outcome<String> {
    let mut rows = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let head = rows.next().unwrap_or_default();
    let tested = head.last() == Some(&"test");
    let shown = head.len() - usize::from(tested);
    let files = if tested { tracked_files()? } else { Vec::new() };
    let mut table = String::new();
    let mut line = |cells: &[&str]| {
        let cells: String = cells.iter().map(|cell| format!(" {cell} |")).collect();
        table.push_str(&format!("|{cells}\n"));
    };
    line(&head[..shown]);
    line(&vec!["---"; shown]);
    for row in rows {
        if row.len() != head.len() {
            return Err(Failure::new(format!("`{}` is no row", row.join(" "))));
        }
        if tested {
            exists(row[shown], &files)?;
        }
        line(&row[..shown]);
    }
    Ok(table)
}

/// Whether there is a test of this name, such as `package::binary name` or `package module::name`.
fn exists(test: &str, files: &[String]) -> Outcome {
    let name = test.rsplit([' ', ':']).next().unwrap_or_default();
    let package = test.split([' ', ':']).next().unwrap_or_default();
    let folder = match package {
        "credchain-tests" => "tests/".to_owned(),
        other => format!("crates/{other}/"),
    };
    let definition = format!("fn {name}()");
    for file in files {
        if file.starts_with(&folder)
            && has_ending(file, &["rs"])
            && fs::read_to_string(root().join(file))?.contains(&definition)
        {
            return Ok(());
        }
    }
    Err(Failure::new(format!("there is no test `{test}`")))
}

/// The tables that the providers' fault tests compare themselves with, side by side.
fn faults() -> Outcome<String> {
    let mut tables = Vec::new();
    for file in tracked_files()? {
        let provider = file
            .strip_prefix("providers/")
            .and_then(|rest| rest.strip_suffix("/tests/faults.tsv"));
        if let Some(provider) = provider {
            tables.push((provider.to_owned(), fs::read_to_string(root().join(&file))?));
        }
    }
    Ok(credchain_tests::faults::render(&tables))
}

/// The lines of one anchor, or of the whole file, without the marks and their indentation.
fn extract(text: &str, anchor: Option<&str>) -> Option<String> {
    let mark = |line: &str, kind: &str| {
        let comment = line
            .trim_start()
            .trim_start_matches(['/', '#'])
            .trim_start();
        comment
            .strip_prefix(kind)
            .map(|name| name.trim().to_owned())
    };
    let mut inside = anchor.is_none();
    let mut seen = inside;
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(name) = mark(line, "ANCHOR:") {
            inside |= anchor == Some(name.as_str());
            seen |= inside;
        } else if let Some(name) = mark(line, "ANCHOR_END:") {
            inside &= anchor != Some(name.as_str());
        } else if inside {
            lines.push(line);
        }
    }
    let indent = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let dedented = lines
        .iter()
        .map(|line| line.get(indent..).unwrap_or("").to_owned() + "\n");
    seen.then(|| dedented.collect())
}

fn language(path: &str) -> &str {
    match Path::new(path)
        .extension()
        .and_then(|ending| ending.to_str())
    {
        Some("rs") => "rust",
        Some("py") => "python",
        Some("yml") => "yaml",
        Some(other) => other,
        None => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::{extract, fill};

    const SOURCE: &str = "a\n    // ANCHOR: x\n    b\n\n      c\n    // ANCHOR_END: x\nd\n";

    #[test]
    fn an_anchor_takes_its_lines_without_their_common_indentation() {
        assert_eq!(extract(SOURCE, Some("x")).as_deref(), Some("b\n\n  c\n"));
    }

    #[test]
    fn a_whole_file_comes_without_the_marks() {
        assert_eq!(
            extract(SOURCE, None).as_deref(),
            Some("a\n    b\n\n      c\nd\n")
        );
    }

    #[test]
    fn an_unknown_anchor_is_an_error() {
        assert_eq!(extract(SOURCE, Some("y")), None);
        let document = "<!-- include: rustfmt.toml#nothing -->\n<!-- /include -->\n";
        assert!(
            fill(document)
                .unwrap_err()
                .to_string()
                .contains("no anchor `nothing`")
        );
    }

    #[test]
    fn a_filled_document_stays_as_it_is() {
        let document = "# A\n<!-- include: rustfmt.toml -->\n<!-- /include -->\nend\n";
        let once = fill(document).unwrap();
        assert!(once.contains("```toml\nmax_width"), "{once}");
        assert_eq!(fill(&once).unwrap(), once);
    }
}
