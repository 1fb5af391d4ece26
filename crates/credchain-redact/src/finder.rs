//! How a stream asks what to hide. Registered values and pattern rules are two finders that look at
//! the same bytes; the stream releases what neither of them needs any more.

use std::sync::Arc;

/// The bytes of a stream that were not released yet, as every finder sees them.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    /// What is held back from earlier calls, and after it what is new.
    pub(crate) bytes: &'a [u8],
    /// The position in the whole stream of the first of `bytes`.
    pub(crate) at: u64,
    /// The byte of the stream before `bytes`, for boundaries; none at the beginning.
    #[expect(
        dead_code,
        reason = "no finder needs it so far: rules keep what they may look back at"
    )]
    pub(crate) before: Option<u8>,
    /// Where the new bytes begin: everything before has been in an earlier window.
    pub(crate) fresh: usize,
    /// Whether the stream ends here: nothing may be held any longer.
    pub(crate) end: bool,
}

impl<'a> Window<'a> {
    /// A text that is complete.
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            before: None,
            fresh: 0,
            end: true,
        }
    }
}

/// A stretch of a window that must not come out, `start..end`.
#[derive(Clone)]
pub(crate) struct Mask {
    /// The first byte to hide, counted from the beginning of the window.
    pub(crate) start: usize,
    /// The byte after the last one to hide; greater than `start`.
    pub(crate) end: usize,
    /// Whose it is.
    pub(crate) label: Label,
}

/// What a mask is called.
#[derive(Clone)]
pub(crate) enum Label {
    /// A registered value.
    Value(Arc<Owner>),
    /// What a pattern rule found: the rule's name.
    Rule(Arc<str>),
}

impl Label {
    /// The credential's or the rule's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Value(owner) => &owner.name,
            Self::Rule(name) => name,
        }
    }

    /// Where the owner or the rule's name is in memory: the same for all that share it.
    pub(crate) fn place(&self) -> usize {
        match self {
            Self::Value(owner) => Arc::as_ptr(owner).addr(),
            Self::Rule(name) => Arc::as_ptr(name).addr(),
        }
    }
}

/// The registered value that a needle belongs to, as far as a mask may tell.
pub(crate) struct Owner {
    /// The credential's name.
    pub(crate) name: Box<str>,
    /// A keyed digest of the value, in hexadecimal.
    pub(crate) fingerprint: Box<str>,
}

/// Something that finds what to hide in a stream.
///
/// # Contract
/// A stream owns its finders and calls them for every piece of its input, in order.
///
/// - **The window moves forward only.** The next call's window begins at or before the index that
///   this call returned: before it, if another finder needs more. What was returned never goes
///   back: `window.at + returned` does not decrease. A finder that remembers positions remembers
///   them as `window.at + index`.
/// - **The answer is the first index that this finder still needs** because what begins there may
///   become a match with more input; `window.bytes.len()` if nothing can. It holds no more than a
///   bounded number of bytes, and only bytes that are ambiguous: a prompt without a line break
///   must come out at once. With `window.end` the answer is `window.bytes.len()`.
/// - **Masks are pushed in any order**, may overlap, and may repeat what an earlier call has pushed.
///   A mask is pushed by the call that lets go of its first byte, or earlier.
/// - **Masks that overlap or touch are one**, and come out as one replacement, in the same call or
///   in later ones. A value that is longer than anything that can be held is therefore masked piece
///   by piece: push `start..len`, return `len`, and go on in the next call with a mask that begins at
///   `window.fresh`, until the value ends.
/// - **Cuts are invisible**: the union of all masks is the same however the stream is cut, down to
///   single bytes, as for the whole stream in one window.
/// - **A mask is not a match**: text that [`is_mask`] is left alone, so that redacting twice changes
///   nothing.
/// - Time is linear in the input and memory bounded by the rules, not by the stream.
pub(crate) trait Finder: Send {
    /// Looks at a window, pushes what to hide, and says from which index on bytes must be held.
    fn find(&mut self, window: &Window<'_>, found: &mut Vec<Mask>) -> usize;
}

/// Whether this text is a replacement that some redactor has written: `***` (three or more
/// stars), `[name]`, or `[#fingerprint]`.
pub(crate) fn is_mask(text: &[u8]) -> bool {
    let stars = text.len() >= 3 && text.iter().all(|&byte| byte == b'*');
    let inside = text
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
        .map(|rest| rest.strip_prefix(b"#").unwrap_or(rest));
    let named = |name: &[u8]| {
        !name.is_empty()
            && name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte))
    };
    stars || inside.is_some_and(named)
}

#[cfg(test)]
mod tests {
    use super::is_mask;

    #[test]
    fn every_kind_of_replacement_is_recognised() {
        for mask in ["***", "****", "[api_key]", "[github-token]", "[#00ff12]"] {
            assert!(is_mask(mask.as_bytes()), "{mask}");
        }
        for text in ["", "**", "[]", "[#]", "[a b]", "api_key", "x***"] {
            assert!(!is_mask(text.as_bytes()), "{text}");
        }
    }
}
