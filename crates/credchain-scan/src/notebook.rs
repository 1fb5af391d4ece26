//! The cells of Jupyter notebooks, as the text that a person sees.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::report::Part;

/// What is in the cells of a notebook.
#[derive(Default)]
pub(crate) struct Notebook {
    pub(crate) texts: Vec<Text>,
    /// The bytes of the file that the texts were made of, and pictures, which are no text; in order.
    pub(crate) covered: Vec<Range<usize>>,
}

/// The source of a cell, or a text that came of it.
pub(crate) struct Text {
    pub(crate) cell: u64,
    pub(crate) part: Part,
    pub(crate) content: String,
    /// Which byte of the text came from which byte of the file.
    pieces: Vec<(usize, usize)>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    cells: Vec<CellOf<'a>>,
}

#[derive(Deserialize)]
struct CellOf<'a> {
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow, default)]
    outputs: Vec<Output<'a>>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    traceback: Option<&'a RawValue>,
    #[serde(borrow)]
    evalue: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

impl Notebook {
    /// Reads a notebook; nothing if it is none.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        let file = std::str::from_utf8(file).ok()?;
        let parsed: File<'_> = serde_json::from_str(file).ok()?;
        let mut notebook = Self::default();
        for (number, cell) in (1..).zip(&parsed.cells) {
            if let Some(source) = cell.source {
                notebook.add(file, number, Part::Source, source);
            }
            for output in &cell.outputs {
                let data = output.data.iter();
                let (pictures, texts): (Vec<_>, Vec<_>) =
                    data.partition(|(kind, _)| kind.starts_with("image/"));
                for (_, picture) in pictures {
                    notebook.covered.extend(span(file, picture));
                }
                let plain = [output.text, output.traceback, output.evalue];
                let texts = texts.into_iter().map(|(_, text)| *text);
                for text in plain.into_iter().flatten().chain(texts) {
                    notebook.add(file, number, Part::Output, text);
                }
            }
        }
        notebook.covered.sort_unstable_by_key(|range| range.start);
        Some(notebook)
    }

    /// Adds a text: a string, or a list of strings that are put together.
    fn add(&mut self, file: &str, cell: u64, part: Part, raw: &RawValue) {
        let lines: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_else(|_| vec![raw]);
        let mut content = String::new();
        let mut pieces = Vec::new();
        for line in lines {
            // Anything else than a string is left to the search of the file itself.
            let (Ok(piece), Some(span)) =
                (serde_json::from_str::<String>(line.get()), span(file, line))
            else {
                return;
            };
            // Each is a line; those of tracebacks do not say so.
            if !content.is_empty() && !content.ends_with('\n') {
                content.push('\n');
            }
            pieces.push((content.len(), span.start));
            content.push_str(&piece);
        }
        self.covered.extend(span(file, raw));
        self.texts.push(Text {
            cell,
            part,
            content,
            pieces,
        });
    }
}

impl Text {
    /// The byte of the file where the string begins that a byte of the text is from.
    pub(crate) fn in_file(&self, at: usize) -> usize {
        let after = self.pieces.partition_point(|(start, _)| *start <= at);
        let piece = after.checked_sub(1).and_then(|last| self.pieces.get(last));
        piece.map_or(0, |(_, file)| *file)
    }
}

/// Where in the file a value stands that was borrowed from it.
fn span(file: &str, raw: &RawValue) -> Option<Range<usize>> {
    let start = (raw.get().as_ptr().addr()).checked_sub(file.as_ptr().addr())?;
    let end = start + raw.get().len();
    (end <= file.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_outputs_are_read_without_their_escapes_and_known_by_place() {
        let file = r#"{
 "cells": [
  {"cell_type": "markdown", "source": "one \"line\""},
  {"cell_type": "code",
   "source": [
    "a = 1\n",
    "b = \"x\\ty\""
   ],
   "outputs": [
    {"output_type": "stream", "text": ["out\n"]},
    {"data": {"text/plain": "'v'", "image/png": "AAAA", "application/json": {"a": 1}}},
    {"ename": "E", "evalue": "bad", "traceback": ["t1", "t2"]}
   ]}
 ],
 "metadata": {}, "nbformat": 4
}"#;
        let notebook = Notebook::read(file.as_bytes()).unwrap();
        let shown: Vec<_> = notebook
            .texts
            .iter()
            .map(|text| (text.cell, text.part, text.content.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (1, Part::Source, "one \"line\""),
                (2, Part::Source, "a = 1\nb = \"x\\ty\""),
                (2, Part::Output, "out\n"),
                (2, Part::Output, "'v'"),
                (2, Part::Output, "t1\nt2"),
                (2, Part::Output, "bad"),
            ]
        );
        let source = &notebook.texts[1];
        let line = |at| file[..source.in_file(at)].matches('\n').count() + 1;
        assert_eq!((line(0), line(6), line(10)), (6, 7, 7));
        assert!(Notebook::read(b"{}").is_none());
        assert!(Notebook::read(b"\xff").is_none());
    }
}
