//! `[project]`, `[redaction]` and `[audit]`.

use credchain_core::parse_size;
use figment::value::Value;

use super::{Assembly, Fields};
use crate::diagnostic::Diagnostic;
use crate::model::{AuditSpec, OnFailure, Patterns, RedactionRule, Replace};

pub(super) fn read(cx: &mut Assembly<'_>) {
    project(cx);
    redaction(cx);
    if let Some(table) = cx.table(&["audit"]) {
        let on_failure = match Fields(table).text("on_failure") {
            Some("stop") => OnFailure::Stop,
            _ => OnFailure::Continue,
        };
        let fields = Fields(table);
        let path = |key: &str| fields.text(key).map(|path| cx.project.base().join(path));
        let size = match table.get("max_size") {
            Some(Value::String(_, text)) => parse_size(text),
            _ => fields.integer("max_size"),
        };
        cx.project.audit = Some(AuditSpec {
            on_failure,
            path: path("path"),
            anchor: path("anchor"),
            durable: fields.bool("durable").unwrap_or(false),
            fingerprint: fields.bool("fingerprint").unwrap_or(false),
            max_size: size.unwrap_or(16 << 20),
            keep: fields.integer("keep"),
        });
    }
}

fn project(cx: &mut Assembly<'_>) {
    let Some(name) = cx
        .table(&["project"])
        .and_then(|table| Fields(table).text("name"))
    else {
        return;
    };
    if is_segment(name) {
        name.clone_into(&mut cx.project.name);
        return;
    }
    let place = cx.merged.value_place(&["project", "name"]);
    cx.report(
        Diagnostic::error("config::bad-project-name", "this cannot be a project's name")
            .at(&place, "not a project's name")
            .help("up to 63 letters, digits, `_`, `-` and `.`, beginning with a letter or digit: it is part of paths at every backend"),
    );
}

fn redaction(cx: &mut Assembly<'_>) {
    let Some(table) = cx.table(&["redaction"]) else {
        return;
    };
    let fields = Fields(table);
    let spec = &mut cx.project.redaction;
    if fields.bool("patterns") == Some(false) {
        spec.patterns = Patterns::Off;
    } else if let Some(names) = fields.texts("patterns") {
        spec.patterns = Patterns::Named(names.into_iter().map(str::to_owned).collect());
    }
    if let Some(length) = fields.integer("min_length") {
        spec.min_length = length;
    }
    spec.replace = match fields.text("replace") {
        Some("name") => Replace::Name,
        Some("fingerprint") => Replace::Fingerprint,
        _ => Replace::Stars,
    };
    if let Some(Value::Array(_, rules)) = table.get("rules") {
        spec.rules = rules
            .iter()
            .filter_map(|rule| {
                let fields = Fields(rule.as_dict()?);
                Some(RedactionRule {
                    name: fields.owned("name")?,
                    pattern: fields.owned("pattern")?,
                })
            })
            .collect();
    }
}

/// Whether a name can be one segment of a path at every backend.
pub(crate) fn is_segment(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names_cannot_leave_their_segment() {
        for bad in ["", "..", "a/b", ".hidden", "a..b", "a b", "-x"] {
            assert!(!is_segment(bad), "{bad}");
        }
        assert!(is_segment("my-pipeline_2.0"));
    }
}
