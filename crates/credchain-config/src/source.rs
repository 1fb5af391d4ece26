//! The text of a configuration file, and places in it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One file that was read, with what is needed to point into it.
pub struct SourceFile {
    path: PathBuf,
    shown: String,
    text: String,
    lines: OnceLock<Vec<usize>>,
    /// Where each hidden part starts and ends.
    masks: Mutex<BTreeMap<usize, usize>>,
}

impl SourceFile {
    pub(crate) fn new(path: PathBuf, shown: String, text: String) -> Arc<Self> {
        Arc::new(Self {
            path,
            shown,
            text,
            lines: OnceLock::new(),
            masks: Mutex::new(BTreeMap::new()),
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path as messages show it: relative to the working directory where that is shorter.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The bytes that were parsed; no later reading of the file can differ from them.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line and column of a byte, both from 1, columns in characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let lines = self.lines();
        let line = lines.partition_point(|start| *start <= offset);
        let start = lines.get(line - 1).copied().unwrap_or(0);
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The byte where each line starts.
    pub(crate) fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let breaks = self
                .text
                .bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect()
        })
    }

    /// Makes sure that this part never appears in a snippet.
    pub(crate) fn mask(&self, span: Range<usize>) {
        let mut masks = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        // Kept free of overlaps, so that looking one up needs no more than its neighbours.
        let (mut start, mut end) = (span.start, span.end.max(span.start));
        while let Some((&from, &to)) = masks
            .range(..=end)
            .next_back()
            .filter(|(_, to)| **to >= start)
        {
            masks.remove(&from);
            start = start.min(from);
            end = end.max(to);
        }
        masks.insert(start, end);
    }

    /// The masked parts that touch `window`, in order.
    pub(crate) fn masks_in(&self, window: &Range<usize>) -> Vec<Range<usize>> {
        let masks = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Range<usize>> = masks
            .range(..window.end)
            .rev()
            .take_while(|(_, end)| **end > window.start)
            .map(|(start, end)| (*start).max(window.start)..(*end).min(window.end))
            .collect();
        found.reverse();
        found
    }
}

impl fmt::Debug for SourceFile {
    // The text is left out: a user may have put a secret where it does not belong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Where a setting was written.
#[derive(Clone, Debug, Default)]
pub(crate) enum Place {
    /// Nowhere: it is a default.
    #[default]
    Default,
    /// In a file, at these bytes.
    File(Arc<SourceFile>, Range<usize>),
    /// In an environment variable.
    Variable(String),
    /// On the command line.
    Argument(String),
}

/// Where a setting comes from, as `resolve config show` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file; line and column count from 1.
    #[non_exhaustive]
    File {
        /// The file's path as messages show it.
        path: String,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// An environment variable.
    Variable(String),
    /// The command line.
    Argument(String),
}

impl Place {
    /// The form for people.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Default => Origin::Default,
            Self::File(file, span) => {
                let (line, column) = file.position(span.start);
                Origin::File {
                    path: file.shown().to_owned(),
                    line,
                    column,
                }
            }
            Self::Variable(name) => Origin::Variable(name.clone()),
            Self::Argument(key) => Origin::Argument(key.clone()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Argument(key) => write!(f, "command line, {key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let file = SourceFile::new("x".into(), "x".into(), "a\näö = 1\n".into());
        assert_eq!(file.position(0), (1, 1));
        assert_eq!(file.position(2), (2, 1));
        assert_eq!(file.position(6), (2, 3));
        assert_eq!(file.position(9_999), (3, 1));
    }

    #[test]
    fn overlapping_masks_are_joined() {
        let file = SourceFile::new("x".into(), "x".into(), "0123456789".into());
        file.mask(4..6);
        file.mask(1..5);
        file.mask(8..10);
        assert_eq!(file.masks_in(&(0..9)), vec![1..6, 8..9]);
    }
}
