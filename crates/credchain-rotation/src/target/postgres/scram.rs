//! The verifier of a password, made on our side, so that the server and its logs never see the
//! password itself (RFC 5802 §3, RFC 7677).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credchain_core::{Error, Kind, Result, Secret, random_bytes};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const SALT: usize = 16;

/// The text that `ALTER ROLE … PASSWORD` stores as it is. Its characters need no quoting.
///
/// # Errors
/// [`Kind::Invalid`] for a password that is not printable ASCII: of those `SASLprep` (RFC 4013)
/// changes none, and of others it may.
pub(super) fn verifier(password: &Secret, iterations: u32) -> Result<String> {
    check(password)?;
    Ok(salted(
        password.expose(),
        &*random_bytes::<SALT>()?,
        iterations,
    ))
}

/// Whether a password can be one here.
pub(super) fn check(password: &Secret) -> Result<()> {
    let password = password.expose();
    if !password.is_empty() && password.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(());
    }
    Err(
        Error::new(Kind::Invalid, "a password here is printable ASCII").with_hint(
            "clients and servers do not agree about other characters; `alphabet` says what new \
             values are made of",
        ),
    )
}

/// `Hi` of RFC 5802 §2.2: PBKDF2 (RFC 8018 §5.2) with HMAC-SHA-256, of which one block is enough.
fn iterated(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let keyed = keyed(password);
    let next = |text: &[u8]| -> [u8; 32] {
        let mut mac = keyed.clone();
        mac.update(text);
        mac.finalize().into_bytes().into()
    };
    let mut block = next(&[salt, &1_u32.to_be_bytes()].concat());
    let mut key = block;
    for _ in 1..iterations {
        block = next(&block);
        key.iter_mut()
            .zip(block)
            .for_each(|(byte, next)| *byte ^= next);
    }
    key
}

fn salted(password: &[u8], salt: &[u8], iterations: u32) -> String {
    let key = Zeroizing::new(iterated(password, salt, iterations));
    let client = Zeroizing::new(mac(&*key, b"Client Key"));
    let stored = Sha256::digest(*client);
    let server = mac(&*key, b"Server Key");
    let [salt, stored, server] =
        [salt, &stored[..], &server[..]].map(|bytes| STANDARD.encode(bytes));
    format!("SCRAM-SHA-256${iterations}:{salt}${stored}:{server}")
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_a_server_makes_of_the_same_salt() {
        // The keys behind the example conversation of RFC 7677 §3, as PostgreSQL writes them.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            salted(b"pencil", &salt, 4096),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
             $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn each_has_a_salt_of_its_own_and_nothing_to_quote() {
        let password = Secret::new("p'\"\\ ~");
        let first = verifier(&password, 4096).unwrap();
        assert_ne!(first, verifier(&password, 4096).unwrap());
        assert!(!first.contains(['\'', '\\']));
    }

    #[test]
    fn only_printable_ascii_is_a_password() {
        for password in ["", "ä", "a\nb", "a\0b", "\u{7f}"] {
            let error = verifier(&Secret::new(password), 4096).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{password:?}");
        }
    }
}
