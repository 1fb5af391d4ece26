//! A redactor that compares every form with every place of a text that it has as a whole.

use crate::forms::Forms;
use crate::matcher::wrapped::LINE;

/// Marks what is to be hidden, and writes one mask for each part that is.
pub(super) fn redact(secrets: &[Vec<u8>], text: &[u8], mask: &[u8]) -> Vec<u8> {
    let mut hidden = Hidden::none(text.len());
    let (joined, places) = join(text);
    for secret in secrets {
        let forms = Forms::of(secret, |_| true);
        for form in forms.spans() {
            let needle = &forms.bytes()[form.start..form.start + form.len as usize];
            for at in find_all(text, needle) {
                hidden.hide(at, at + needle.len());
            }
            for at in find_all(&joined, needle).filter(|_| form.wraps) {
                hidden.hide(places[at], places[at + needle.len() - 1] + 1);
            }
        }
    }
    hidden.write(text, mask)
}

struct Hidden(Vec<bool>);

impl Hidden {
    fn none(len: usize) -> Self {
        Self(vec![false; len])
    }

    fn hide(&mut self, start: usize, end: usize) {
        self.0[start..end].fill(true);
    }

    fn write(&self, text: &[u8], mask: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut was_hidden = false;
        for (&byte, &is_hidden) in text.iter().zip(&self.0) {
            if !is_hidden {
                out.push(byte);
            } else if !was_hidden {
                out.extend_from_slice(mask);
            }
            was_hidden = is_hidden;
        }
        out
    }
}

fn find_all<'a>(text: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    (0..text.len()).filter(move |&at| text[at..].starts_with(needle))
}

/// The text without the line breaks that are inside of base64, and where each byte of it was.
fn join(text: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    let ends_long_line =
        |at: usize| at >= LINE && text[at - LINE..at].iter().all(|&byte| is_letter(byte));
    let (mut joined, mut places) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < text.len() {
        if ends_long_line(at) && text[at] == b'\n' {
            at += 1;
        } else if ends_long_line(at) && text[at..].starts_with(b"\r\n") {
            at += 2;
        } else {
            joined.push(text[at]);
            places.push(at);
            at += 1;
        }
    }
    (joined, places)
}
