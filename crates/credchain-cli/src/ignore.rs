//! `.gitignore`: what usually holds a secret in clear is never committed.

use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::files::{self, Mode};

/// What usually holds a secret.
pub(crate) const USUAL: &[&str] = &[
    ".env",
    ".env.local",
    ".env.production",
    "*.pem",
    "*.key",
    "credentials.json",
];

/// Adds those of `lines` that are missing, and leaves everything else as it is; tells whether
/// anything was.
pub(crate) fn add(path: &Path, lines: &[&str]) -> Result<bool, Failure> {
    let before = match files::replaceable(path)? {
        Some(_) => files::read(path, 16 << 20)?,
        None => Zeroizing::default(),
    };
    let Some(after) = with_lines(&before, lines) else {
        return Ok(false);
    };
    files::replace(path, &after, Mode::Shared)?;
    Ok(true)
}

/// The content with what is missing at its end; nothing if nothing is.
fn with_lines(before: &[u8], lines: &[&str]) -> Option<Vec<u8>> {
    let has = |wanted: &str| {
        before
            .split(|byte| *byte == b'\n')
            .any(|line| line.trim_ascii() == wanted.as_bytes())
    };
    let missing: Vec<&str> = lines.iter().copied().filter(|line| !has(line)).collect();
    if missing.is_empty() {
        return None;
    }
    let line_ending = if before.windows(2).any(|two| two == b"\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let mut after = before.to_vec();
    if !after.is_empty() && !after.ends_with(b"\n") {
        after.extend_from_slice(line_ending.as_bytes());
    }
    for line in missing {
        after.extend_from_slice(line.as_bytes());
        after.extend_from_slice(line_ending.as_bytes());
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_added() {
        let after = with_lines(b"target\n.env\n*.pem", USUAL).unwrap();
        assert_eq!(
            after,
            b"target\n.env\n*.pem\n.env.local\n.env.production\n*.key\ncredentials.json\n"
        );
        assert_eq!(with_lines(&after, USUAL), None);
    }

    #[test]
    fn line_endings_and_bytes_stay() {
        let after = with_lines(b"\xff\r\n", USUAL).unwrap();
        assert!(after.starts_with(b"\xff\r\n.env\r\n"));
        assert!(!after.windows(3).any(|three| three == b"\r\r\n"));
    }
}
