//! UTF-16 in both orders of bytes, as Windows writes it.

use super::Forms;

pub(super) fn add(value: &[u8], forms: &mut Forms) {
    let Ok(text) = std::str::from_utf8(value) else {
        return;
    };
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        forms.write(|out| {
            for unit in text.encode_utf16() {
                out.extend(&order(unit));
            }
        });
    }
}
