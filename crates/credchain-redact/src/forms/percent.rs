//! Percent-encoding, in both cases and with every set of bytes that is left alone in practice.

use super::Forms;
use super::hex::cased;

/// What is left alone besides letters and digits, and whether a space is written as `+`.
const SETS: [(&[u8], bool); 8] = [
    // RFC 3986, unreserved.
    (b"-._~", false),
    // The same for a path, as Python's `quote` does it.
    (b"-._~/", false),
    // HTML forms.
    (b"-._*", true),
    // Forms as Python and Go write them.
    (b"-._~", true),
    // JavaScript's `encodeURIComponent`.
    (b"-._~!'()*", false),
    // JavaScript's `encodeURI`.
    (b"-._~!'()*;,/?:@&=+$#", false),
    // What may stand in the user information and the path of a URL.
    (b"-._~!$&'()*+,;=", false),
    (b"-._~!$&'()*+,;=:@/", false),
];

pub(super) fn add(value: &[u8], forms: &mut Forms) {
    for (kept, space_as_plus) in SETS {
        for upper in [true, false] {
            forms.write(|out| {
                for &byte in value {
                    match byte {
                        b' ' if space_as_plus => out.push(b'+'),
                        _ if byte.is_ascii_alphanumeric() || kept.contains(&byte) => out.push(byte),
                        _ => {
                            out.push(b'%');
                            out.extend(&cased(byte, upper));
                        }
                    }
                }
            });
        }
    }
}
