//! How a tool that knows nothing of credchain is asked: which arguments, what on stdin, how its
//! output is read, and what its exit code and messages mean. All of it is data: the presets are
//! in `presets.json`, a table of the settings makes another.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use credchain_core::{Error, Kind, Project, Reference, Result, Version};
use serde::Deserialize;
use serde_json::Value;

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

/// What an exit means, if everything given fits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default)]
    exit: Option<i32>,
    /// A pattern for one whole line of stderr, in which `*` stands for anything.
    #[serde(default)]
    stderr: Option<String>,
    /// The same for stdout, for tools that complain there.
    #[serde(default)]
    stdout: Option<String>,
    kind: String,
    #[serde(default, rename = "why")]
    _why: Option<String>,
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

/// What an exit means: `Ok` for success. Without a rule that fits, success is exit code 0 and
/// everything else is `Unavailable`.
pub(crate) fn verdict(
    rules: impl IntoIterator<Item = impl std::borrow::Borrow<Rule>>,
    exit: Option<i32>,
    stdout: &[u8],
    stderr: &[u8],
) -> Result<(), Kind> {
    for rule in rules {
        let rule = rule.borrow();
        let fits = rule.exit.is_none_or(|code| exit == Some(code))
            && rule
                .stderr
                .as_deref()
                .is_none_or(|pattern| any_line(stderr, pattern))
            && rule
                .stdout
                .as_deref()
                .is_none_or(|pattern| any_line(stdout, pattern));
        if fits {
            return match rule.kind.as_str() {
                "ok" => Ok(()),
                token => Err(Kind::from_token(token).unwrap_or(Kind::Invalid)),
            };
        }
    }
    if exit == Some(0) {
        Ok(())
    } else {
        Err(Kind::Unavailable)
    }
}

impl Rule {
    /// Whether the rule is one at all.
    pub(crate) fn check(&self) -> Result<()> {
        if self.kind != "ok" && Kind::from_token(&self.kind).is_none() {
            return Err(Error::new(
                Kind::Misconfigured,
                "a rule's `kind` is no kind of error",
            ));
        }
        if self.exit.is_none() && self.stderr.is_none() && self.stdout.is_none() {
            let message = "a rule needs at least one of `exit`, `stderr` and `stdout`";
            return Err(Error::new(Kind::Misconfigured, message));
        }
        Ok(())
    }
}

fn any_line(text: &[u8], pattern: &str) -> bool {
    text.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .any(|line| matches(line, pattern.as_bytes()))
}

/// Whether the whole line fits the pattern. Linear in practice and never exponential: after a
/// `*` the earliest place of the next piece is as good as any later one.
fn matches(line: &[u8], pattern: &[u8]) -> bool {
    let mut pieces = pattern.split(|byte| *byte == b'*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let found = if piece.is_empty() {
            Some(0)
        } else {
            rest.windows(piece.len()).position(|window| window == piece)
        };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// Whether an argument array has a placeholder.
pub(crate) fn mentions(args: &[String], placeholder: &str) -> bool {
    args.iter().any(|arg| arg.contains(placeholder))
}

/// Fills in one argument array. Placeholders are replaced inside elements only, in one pass, so
/// neither spaces nor braces in a path can make another argument of it.
///
/// # Errors
/// [`Kind::Invalid`] if a path or field would be taken for an option.
pub(crate) fn fill(
    args: &[String],
    reference: Option<&Reference>,
    project: &Project,
) -> Result<Vec<String>> {
    let mut literal_only = false;
    let mut filled = Vec::with_capacity(args.len());
    for arg in args {
        let text = substitute(arg, reference, project)?;
        if !literal_only && text.starts_with('-') && !arg.starts_with('-') {
            return Err(Error::new(
                Kind::Invalid,
                "a path or field that begins with `-` would be taken for an option",
            ));
        }
        literal_only |= arg == "--";
        filled.push(text);
    }
    Ok(filled)
}

fn substitute(template: &str, reference: Option<&Reference>, project: &Project) -> Result<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let close = rest.find('}').map_or(rest.len(), |at| at + 1);
        let part = |what: Option<&str>, name: &str| {
            what.map(str::to_owned).ok_or_else(|| {
                let message = format!("this command needs a reference with a {name}");
                Error::new(Kind::Invalid, message)
                    .with_hint("a reference is written `PATH#FIELD?version=V`")
            })
        };
        match &rest[..close] {
            "{path}" => filled.push_str(&part(reference.map(Reference::path), "path")?),
            "{field}" => filled.push_str(&part(reference.and_then(Reference::field), "field")?),
            "{version}" => {
                let version = reference.and_then(Reference::version);
                filled.push_str(&part(version.map(Version::as_str), "version")?);
            }
            "{project}" => filled.push_str(&project.name),
            "{profile}" => filled.push_str(&project.profile),
            other => filled.push_str(other),
        }
        rest = &rest[close..];
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(args: &[&str]) -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

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

    #[test]
    fn patterns_are_anchored_to_whole_lines() {
        for (line, pattern, fits) in [
            ("Error: a is not here.", "Error: * is not here.", true),
            ("x Error: a is not here.", "Error: * is not here.", false),
            (
                "Error: a is not here. Really",
                "Error: * is not here.",
                false,
            ),
            (
                "Error: a is not here. Really",
                "Error: * is not here.*",
                true,
            ),
            ("abcabc", "a*bc", true),
            ("ab", "a*ab", false),
            ("abc", "abc", true),
            ("abcd", "abc", false),
            ("anything", "*", true),
            ("a--b--c", "a*b*c", true),
        ] {
            assert_eq!(
                matches(line.as_bytes(), pattern.as_bytes()),
                fits,
                "{line} / {pattern}"
            );
        }
        assert!(any_line(b"one\r\ntwo\n", "one"));
    }

    #[test]
    fn the_first_rule_decides_and_without_one_a_failure_is_an_outage() {
        let rules: Vec<Rule> = serde_json::from_str(
            r#"[{"exit": 0, "stderr": "EMPTY", "kind": "not_found"},
                {"exit": 1, "stderr": "no such*", "kind": "not_found"},
                {"exit": 1, "stdout": "locked", "kind": "unauthenticated"}]"#,
        )
        .unwrap();
        let judge =
            |exit, out: &str, err: &str| verdict(&rules, exit, out.as_bytes(), err.as_bytes());
        assert_eq!(judge(Some(0), "v", ""), Ok(()));
        assert_eq!(judge(Some(0), "v", "EMPTY"), Err(Kind::NotFound));
        assert_eq!(judge(Some(1), "", "no such entry"), Err(Kind::NotFound));
        assert_eq!(judge(Some(1), "locked", ""), Err(Kind::Unauthenticated));
        assert_eq!(judge(Some(2), "", "no such entry"), Err(Kind::Unavailable));
        assert_eq!(judge(None, "", "no such entry"), Err(Kind::Unavailable));
    }

    #[test]
    fn placeholders_are_filled_once_and_never_split() {
        let project = Project::new("shop", "/").with_profile("prod");
        let reference: Reference = "a {field} b#x".parse().unwrap();
        let args = strings(&[
            "--p={project}/{profile}",
            "{path}",
            "{field}",
            "{other}",
            "{",
        ]);
        assert_eq!(
            fill(&args, Some(&reference), &project).unwrap(),
            ["--p=shop/prod", "a {field} b", "x", "{other}", "{"]
        );
        let error = fill(&strings(&["{version}"]), Some(&reference), &project).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
    }

    #[test]
    fn a_path_that_looks_like_an_option_is_refused_or_behind_a_double_dash() {
        let project = Project::new("p", "/");
        let reference: Reference = "--output=/etc/passwd".parse().unwrap();
        let error = fill(&strings(&["show", "{path}"]), Some(&reference), &project).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let fine = fill(
            &strings(&["show", "--", "{path}"]),
            Some(&reference),
            &project,
        )
        .unwrap();
        assert_eq!(fine, ["show", "--", "--output=/etc/passwd"]);
        let fine = fill(&strings(&["op://{path}"]), Some(&reference), &project).unwrap();
        assert_eq!(fine, ["op://--output=/etc/passwd"]);
    }
}
