//! `application/x-www-form-urlencoded`, as RFC 6749 asks for it in its Appendix B.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

/// What stays as it is; a space becomes a `+`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b' ');

/// The fields of a request, in order. What is in them is wiped.
#[derive(Default)]
pub(crate) struct Form(Vec<(String, Zeroizing<Vec<u8>>)>);

impl Form {
    pub(crate) fn new(grant_type: &str) -> Self {
        Self::default().with("grant_type", grant_type)
    }

    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.add(name, value);
        self
    }

    pub(crate) fn with_some(self, name: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = Zeroizing::new(value.as_ref().to_vec());
        self.0.push((name.to_owned(), value));
    }

    /// All of it as it is sent.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Room for three bytes of each, so that growing leaves no copy behind.
        let room = self.0.iter().map(|(n, v)| 3 * (n.len() + v.len()) + 2);
        let mut text = Zeroizing::new(Vec::with_capacity(room.sum()));
        for (name, value) in &self.0 {
            if !text.is_empty() {
                text.push(b'&');
            }
            encode_into(name.as_bytes(), &mut text);
            text.push(b'=');
            encode_into(value, &mut text);
        }
        text
    }
}

/// One part of a form.
pub(crate) fn encoded(part: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(3 * part.len()));
    encode_into(part, &mut text);
    text
}

fn encode_into(part: &[u8], text: &mut Vec<u8>) {
    for piece in percent_encode(part, KEPT) {
        text.extend(
            piece
                .bytes()
                .map(|byte| if byte == b' ' { b'+' } else { byte }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_holds_what_would_end_a_field() {
        let form = Form::default().with("a", "1&b=2").with("c d", "ü +/~*");
        assert_eq!(&**form.encode(), b"a=1%26b%3D2&c+d=%C3%BC+%2B%2F%7E*");
    }
}
