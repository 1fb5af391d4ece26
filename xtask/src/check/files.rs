//! What no file of the tree may contain.

use std::collections::BTreeSet;
use std::fs;

use super::Findings;
use crate::run::{Outcome, has_ending, root, tracked_files};

/// The longest a source file may be, its tests included.
const MOST_LINES: usize = 800;

/// The modules in which unsafe code is expected; everywhere else the compiler denies it.
const UNSAFE_LIST: &str = "xtask/data/unsafe-modules.txt";

/// Folders that exist on one machine only: this checkout's own, and the administrator's home,
/// spelled so that this file does not contain it.
fn machine_paths() -> Vec<String> {
    let here = root().display().to_string();
    let telling = here.len() > "/builds/".len();
    let administrator = concat!("/ro", "ot/").to_owned();
    telling
        .then_some(here)
        .into_iter()
        .chain([administrator])
        .collect()
}

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
        for attribute in text.split("#[").chain(text.split("#![")).skip(1) {
            let attribute: String = attribute
                .split(']')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            if attribute.starts_with("allow(unsafe_code") {
                wrong.push(format!("{file}: expect unsafe code, do not allow it"));
            }
            if attribute.starts_with("expect(unsafe_code") {
                if !attribute.contains("reason=") {
                    wrong.push(format!("{file}: unsafe code is expected without a reason"));
                }
                found.insert(file.clone());
            }
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
    let machine = machine_paths();
    for (file, text) in texts(&[])? {
        let lines = text.lines().count();
        if has_ending(&file, &["rs", "py"]) && lines > MOST_LINES {
            wrong.push(format!("{file}: {lines} lines, at most {MOST_LINES}"));
        }
        if has_private_key(&text) {
            wrong.push(format!("{file}: a private key"));
        }
        for (number, line) in text.lines().enumerate() {
            let place = format!("{file}:{}", number + 1);
            if let Some(path) = machine.iter().find(|path| line.contains(path.as_str())) {
                wrong.push(format!("{place}: a path of one machine: {path}"));
            }
            if let Some(start) = looks_secret(line) {
                wrong.push(format!("{place}: looks like a secret: {start}…"));
            }
        }
    }
    Ok(wrong)
}

/// The beginning of what looks like a real token in this line.
fn looks_secret(line: &str) -> Option<&'static str> {
    TOKENS.into_iter().find_map(|(start, least)| {
        let found =
            |(at, _)| run_of(&line[at + start.len()..], |c| c.is_ascii_alphanumeric()) >= least;
        line.match_indices(start).any(found).then_some(start)
    })
}

/// Whether a private key is in this text, as a block of lines or written with `\\n`; a word or
/// two in place of the key is an example.
fn has_private_key(text: &str) -> bool {
    const OPENING: &str = concat!("PRIVATE", " KEY-----");
    text.match_indices(OPENING).any(|(at, _)| {
        let rest = text[at + OPENING.len()..].trim_start_matches(['\\', 'n', 'r', '\r', '\n', ' ']);
        run_of(rest, |c| c.is_ascii_alphanumeric() || "+/=".contains(c)) >= 60
    })
}

fn run_of(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.chars().take_while(|c| wanted(*c)).count()
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
    use super::{has_private_key, looks_secret};

    #[test]
    fn a_long_token_is_noticed_and_its_prefix_alone_is_not() {
        let token = format!("key = \"AKIA{}\"", "A".repeat(16));
        assert_eq!(looks_secret(&token), Some("AKIA"));
        assert_eq!(looks_secret("keys start with AKIA or ghp_"), None);
    }

    #[test]
    fn a_private_key_is_noticed_and_an_example_of_one_is_not() {
        let block = |body: &str| format!("-----BEGIN {} KEY-----\n{body}\n", "PRIVATE");
        assert!(has_private_key(&block(&"A".repeat(64))));
        assert!(has_private_key(
            &block(&"A".repeat(64)).replace('\n', "\\n")
        ));
        assert!(!has_private_key(&block("not a key")));
    }
}
