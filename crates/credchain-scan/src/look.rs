//! Looking at one text.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use credchain_redact::Redactor;

use crate::notebook::{self, Notebook};
use crate::report::{Cell, Finding, KNOWN_VALUE, Skipped};
use crate::scan::{Apart, Settings, descriptions};
use crate::snippet::{Cursor, snippet};
use crate::source::{Oid, Place};

/// A text with a NUL in so many of its first bytes is none for rules, as for git.
const HEAD: usize = 8 << 10;

/// What has been seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) found: Vec<Found>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) texts: u64,
    pub(crate) bytes: u64,
    pub(crate) allowed: u64,
    pub(crate) known_before: u64,
}

/// A finding, and what tells it from others of its kind.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) finding: Finding,
    /// The same for the same value, in this run.
    pub(crate) value: u64,
    /// The blob it is in.
    pub(crate) blob: Option<Oid>,
}

/// Looks for secrets in texts.
pub(crate) struct Looker<'a> {
    settings: &'a Settings,
    descriptions: HashMap<Box<str>, Arc<str>>,
    known: Arc<str>,
    about_known: Arc<str>,
    /// Cleans what is shown around a finding.
    cleaner: Redactor,
    apart: Apart,
}

/// A secret in a text.
struct Hit {
    rule: Arc<str>,
    credential: Option<Arc<str>>,
    secret: Range<usize>,
}

/// A text and what is in it.
struct Page<'a> {
    place: &'a Place,
    text: &'a [u8],
    secrets: &'a [Range<usize>],
    cursor: Cursor<'a>,
}

impl<'a> Looker<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            descriptions: descriptions(&settings.rules),
            known: KNOWN_VALUE.into(),
            about_known: "A credential of this project".into(),
            cleaner: Redactor::builder().patterns(settings.rules.clone()).build(),
            apart: Apart::default(),
        }
    }

    /// Everything in a text that is to be told.
    pub(crate) fn look(&self, place: &Place, text: &[u8]) -> Seen {
        let mut seen = Seen {
            texts: 1,
            bytes: text.len() as u64,
            ..Seen::default()
        };
        let head = text.get(..HEAD).unwrap_or(text);
        let is_binary = memchr::memchr(0, head).is_some();
        let mut hits = self.hits(text, is_binary);
        if place.path.ends_with(".ipynb")
            && let Some(notebook) = Notebook::read(text)
        {
            // What is in a cell is told by cell, and looks different there.
            hits.retain(|hit| !notebook.covers(&hit.secret));
            self.look_at_cells(place, text, &notebook, &mut seen);
        }
        if hits.is_empty() {
            return seen;
        }
        let secrets: Vec<_> = hits.iter().map(|hit| hit.secret.clone()).collect();
        let mut page = Page::new(place, text, &secrets);
        for hit in hits {
            self.tell(&mut page, hit, |line, _| (line, None), &mut seen);
        }
        seen
    }

    fn look_at_cells(&self, place: &Place, file: &[u8], notebook: &Notebook, seen: &mut Seen) {
        let mut file_lines = FileLines::new(file);
        for one in &notebook.texts {
            let text = one.content.as_bytes();
            let hits = self.hits(text, false);
            let secrets: Vec<_> = hits.iter().map(|hit| hit.secret.clone()).collect();
            let mut page = Page::new(place, text, &secrets);
            for hit in hits {
                let mut in_file =
                    |line, at| (file_lines.number(one.in_file(at)), Some(cell(one, line)));
                self.tell(&mut page, hit, &mut in_file, seen);
            }
        }
    }

    /// The secrets in a text, in order. Where a known value and a rule meet, the value is told.
    fn hits(&self, text: &[u8], is_binary: bool) -> Vec<Hit> {
        let known = self.settings.known.find(text);
        let mut hits: Vec<Hit> = known
            .iter()
            .map(|one| Hit {
                rule: self.known.clone(),
                credential: Some(one.name().into()),
                secret: one.span(),
            })
            .collect();
        if is_binary {
            return hits;
        }
        let values = hits.len();
        for found in self.settings.rules.find(text) {
            let secret = found.secret;
            let before = hits[..values].partition_point(|hit| hit.secret.end <= secret.start);
            if before < values && hits[before].secret.start < secret.end {
                continue;
            }
            hits.push(Hit {
                rule: found.rule,
                credential: None,
                secret,
            });
        }
        hits.sort_by_key(|hit| hit.secret.start);
        hits
    }

    /// Adds a finding, unless a comment or the baseline speaks for it.
    fn tell(
        &self,
        page: &mut Page<'_>,
        hit: Hit,
        locate: impl FnOnce(u64, usize) -> (u64, Option<Cell>),
        seen: &mut Seen,
    ) {
        let (text, place) = (page.text, page.place);
        page.cursor.go_to(hit.secret.start);
        if page.cursor.allows(&hit.rule) {
            seen.allowed += 1;
            return;
        }
        let value = text.get(hit.secret.clone()).unwrap_or_default();
        let baseline = self.settings.baseline.as_ref();
        let fingerprint = baseline.map(|baseline| baseline.digest(value));
        if let (Some(baseline), Some(digest)) = (baseline, &fingerprint)
            && baseline.knows(&place.path_from_root, &hit.rule, digest)
        {
            seen.known_before += 1;
            return;
        }
        let description = match self.descriptions.get(&*hit.rule) {
            Some(description) => description.clone(),
            None => self.about_known.clone(),
        };
        let (number, cell) = locate(page.cursor.number(), hit.secret.start);
        let line = page.cursor.line();
        let finding = Finding {
            description,
            credential: hit.credential,
            path: place.path.clone(),
            path_from_root: place.path_from_root.clone(),
            line: number,
            column: page.cursor.column(),
            cell,
            commit: None,
            snippet: snippet(text, &line, &hit.secret, page.secrets, &self.cleaner),
            fingerprint,
            rule: hit.rule,
        };
        seen.found.push(Found {
            finding,
            value: self.apart.number(value),
            blob: place.blob.clone(),
        });
    }
}

fn cell(text: &notebook::Text, line: u64) -> Cell {
    Cell {
        number: text.cell,
        part: text.part,
        line,
    }
}

/// Numbers of lines, asked for in any order.
struct FileLines<'a> {
    file: &'a [u8],
    ends: Option<Vec<usize>>,
}

impl<'a> FileLines<'a> {
    fn new(file: &'a [u8]) -> Self {
        Self { file, ends: None }
    }

    fn number(&mut self, at: usize) -> u64 {
        let file = self.file;
        let ends = self
            .ends
            .get_or_insert_with(|| memchr::memchr_iter(b'\n', file).collect());
        ends.partition_point(|end| *end < at) as u64 + 1
    }
}

impl<'a> Page<'a> {
    fn new(place: &'a Place, text: &'a [u8], secrets: &'a [Range<usize>]) -> Self {
        Self {
            place,
            text,
            secrets,
            cursor: Cursor::new(text),
        }
    }
}

impl Notebook {
    fn covers(&self, secret: &Range<usize>) -> bool {
        let covered = &self.covered;
        let first = covered.partition_point(|range| range.end <= secret.start);
        covered
            .get(first)
            .is_some_and(|range| range.start < secret.end)
    }
}

impl Seen {
    /// Adds what was seen elsewhere.
    pub(crate) fn add(&mut self, mut other: Self) {
        self.found.append(&mut other.found);
        self.skipped.append(&mut other.skipped);
        self.texts += other.texts;
        self.bytes += other.bytes;
        self.allowed += other.allowed;
        self.known_before += other.known_before;
    }
}
