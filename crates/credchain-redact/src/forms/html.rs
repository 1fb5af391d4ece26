//! Entities of HTML and XML: named, decimal and hexadecimal.

use super::Forms;
use crate::buffer::Buffer;

/// How the double and the single quote are written; nothing leaves them alone.
const QUOTES: [(&str, &str); 7] = [
    ("&quot;", "&#39;"),
    ("&quot;", "&#x27;"),
    ("&quot;", "&#039;"),
    ("&quot;", "&apos;"),
    ("&#34;", "&#39;"),
    ("&quot;", "'"),
    ("\"", "'"),
];

pub(super) fn add(value: &[u8], forms: &mut Forms) {
    for (double, single) in QUOTES {
        forms.write(|out| {
            for &byte in value {
                match byte {
                    b'&' => out.extend(b"&amp;"),
                    b'<' => out.extend(b"&lt;"),
                    b'>' => out.extend(b"&gt;"),
                    b'"' => out.extend(double.as_bytes()),
                    b'\'' => out.extend(single.as_bytes()),
                    _ => out.push(byte),
                }
            }
        });
    }
    let Ok(text) = std::str::from_utf8(value) else {
        return;
    };
    let decimal = |code: u32| format!("&#{code};");
    let lower = |code: u32| format!("&#x{code:x};");
    let upper = |code: u32| format!("&#x{code:X};");
    forms.write(|out| numbers(text, decimal, out));
    forms.write(|out| numbers(text, lower, out));
    forms.write(|out| numbers(text, upper, out));
}

/// Every character that is special or not ASCII as a number.
fn numbers(text: &str, number: impl Fn(u32) -> String, out: &mut Buffer) {
    for character in text.chars() {
        if !character.is_ascii() || "&<>\"'".contains(character) {
            out.extend(number(character.into()).as_bytes());
        } else {
            out.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}
