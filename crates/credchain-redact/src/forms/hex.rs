//! Hexadecimal in both cases, and bytes as decimal numbers.

use super::Forms;

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

pub(super) fn add(value: &[u8], forms: &mut Forms) {
    for digits in [LOWER, UPPER] {
        forms.write(|out| {
            for byte in value {
                out.extend(&pair(*byte, digits));
            }
        });
    }
    // How `Debug` of bytes prints in Rust, and a list of them in JSON. The first and the last
    // byte could be the rest of a longer number, which does not matter to what is hidden.
    for separator in [", ", ","] {
        forms.write(|out| {
            for (i, &byte) in value.iter().enumerate() {
                if i > 0 {
                    out.extend(separator.as_bytes());
                }
                out.extend(decimal(byte, &mut [0; 3]));
            }
        });
    }
    // A value that is hexadecimal itself means the same in the other case.
    if value.iter().all(u8::is_ascii_hexdigit) {
        forms.add(&zeroize::Zeroizing::new(value.to_ascii_lowercase()));
        forms.add(&zeroize::Zeroizing::new(value.to_ascii_uppercase()));
    }
}

/// Two hexadecimal digits.
pub(super) fn pair(byte: u8, digits: &[u8; 16]) -> [u8; 2] {
    [
        digits[usize::from(byte >> 4)],
        digits[usize::from(byte & 0xF)],
    ]
}

/// Two hexadecimal digits in lower or upper case.
pub(super) fn cased(byte: u8, upper: bool) -> [u8; 2] {
    pair(byte, if upper { UPPER } else { LOWER })
}

/// A byte as a decimal number.
fn decimal(byte: u8, digits: &mut [u8; 3]) -> &[u8] {
    *digits = [b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10];
    match byte {
        100.. => &digits[..],
        10.. => &digits[1..],
        _ => &digits[2..],
    }
}
