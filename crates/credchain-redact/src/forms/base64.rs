//! Base64, standard and URL-safe, whatever is encoded before and after the value.

use super::Forms;
use crate::buffer::Buffer;
use crate::matcher::wrapped;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Three bytes make four letters, so a value looks different at each of the three places where it
/// may begin within a group (`user:password` is how a password is sent). Letters that depend on
/// what is before are not taken, and padding plays no part.
pub(super) fn add(value: &[u8], forms: &mut Forms) {
    for alphabet in [STANDARD, URL_SAFE] {
        for before in 0..3 {
            let letters = letters(before, value.len());
            // Where the encoded text ends with the value, its last letter has bits of it as well.
            let last = (8 * (before + value.len())).div_ceil(6);
            for letters in [letters.clone(), letters.start..last] {
                let wraps = letters.len() >= wrapped::SHORTEST;
                forms.write_wrapping(wraps, |out| {
                    for letter in letters {
                        push(value, 6 * letter - 8 * before, alphabet, out);
                    }
                });
            }
        }
    }
}

/// Which letters of the encoded text depend on nothing but the value, with so many bytes before it.
fn letters(before: usize, len: usize) -> std::ops::Range<usize> {
    (8 * before).div_ceil(6)..8 * (before + len) / 6
}

/// Appends the letter of the six bits that begin at this bit of the value.
fn push(value: &[u8], bit: usize, alphabet: &[u8; 64], out: &mut Buffer) {
    let byte = |i: usize| u16::from(value.get(i).copied().unwrap_or(0));
    let two = byte(bit / 8) << 8 | byte(bit / 8 + 1);
    out.push(alphabet[usize::from(two >> (10 - bit % 8) & 0x3F)]);
}
