//! What a tool's exit means: ordered rules from exit codes and whole lines to kinds.

use std::borrow::Borrow;

use credchain_core::{Error, Kind, Result};
use serde::Deserialize;

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

/// What an exit means: `Ok` for success. Without a rule that fits, success is exit code 0 and
/// everything else is `Unavailable`.
pub(crate) fn verdict(
    rules: impl IntoIterator<Item = impl Borrow<Rule>>,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, without regard to cost.
    fn matches_by_definition(line: &[u8], pattern: &[u8]) -> bool {
        match pattern.split_first() {
            None => line.is_empty(),
            Some((b'*', rest)) => {
                (0..=line.len()).any(|at| matches_by_definition(&line[at..], rest))
            }
            Some((byte, rest)) => {
                line.first() == Some(byte) && matches_by_definition(&line[1..], rest)
            }
        }
    }

    proptest! {
        #[test]
        fn patterns_mean_what_their_definition_says(line in "[ab]{0,8}", pattern in "[ab*]{0,6}") {
            let (line, pattern) = (line.as_bytes(), pattern.as_bytes());
            prop_assert_eq!(matches(line, pattern), matches_by_definition(line, pattern));
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
}
