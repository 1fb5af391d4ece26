//! Writing a value so that it is read back as it was.

use crate::scan::space;

/// Writes a value for the right side of `KEY=`, so that this crate *and* python-dotenv read back
/// exactly its bytes. Nothing if the format cannot carry it: python-dotenv reads no file that
/// is not UTF-8, and no environment holds a NUL.
///
/// ```
/// use credchain_provider_dotenv::quote;
///
/// assert_eq!(quote(b"$2a$10$abc").unwrap(), "'$2a$10$abc'");
/// assert_eq!(quote(b"it's").unwrap(), "\"it's\"");
/// assert_eq!(quote(b"\0"), None);
/// ```
pub fn quote(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value)
        .ok()
        .filter(|text| !text.contains('\0'))?;
    // Single quotes where they can be: shells and other readers take those literally as well.
    if !text.contains(['\'', '\\', '\r']) && !text.contains("${") {
        return Some(format!("'{text}'"));
    }
    // Enough for every escape, so that growing leaves no copy of the value behind.
    let braces = text.matches("${").count();
    let mut quoted = String::with_capacity(text.len() * 2 + 2 + braces * 5);
    quoted.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            // Written as it is, readers that open files as text would make it `\n`.
            '\r' => quoted.push_str("\\r"),
            // There is no escape for a dollar sign, but the default of a variable without a name
            // always applies, and what comes out of it is not expanded again.
            '$' if characters.peek() == Some(&'{') => quoted.push_str("${:-$}"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    Some(quoted)
}

/// Writes a key for the left side; nothing if the format has no way to.
pub(crate) fn quote_key(key: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !key.is_empty() && key.bytes().all(plain) {
        return Some(key.to_owned());
    }
    if !key.is_empty() && !key.contains('\'') {
        return Some(format!("'{key}'"));
    }
    let bytes = key.as_bytes();
    let unquotable = key.is_empty()
        || key.starts_with(['\'', '\u{feff}'])
        || key.contains(['=', '#'])
        || (0..bytes.len()).any(|at| space(&bytes[at..]).is_some());
    (!unquotable).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse;

    /// What a variable that a quoted value must not refer to would give.
    #[expect(clippy::unnecessary_wraps, reason = "the shape of a look-up")]
    fn poison(_: &str) -> Option<Vec<u8>> {
        Some(b"poison".to_vec())
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(
            value in prop_oneof![
                any::<String>(),
                "[a-z'\"\\\\$\\{\\}:\\-#\\n\\r \t=]{0,40}",
            ],
        ) {
            let value = value.replace('\0', "");
            let quoted = quote(value.as_bytes()).unwrap();
            let text = format!("A=1\nKEY={quoted} # comment\nB=2\n");
            let parsed = parse(text.as_bytes(), &poison).unwrap();
            prop_assert_eq!(parsed.get("KEY").unwrap().expose(), value.as_bytes());
            prop_assert_eq!(parsed.entries.len(), 3);
            prop_assert!(parsed.warnings.is_empty());
        }

        #[test]
        fn a_quoted_key_is_read_back(key in "[^\\x00-\\x1f]{1,20}") {
            if let Some(quoted) = quote_key(&key) {
                let text = format!("\n{quoted}='v'\n");
                let parsed = parse(text.as_bytes(), &poison).unwrap();
                prop_assert_eq!(parsed.get(&key).unwrap().expose(), b"v");
            }
        }
    }

    #[test]
    fn what_the_format_cannot_carry_is_refused() {
        assert_eq!(quote(b"a\0b"), None);
        assert_eq!(quote(b"\xff"), None);
        assert_eq!(quote_key("it's = this"), None);
        assert_eq!(quote_key(""), None);
    }
}
