//! Diagnostics as text, in the manner of rustc.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::SourceFile;

/// Labels of one file that are at most this many bytes apart share a snippet.
const NEAR: usize = 1_500;

pub(crate) fn report(list: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut out = String::new();
    for diagnostic in list {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&one(diagnostic, &renderer));
        out.push('\n');
    }
    out
}

fn one(diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code);
    let mut group = Group::with_title(title);
    for excerpt in excerpts(&diagnostic.labels) {
        group = group.element(excerpt.into_snippet());
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The lines around some labels of one file, with what must stay hidden already replaced.
struct Excerpt {
    shown: String,
    line: usize,
    text: String,
    spans: Vec<(Range<usize>, String, bool)>,
}

/// Labels of one file, each with whether it is the first of its diagnostic.
type Near<'a> = (Arc<SourceFile>, Vec<(&'a Label, bool)>);

fn excerpts(labels: &[Label]) -> Vec<Excerpt> {
    let mut groups: Vec<Near<'_>> = Vec::new();
    for (index, label) in labels.iter().enumerate() {
        let near = groups.iter_mut().find(|(file, members)| {
            Arc::ptr_eq(file, &label.file)
                && members
                    .iter()
                    .any(|(other, _)| other.span.start.abs_diff(label.span.start) < NEAR)
        });
        match near {
            Some((_, members)) => members.push((label, index == 0)),
            None => groups.push((label.file.clone(), vec![(label, index == 0)])),
        }
    }
    groups
        .into_iter()
        .map(|(file, members)| Excerpt::new(&file, &members))
        .collect()
}

impl Excerpt {
    fn new(file: &SourceFile, labels: &[(&Label, bool)]) -> Self {
        let lines = file.lines();
        let end_of_file = file.text().len();
        let first = labels
            .iter()
            .map(|(label, _)| label.span.start)
            .min()
            .unwrap_or(0);
        let last = labels
            .iter()
            .map(|(label, _)| label.span.end)
            .max()
            .unwrap_or(0);
        let first_line = lines
            .partition_point(|start| *start <= first.min(end_of_file))
            .max(1)
            - 1;
        let last_line = lines.partition_point(|start| *start <= last.min(end_of_file));
        let start = lines.get(first_line).copied().unwrap_or(0);
        let end = lines.get(last_line).copied().unwrap_or(end_of_file);
        let masked = Masked::new(file, start..end);
        let spans = labels
            .iter()
            .map(|(label, primary)| (masked.map(&label.span), label.text.clone(), *primary))
            .collect();
        Self {
            shown: file.shown().to_owned(),
            line: first_line + 1,
            text: masked.text,
            spans,
        }
    }

    fn into_snippet(self) -> Snippet<'static, annotate_snippets::Annotation<'static>> {
        let annotations = self.spans.into_iter().map(|(span, text, primary)| {
            let kind = if primary {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            let annotation = kind.span(span);
            if text.is_empty() {
                annotation
            } else {
                annotation.label(text)
            }
        });
        Snippet::source(self.text)
            .path(self.shown)
            .line_start(self.line)
            .annotations(annotations.collect::<Vec<_>>())
    }
}

/// A part of a file with every masked span written as `***`, line breaks kept.
struct Masked {
    window: Range<usize>,
    text: String,
    /// Each masked span, and where its replacement stands.
    moved: Vec<(Range<usize>, Range<usize>)>,
}

impl Masked {
    fn new(file: &SourceFile, window: Range<usize>) -> Self {
        let source = file.text();
        let mut text = String::with_capacity(window.len());
        let mut moved = Vec::new();
        let mut at = window.start;
        for mask in file.masks_in(&window) {
            text.push_str(&source[at..mask.start]);
            let start = text.len();
            text.push_str("***");
            let breaks = source[mask.clone()].matches('\n').count();
            text.extend(std::iter::repeat_n('\n', breaks));
            at = mask.end;
            moved.push((mask, start..text.len()));
        }
        text.push_str(&source[at..window.end]);
        Self {
            window,
            text,
            moved,
        }
    }

    /// Where a span of the file stands in the masked text.
    fn map(&self, span: &Range<usize>) -> Range<usize> {
        let start = self
            .text
            .floor_char_boundary(self.offset(span.start, false));
        let end = self.text.ceil_char_boundary(self.offset(span.end, true));
        start.min(end)..end
    }

    fn offset(&self, at: usize, is_end: bool) -> usize {
        let at = at.clamp(self.window.start, self.window.end);
        let mut shift_from = (self.window.start, 0);
        for (old, new) in &self.moved {
            if at <= old.start {
                break;
            }
            if at < old.end {
                return if is_end { new.start + 3 } else { new.start };
            }
            shift_from = (old.end, new.end);
        }
        // A span that ended with a masked multi-line text ends with its stars.
        shift_from.1 + (at - shift_from.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Place;

    #[test]
    fn a_masked_value_never_appears_and_the_underline_still_fits() {
        let text = "a = 1\nauth = { token = \"canary\", metod = 1 }\n";
        let file = SourceFile::new("c.toml".into(), "c.toml".into(), text.into());
        let at = |needle: &str| {
            let start = text.find(needle).unwrap();
            start..start + needle.len()
        };
        file.mask(at("\"canary\""));
        let rendered = Diagnostic::error("config::unknown-key", "unknown key `metod`")
            .at(&Place::File(file, at("metod")), "here")
            .render(false);
        assert!(!rendered.contains("canary"));
        assert!(
            rendered.contains("2 | auth = { token = ***, metod = 1 }"),
            "{rendered}"
        );
        assert!(
            rendered.contains("  |                       ^^^^^ here"),
            "{rendered}"
        );
    }

    #[test]
    fn places_far_apart_are_shown_without_what_is_between() {
        let text = format!("first = 1\n{}second = 2\n", "# filler\n".repeat(1_000));
        let file = SourceFile::new("c.toml".into(), "c.toml".into(), text.clone());
        let second = text.find("second").unwrap();
        let rendered = Diagnostic::error("config::x", "two")
            .at(&Place::File(file.clone(), second..second + 6), "again")
            .at(&Place::File(file, 0..5), "first")
            .render(false);
        assert!(rendered.contains("1002 | second = 2") || rendered.contains("1001 | second = 2"));
        assert!(rendered.contains("first = 1"));
        assert!(rendered.lines().count() < 15, "{rendered}");
    }
}
