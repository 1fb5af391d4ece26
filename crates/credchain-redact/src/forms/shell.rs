//! What shells quote: within single quotes, within double quotes, and with backslashes.

use super::Forms;

pub(super) fn add(value: &[u8], forms: &mut Forms) {
    // A single quote ends the quotes, stands for itself, and opens them again.
    for quote in [&b"'\\''"[..], b"'\"'\"'", b"''"] {
        forms.write(|out| {
            for &byte in value {
                if byte == b'\'' {
                    out.extend(quote);
                } else {
                    out.push(byte);
                }
            }
        });
    }
    // POSIX, and with the history character that `bash` knows.
    for special in [&b"$`\"\\"[..], b"$`\"\\!"] {
        forms.write(|out| {
            for &byte in value {
                if special.contains(&byte) {
                    out.push(b'\\');
                }
                out.push(byte);
            }
        });
    }
    // `printf %q` leaves alone what no shell takes for special.
    for kept in [&b"_-./:=@%+,"[..], b"_-./:=@%+", b"_-./:@%+,^~#"] {
        forms.write(|out| {
            for &byte in value {
                let plain =
                    byte.is_ascii_alphanumeric() || !byte.is_ascii() || kept.contains(&byte);
                if !plain && byte != b'\n' {
                    out.push(b'\\');
                }
                out.push(byte);
            }
        });
    }
}
