//! How a tool that knows nothing of credchain is asked: which arguments, what on stdin, how its
//! output is read, and what its exit code and messages mean. All of it is data: the presets are
//! in `presets.json`, a table of the settings makes another.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::rules::Rule;

/// The presets, in the order of their names.
static PRESETS: LazyLock<BTreeMap<String, Recipe>> = LazyLock::new(|| {
    // A test parses the embedded file; should it be broken there are no presets.
    serde_json::from_str(include_str!("presets.json")).unwrap_or_default()
});

/// The names of the presets, for the settings table.
pub(crate) const NAMES: [&str; 7] = [
    "pass",
    "gopass",
    "git-credential",
    "docker-credential",
    "aws-credential-process",
    "op",
    "bw",
];

/// How one tool is used.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    #[serde(default)]
    pub(crate) summary: String,
    /// What it was tested with; nothing means that it was written from documentation alone.
    #[serde(default)]
    pub(crate) verified: Option<String>,
    /// The tool, unless the settings name it.
    #[serde(default)]
    pub(crate) program: Option<String>,
    /// Variables for the tool; `{inherited}` stands for the caller's value.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) encrypted: bool,
    #[serde(default)]
    pub(crate) text_only: bool,
    /// Paths are files in a tree: two that differ in an empty or `.` segment would be the same.
    #[serde(default)]
    pub(crate) tidy_paths: bool,
    pub(crate) get: Call,
    #[serde(default)]
    pub(crate) set: Option<Call>,
    #[serde(default)]
    pub(crate) delete: Option<Call>,
    #[serde(default)]
    pub(crate) list: Option<Call>,
    /// What a call's exit means, after the call's own rules; the first that fits decides.
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
}

/// One way to call the tool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) stdin: Stdin,
    #[serde(default)]
    pub(crate) output: Output,
    /// The field that is meant when a reference names none; otherwise the whole output is.
    #[serde(default)]
    pub(crate) default_field: Option<String>,
    /// The field with the time at which the value expires.
    #[serde(default)]
    pub(crate) expires: Option<String>,
    /// If all of these fields are empty the tool has nothing.
    #[serde(default)]
    pub(crate) missing_if_empty: Vec<String>,
    /// What the document has to say of itself.
    #[serde(default)]
    pub(crate) must_be: BTreeMap<String, Value>,
    /// The tool succeeds whatever happened: a write is confirmed by reading.
    #[serde(default)]
    pub(crate) read_back: bool,
    /// The tool answers for folders too: only what its list has is a value.
    #[serde(default)]
    pub(crate) only_listed: bool,
    /// The tool does not tell whether there was something: read first.
    #[serde(default)]
    pub(crate) look_first: bool,
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
}

/// What the tool reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stdin {
    /// Nothing: the end comes at once.
    #[default]
    Nothing,
    /// The value, byte for byte.
    Value,
    /// The value and a newline, for tools whose users end each value with one.
    ValueAndNewline,
    /// The path and a newline.
    Path,
    /// `url=PATH` in git's format.
    GitUrl,
    /// `url=PATH` and the value as the password, in git's format.
    GitApprove,
    /// Docker's JSON with the path as the address and the value as the secret.
    DockerStore,
}

/// What the tool writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Output {
    /// The value, byte for byte.
    Exact,
    /// The value and at most one newline that is not part of it.
    #[default]
    Trimmed,
    /// The value is the first line.
    FirstLine,
    /// A JSON object; its keys are fields.
    Json,
    /// Lines `key=value`; the keys are fields.
    KeyValue,
    /// As `pass` users write: the field `password` is the first line, others are lines
    /// `key: value` below it; one newline at the end is not part of the whole.
    Pass,
    /// For a list: a place on each line.
    Lines,
    /// For a list: a JSON object whose keys are places.
    JsonKeys,
}

impl Output {
    /// Whether a reference's field can be found in the output.
    pub(crate) const fn has_fields(self) -> bool {
        matches!(self, Self::Json | Self::KeyValue | Self::Pass)
    }
}

/// The preset with this name.
pub(crate) fn preset(name: &str) -> Option<&'static Recipe> {
    PRESETS.get(name)
}

/// Every preset: its name, what it is for, and what it was tested with.
///
/// ```
/// let (_, _, verified) =
///     credchain_provider_command::presets().find(|(name, ..)| *name == "op").unwrap();
/// assert!(verified.is_none(), "written from documentation alone");
/// ```
pub fn presets() -> impl Iterator<Item = (&'static str, &'static str, Option<&'static str>)> {
    PRESETS.iter().map(|(name, recipe)| {
        (
            name.as_str(),
            recipe.summary.as_str(),
            recipe.verified.as_deref(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_presets_parse_and_are_complete() {
        let presets: BTreeMap<String, Recipe> =
            serde_json::from_str(include_str!("presets.json")).unwrap();
        let mut names = NAMES;
        names.sort_unstable();
        assert!(presets.keys().eq(names.iter()));
        for recipe in presets.values() {
            assert!(!recipe.summary.is_empty());
            let calls = [
                Some(&recipe.get),
                recipe.set.as_ref(),
                recipe.delete.as_ref(),
            ];
            for rule in calls
                .into_iter()
                .flatten()
                .flat_map(|call| &call.rules)
                .chain(&recipe.rules)
            {
                rule.check().unwrap();
            }
        }
    }
}
