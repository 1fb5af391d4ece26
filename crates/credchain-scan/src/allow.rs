//! What is allowed: by a comment in the line, and by its path.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::{Error, ErrorKind};

const MARK: &[u8] = b"credchain:allow";

/// A comment that allows findings in its line.
#[derive(Debug)]
pub(crate) struct Comment {
    /// The rules that it is about; all of them if it names none.
    rules: Vec<String>,
}

impl Comment {
    /// The comments in a line: `credchain:allow` alone, or followed by names of rules.
    pub(crate) fn all_in(line: &[u8]) -> Vec<Self> {
        memchr::memmem::find_iter(line, MARK)
            .map(|at| Self::of(line.get(at + MARK.len()..).unwrap_or_default()))
            .collect()
    }

    fn of(rest: &[u8]) -> Self {
        let is_list = |byte: &u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-, \t".contains(byte)
        };
        let list: Vec<u8> = rest.iter().copied().take_while(is_list).collect();
        let list = String::from_utf8_lossy(&list);
        let words = list.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        // `-->` ends a comment in HTML and `--` begins a reason: neither is a name.
        let names = words.take_while(|word| !word.starts_with('-'));
        Self {
            rules: names.map(str::to_owned).collect(),
        }
    }

    /// Whether it allows what a rule finds.
    pub(crate) fn allows(&self, rule: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|name| name == rule)
    }
}

/// Paths that are not scanned, as patterns in the syntax of `.gitignore`.
#[derive(Clone, Debug)]
pub(crate) struct AllowedPaths(Gitignore);

impl AllowedPaths {
    pub(crate) fn new(patterns: &[String]) -> Result<Self, Error> {
        let mut builder = GitignoreBuilder::new("");
        for pattern in patterns {
            let wrong = |_| Error::new(ErrorKind::Pattern, pattern.clone());
            builder.add_line(None, pattern).map_err(wrong)?;
        }
        let wrong = |_| Error::new(ErrorKind::Pattern, patterns.join(", "));
        builder.build().map(Self).map_err(wrong)
    }

    /// Whether a path, with `/`, is allowed, or any folder that it is in.
    pub(crate) fn allow(&self, path: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let folders = path.match_indices('/').map(|(at, _)| (&path[..at], true));
        let all = folders.chain([(path, false)]);
        // What is allowed last is what counts: `!tests/real.env` after `tests/**`.
        let mut allowed = false;
        for (part, is_folder) in all.filter(|(part, _)| !part.is_empty()) {
            let matched = self.0.matched(part, is_folder);
            allowed = (allowed || matched.is_ignore()) && !matched.is_whitelist();
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_allows_all_rules_or_those_that_it_names() {
        for (line, allowed) in [
            ("key = 1 # credchain:allow", true),
            ("<x> <!-- credchain:allow -->", true),
            ("/* credchain:allow */", true),
            ("# credchain:allow generic-secret", true),
            (
                "# credchain:allow aws-key, generic-secret -- a test vector",
                true,
            ),
            ("# credchain:allow -- a test vector", true),
            ("# credchain:allow (a test vector)", true),
            ("# credchain:allow aws-key", false),
            ("# credchain: allow", false),
            ("", false),
        ] {
            let comments = Comment::all_in(line.as_bytes());
            let allows = comments.iter().any(|one| one.allows("generic-secret"));
            assert_eq!(allows, allowed, "{line}");
        }
    }

    #[test]
    fn paths_are_allowed_as_git_ignores_them() {
        let patterns = ["tests/**", "*.snap", "!tests/real.env", "/docs/"].map(str::to_owned);
        let paths = AllowedPaths::new(&patterns).unwrap();
        for (path, allowed) in [
            ("tests/a.rs", true),
            ("tests/deep/a.rs", true),
            ("tests/real.env", false),
            ("a/b/c.snap", true),
            ("docs/a.md", true),
            ("src/docs/a.md", false),
            ("src/main.rs", false),
            ("/tmp/elsewhere/x.snap", true),
        ] {
            assert_eq!(paths.allow(path), allowed, "{path}");
        }
        assert!(AllowedPaths::new(&["a[z-a]".to_owned()]).is_err());
    }
}
