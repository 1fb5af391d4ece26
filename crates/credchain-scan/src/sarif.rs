//! The report as SARIF 2.1.0, for code scanning services.

use std::collections::BTreeMap;

use credchain_redact::Rules;
use serde_json::{Value, json};

use crate::report::{Finding, KNOWN_VALUE, Report, Skipped};

impl Report {
    /// The report as a document in SARIF 2.1.0. The rules are those of the scan; the version is that
    /// of the program.
    pub fn to_sarif(&self, rules: &Rules, version: &str) -> Value {
        let used: BTreeMap<&str, &str> = self
            .findings
            .iter()
            .map(|finding| (&*finding.rule, &*finding.description))
            .collect();
        let sources: BTreeMap<&str, &str> =
            rules.iter().map(|rule| (rule.name, rule.source)).collect();
        let described: Vec<Value> = used
            .iter()
            .map(|(name, description)| {
                rule(name, description, sources.get(name).copied().unwrap_or(""))
            })
            .collect();
        let results: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                result(
                    finding,
                    used.keys().position(|rule| **rule == *finding.rule),
                )
            })
            .collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "credchain",
                    "version": version,
                    "rules": described,
                }},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"%SRCROOT%": {
                    "description": {"text": "The root of the repository"},
                }},
                "invocations": [{
                    "executionSuccessful": true,
                    "toolExecutionNotifications":
                        self.skipped.iter().map(notification).collect::<Vec<_>>(),
                }],
                "results": results,
            }],
        })
    }
}

fn rule(name: &str, description: &str, source: &str) -> Value {
    let help = if name == KNOWN_VALUE {
        "Rotate the credential: it must be seen as known to everybody."
    } else {
        "Rotate it if it is real. A comment `credchain:allow` in the line allows a false alarm."
    };
    let mut rule = json!({
        "id": name,
        "shortDescription": {"text": description},
        "help": {"text": help},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["security"], "security-severity": "8.0"},
    });
    if !source.is_empty() {
        rule["helpUri"] = source.into();
    }
    rule
}

fn result(finding: &Finding, rule: Option<usize>) -> Value {
    let what = match &finding.credential {
        Some(name) => format!("the value of the credential `{name}`"),
        None => finding.description.to_string(),
    };
    let mut region = json!({
        "startLine": finding.line,
        "snippet": {"text": finding.snippet},
    });
    // In a notebook the column is that of the cell's line, which is no place in the file.
    if finding.cell.is_none() {
        region["startColumn"] = finding.column.into();
    }
    let mut result = json!({
        "ruleId": &*finding.rule,
        "level": "error",
        "message": {"text": format!("{what}: {}", finding.next_step())},
        "locations": [{"physicalLocation": {
            "artifactLocation": location(&finding.path_from_root),
            "region": region,
        }}],
    });
    if let Some(rule) = rule {
        result["ruleIndex"] = rule.into();
    }
    let mut properties = json!({});
    if let Some(commit) = &finding.commit {
        properties["commit"] = json!({"id": commit.id, "date": commit.date});
    }
    if let Some(cell) = &finding.cell {
        properties["cell"] = json!(cell);
    }
    if properties != json!({}) {
        result["properties"] = properties;
    }
    result
}

fn notification(skipped: &Skipped) -> Value {
    json!({
        "level": "warning",
        "message": {"text": format!("`{}` was not scanned: {}", skipped.path, skipped.reason)},
    })
}

fn location(path: &str) -> Value {
    let encoded = uri(path);
    if path.starts_with('/') {
        json!({"uri": format!("file://{encoded}")})
    } else {
        json!({"uri": encoded, "uriBaseId": "%SRCROOT%"})
    }
}

/// A path as a relative reference of RFC 3986.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_references() {
        assert_eq!(uri("a b/ü#.txt"), "a%20b/%C3%BC%23.txt");
    }
}
