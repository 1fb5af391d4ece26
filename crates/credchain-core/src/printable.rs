//! Text of strangers on its way to a terminal or a log.

use std::borrow::Cow;

/// Text as one line that does nothing but be read: control characters, line breaks, and what
/// reorders or hides text are written out.
///
/// ```
/// assert_eq!(credchain_core::printable("a\u{1b}[2Jb\n"), r"a\u{1b}[2Jb\n");
/// assert_eq!(credchain_core::printable("é 🔑"), "é 🔑");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_active(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a character does something else than to be seen where it stands.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Soft hyphen, marks of direction, overrides and isolates: what is shown is not in
            // the order of what is there.
            '\u{ad}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Of no width, so that two texts look alike. Not U+200C and U+200D, which some
            // scripts and emoji need.
            | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            // Other line breaks, notes between lines, and invisible tags.
            | '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The same for text that is kept.
pub(crate) fn printed(text: Cow<'static, str>) -> Cow<'static, str> {
    match printable(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(escaped) => Cow::Owned(escaped),
    }
}
