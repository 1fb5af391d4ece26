//! What no file of the tree may contain.

use std::collections::BTreeSet;
use std::fs;

use super::Findings;
use crate::run::{Outcome, has_ending, root, tracked_files};

/// The longest a source file may be, its tests included.
const MOST_LINES: usize = 800;

/// The modules in which unsafe code is expected; everywhere else the compiler denies it.
const UNSAFE_LIST: &str = "xtask/data/unsafe-modules.txt";

/// Folders that exist on one machine only, spelled so that this file does not contain them.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/", "brief"),
];

/// How real tokens look: what they start with, and how many letters or digits follow at least.
const TOKENS: [(&str, usize); 9] = [
    ("AKIA", 16),
    ("ghp_", 36),
    ("github_pat_", 22),
    ("sk_live_", 16),
    ("sk-live-", 16),
    ("xoxb-", 20),
    ("hvs.", 24),
    ("AGE-SECRET-KEY-1", 58),
    ("glpat-", 20),
];

/// The difference between the modules that may have unsafe code and those that say so.
pub(super) fn unsafe_places() -> Findings {
    let listed: BTreeSet<String> = fs::read_to_string(root().join(UNSAFE_LIST))?
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for (file, text) in texts(&["rs"])? {
        if text.contains(concat!("allow(unsafe", "_code")) {
            wrong.push(format!("{file}: use `#[expect(unsafe_code, reason = …)]`"));
        }
        for (at, opening) in text.match_indices(concat!("expect(unsafe", "_code")) {
            let rest = &text[at + opening.len()..];
            if !rest
                .split(']')
                .next()
                .unwrap_or_default()
                .contains("reason =")
            {
                wrong.push(format!("{file}: unsafe code is expected without a reason"));
            }
            found.insert(file.clone());
        }
    }
    let unlisted = found
        .difference(&listed)
        .map(|file| format!("{file} is not in {UNSAFE_LIST}"));
    wrong.extend(unlisted);
    let stale = listed
        .difference(&found)
        .map(|file| format!("{file} has no unsafe code"));
    wrong.extend(stale);
    Ok(wrong)
}

/// Machine paths, what looks like a real secret, and files that are too long.
pub(super) fn contents() -> Findings {
    let mut wrong = Vec::new();
    for (file, text) in texts(&[])? {
        let lines = text.lines().count();
        if has_ending(&file, &["rs", "py"]) && lines > MOST_LINES {
            wrong.push(format!("{file}: {lines} lines, at most {MOST_LINES}"));
        }
        for (number, line) in text.lines().enumerate() {
            let place = format!("{file}:{}", number + 1);
            if let Some(path) = MACHINE_PATHS.iter().find(|path| line.contains(*path)) {
                wrong.push(format!("{place}: a path of one machine: {path}"));
            }
            if let Some(start) = looks_secret(line) {
                wrong.push(format!("{place}: looks like a secret: {start}…"));
            }
        }
    }
    Ok(wrong)
}

/// The beginning of what looks like a real token or private key in this line.
fn looks_secret(line: &str) -> Option<&'static str> {
    const KEY_BLOCK: &str = concat!("PRIVATE", " KEY-----");
    if line.contains("-----BEGIN") && line.contains(KEY_BLOCK) {
        return Some("-----BEGIN");
    }
    TOKENS.into_iter().find_map(|(start, least)| {
        let long_enough =
            |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).count() >= least;
        line.match_indices(start)
            .any(|(at, _)| long_enough(&line[at + start.len()..]))
            .then_some(start)
    })
}

/// The text files with one of these endings, or all.
fn texts(endings: &[&str]) -> Outcome<Vec<(String, String)>> {
    let wanted = |file: &String| endings.is_empty() || has_ending(file, endings);
    let read = |file: String| {
        let text = fs::read_to_string(root().join(&file)).ok()?;
        Some((file, text))
    };
    Ok(tracked_files()?
        .into_iter()
        .filter(wanted)
        .filter_map(read)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::looks_secret;

    #[test]
    fn a_long_token_is_noticed_and_its_prefix_alone_is_not() {
        let token = format!("key = \"AKIA{}\"", "A".repeat(16));
        assert_eq!(looks_secret(&token), Some("AKIA"));
        assert_eq!(looks_secret("keys start with AKIA or ghp_"), None);
    }

    #[test]
    fn a_private_key_is_noticed() {
        let line = format!("-----BEGIN {} KEY-----", "PRIVATE");
        assert_eq!(looks_secret(&line), Some("-----BEGIN"));
        assert_eq!(looks_secret("-----BEGIN PUBLIC KEY-----"), None);
    }
}
