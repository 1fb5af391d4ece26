//! What everybody needs who reads a server's answers.

use std::error::Error as StdError;
use std::io;
use std::iter::successors;

use zeroize::Zeroizing;

/// Adds the next piece of an answer; memory that becomes too small for it is wiped.
///
/// ```
/// use credchain_core::append_piece;
/// use zeroize::Zeroizing;
///
/// let mut body = Zeroizing::new(Vec::new());
/// append_piece(&mut body, b"half a sec");
/// append_piece(&mut body, b"ret");
/// assert_eq!(body.as_slice(), b"half a secret");
/// ```
pub fn append_piece(body: &mut Zeroizing<Vec<u8>>, piece: &[u8]) {
    if body.capacity() - body.len() < piece.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((body.len() + piece.len()) * 2));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(piece);
}

/// Everything that an error came of, outermost first, itself left out. What an I/O error wraps is
/// not among its sources, and is here: a client's TLS error is wrapped in one.
pub fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(cause(error), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stand_behind_each_other_whatever_room_there_was() {
        let mut body = Zeroizing::new(Vec::with_capacity(3));
        for piece in [&b"ab"[..], b"", b"cdef", &[0; 100]] {
            append_piece(&mut body, piece);
        }
        assert_eq!(&body[..6], b"abcdef");
        assert_eq!(body.len(), 106);
    }

    #[test]
    fn what_an_io_error_wraps_is_a_cause() {
        let inner = "x".parse::<u8>().unwrap_err();
        let outer = io::Error::other(io::Error::other(inner));
        let wrapped = crate::Error::new(crate::Kind::Internal, "outermost").with_source(outer);
        assert_eq!(causes(&wrapped).count(), 3);
        assert!(causes(&wrapped).any(<dyn StdError>::is::<std::num::ParseIntError>));
    }
}
