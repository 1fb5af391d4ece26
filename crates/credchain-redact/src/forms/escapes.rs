//! Backslash escapes: JSON, and literals and debug output of Rust, Python, C, Java and JavaScript.

use super::Forms;
use super::hex::cased;
use crate::buffer::Buffer;

/// One language's way to write text.
#[derive(Clone, Copy)]
struct Style {
    /// What gets a backslash before it.
    escaped: &'static [u8],
    /// Control characters that have a letter.
    named: &'static [(u8, u8)],
    /// Control characters that have none.
    control: Numeric,
    /// Characters beyond ASCII; none leaves them alone.
    wide: Option<Numeric>,
}

/// How a character is written as a number.
#[derive(Clone, Copy, PartialEq)]
enum Numeric {
    /// `\x1f`, each byte of UTF-8 for itself.
    Hex,
    /// `\037`, each byte of UTF-8 for itself.
    Octal,
    /// `\u001f`, in UTF-16.
    Unit,
    /// `\u001F`.
    UpperUnit,
    /// `\u{1f}`.
    Braces,
    /// `\x1f`, `\u2028` or `\U0001f600`, as Python does.
    Python,
}

const JSON_NAMED: &[(u8, u8)] = &[(8, b'b'), (9, b't'), (10, b'n'), (12, b'f'), (13, b'r')];
const COMMON_NAMED: &[(u8, u8)] = &[(9, b't'), (10, b'n'), (13, b'r')];
const RUST_NAMED: &[(u8, u8)] = &[(0, b'0'), (9, b't'), (10, b'n'), (13, b'r')];
const C_NAMED: &[(u8, u8)] = &[
    (7, b'a'),
    (8, b'b'),
    (9, b't'),
    (10, b'n'),
    (11, b'v'),
    (12, b'f'),
    (13, b'r'),
];

const fn style(
    escaped: &'static [u8],
    named: &'static [(u8, u8)],
    control: Numeric,
    wide: Option<Numeric>,
) -> Style {
    Style {
        escaped,
        named,
        control,
        wide,
    }
}

const STYLES: [Style; 20] = [
    // JSON: UTF-8 or ASCII, with and without `\/`, digits in both cases.
    style(b"\"\\", JSON_NAMED, Numeric::Unit, None),
    style(b"\"\\", JSON_NAMED, Numeric::UpperUnit, None),
    style(b"\"\\/", JSON_NAMED, Numeric::Unit, None),
    style(b"\"\\", JSON_NAMED, Numeric::Unit, Some(Numeric::Unit)),
    style(
        b"\"\\",
        JSON_NAMED,
        Numeric::UpperUnit,
        Some(Numeric::UpperUnit),
    ),
    style(b"\"\\/", JSON_NAMED, Numeric::Unit, Some(Numeric::Unit)),
    // Rust: `Debug` of text, `escape_default`, `Debug` of bytes.
    style(b"\"\\", RUST_NAMED, Numeric::Braces, None),
    style(
        b"\"'\\",
        COMMON_NAMED,
        Numeric::Braces,
        Some(Numeric::Braces),
    ),
    style(b"\"\\", RUST_NAMED, Numeric::Hex, Some(Numeric::Hex)),
    style(b"\"'\\", COMMON_NAMED, Numeric::Hex, Some(Numeric::Hex)),
    // Python: `repr` and `ascii` with either quote, `repr` of bytes.
    style(b"\\", COMMON_NAMED, Numeric::Hex, None),
    style(b"'\\", COMMON_NAMED, Numeric::Hex, None),
    style(b"\\", COMMON_NAMED, Numeric::Python, Some(Numeric::Python)),
    style(b"'\\", COMMON_NAMED, Numeric::Python, Some(Numeric::Python)),
    style(b"\\", COMMON_NAMED, Numeric::Hex, Some(Numeric::Hex)),
    style(b"'\\", COMMON_NAMED, Numeric::Hex, Some(Numeric::Hex)),
    // C, Go and ANSI-C quoting of shells.
    style(b"\"\\", C_NAMED, Numeric::Octal, Some(Numeric::Octal)),
    style(b"'\\", C_NAMED, Numeric::Octal, Some(Numeric::Octal)),
    style(b"\"\\", C_NAMED, Numeric::Hex, None),
    style(b"'\\", C_NAMED, Numeric::Hex, None),
];

pub(super) fn add(value: &[u8], forms: &mut Forms) {
    for style in STYLES {
        forms.write(|out| style.write(value, &[], out));
    }
    // JSON that is safe within HTML.
    for wide in [None, Some(Numeric::Unit)] {
        for upper in [false, true] {
            let control = if upper {
                Numeric::UpperUnit
            } else {
                Numeric::Unit
            };
            let json = style(b"\"\\", JSON_NAMED, control, wide);
            forms.write(|out| json.write(value, b"<>&", out));
            forms.write(|out| json.write(value, b"<>&'", out));
        }
    }
    // What text with replacement characters still shows of a value that is no text.
    if std::str::from_utf8(value).is_err() {
        let text = zeroize::Zeroizing::new(String::from_utf8_lossy(value).into_owned());
        forms.add(text.as_bytes());
    }
}

impl Style {
    /// Writes a value; `as_numbers` are written as numbers although they are printable.
    fn write(self, value: &[u8], as_numbers: &[u8], out: &mut Buffer) {
        for chunk in value.utf8_chunks() {
            for character in chunk.valid().chars() {
                match u8::try_from(character) {
                    Ok(byte) if byte.is_ascii() => self.write_ascii(byte, as_numbers, out),
                    _ => self.write_wide(character, out),
                }
            }
            for &byte in chunk.invalid() {
                self.write_byte(byte, out);
            }
        }
    }

    fn write_ascii(self, byte: u8, as_numbers: &[u8], out: &mut Buffer) {
        let named = self.named.iter().find(|(control, _)| *control == byte);
        if self.escaped.contains(&byte) {
            out.extend(&[b'\\', byte]);
        } else if let Some((_, letter)) = named {
            out.extend(&[b'\\', *letter]);
        } else if (byte.is_ascii_control() && !self.keeps(byte)) || as_numbers.contains(&byte) {
            self.control.write(char::from(byte), out);
        } else {
            out.push(byte);
        }
    }

    /// JSON in UTF-8 does not count the delete character as a control character.
    fn keeps(self, byte: u8) -> bool {
        let is_json = matches!(self.control, Numeric::Unit | Numeric::UpperUnit);
        byte == 0x7F && is_json && self.wide.is_none()
    }

    fn write_wide(self, character: char, out: &mut Buffer) {
        match self.wide {
            Some(numeric) => numeric.write(character, out),
            None => out.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    /// A byte that is no text: as it is, or as a number where the language has bytes.
    fn write_byte(self, byte: u8, out: &mut Buffer) {
        match self.wide {
            Some(Numeric::Hex | Numeric::Python) => write_hex(byte, out),
            Some(Numeric::Octal) => write_octal(byte, out),
            _ => out.push(byte),
        }
    }
}

impl Numeric {
    fn write(self, character: char, out: &mut Buffer) {
        let code = u32::from(character);
        match self {
            Self::Hex => utf8(character, out, write_hex),
            Self::Octal => utf8(character, out, write_octal),
            Self::Unit | Self::UpperUnit => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write_unit(*unit, self == Self::UpperUnit, out);
                }
            }
            Self::Braces => out.extend(format!("\\u{{{code:x}}}").as_bytes()),
            Self::Python if code < 0x100 => out.extend(format!("\\x{code:02x}").as_bytes()),
            Self::Python if code < 0x1_0000 => out.extend(format!("\\u{code:04x}").as_bytes()),
            Self::Python => out.extend(format!("\\U{code:08x}").as_bytes()),
        }
    }
}

fn utf8(character: char, out: &mut Buffer, write: fn(u8, &mut Buffer)) {
    for &byte in character.encode_utf8(&mut [0; 4]).as_bytes() {
        write(byte, out);
    }
}

fn write_hex(byte: u8, out: &mut Buffer) {
    out.extend(b"\\x");
    out.extend(&cased(byte, false));
}

fn write_octal(byte: u8, out: &mut Buffer) {
    out.extend(&[
        b'\\',
        b'0' + (byte >> 6),
        b'0' + (byte >> 3 & 7),
        b'0' + (byte & 7),
    ]);
}

fn write_unit(unit: u16, upper: bool, out: &mut Buffer) {
    let [high, low] = unit.to_be_bytes();
    out.extend(b"\\u");
    out.extend(&cased(high, upper));
    out.extend(&cased(low, upper));
}
