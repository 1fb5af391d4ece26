//! The age file around a document: opened and sealed in memory.

use std::io::{Read as _, Write as _};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, EncryptError, Encryptor};
use zeroize::Zeroizing;

/// Most recipients one store may have: each costs every reader a key agreement, and a cloned
/// store is not to be trusted.
pub(crate) const MAX_RECIPIENTS: usize = 1000;

const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const MAGIC: &[u8] = b"age-encryption.org/";

/// An age file whose header has been looked at.
pub(crate) struct Envelope {
    binary: Vec<u8>,
    /// How many recipients it is encrypted to.
    pub(crate) recipients: usize,
    /// The work factor of its passphrase, if that is what it is encrypted with.
    pub(crate) work_factor: Option<u8>,
}

/// Whether these bytes are an age file, armored or not.
pub(crate) fn is_age(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) || bytes.trim_ascii_start().starts_with(ARMOR)
}

impl Envelope {
    /// Looks at the header; nothing if these bytes are no age file that can be opened.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let binary = if bytes.trim_ascii_start().starts_with(ARMOR) {
            let mut binary = Vec::with_capacity(bytes.len());
            ArmoredReader::new(bytes).read_to_end(&mut binary).ok()?;
            binary
        } else {
            bytes.to_vec()
        };
        let mut recipients = 0;
        let mut work_factor = None;
        for line in binary.split(|byte| *byte == b'\n') {
            if line.starts_with(b"---") {
                return Some(Self {
                    binary,
                    recipients,
                    work_factor,
                });
            }
            let Some(stanza) = line.strip_prefix(b"-> ") else {
                continue;
            };
            let words: Vec<_> = stanza.split(|byte| *byte == b' ').collect();
            match *words.first()? {
                b"scrypt" => {
                    let factor = std::str::from_utf8(words.get(2)?).ok()?;
                    work_factor = Some(factor.parse().ok()?);
                }
                // The `age` tools may add a stanza that means nothing, so that others accept
                // unknown ones.
                tag if tag.ends_with(b"-grease") => continue,
                _ => {}
            }
            recipients += 1;
            if recipients > MAX_RECIPIENTS {
                return None;
            }
        }
        None
    }

    /// Decrypts the contents.
    pub(crate) fn open<'a>(
        &self,
        identities: impl Iterator<Item = &'a dyn age::Identity>,
    ) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let mut reader = Decryptor::new_buffered(&self.binary[..])?.decrypt(identities)?;
        // The plaintext is shorter than the file, so the buffer never moves and leaves a copy.
        let mut contents = Zeroizing::new(Vec::with_capacity(self.binary.len()));
        reader.read_to_end(&mut contents)?;
        Ok(contents)
    }
}

/// Encrypts `contents` into an armored age file.
pub(crate) fn seal<'a>(
    contents: &[u8],
    recipients: impl Iterator<Item = &'a dyn age::Recipient>,
) -> Result<Vec<u8>, EncryptError> {
    let encryptor = Encryptor::with_recipients(recipients)?;
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(contents)?;
    Ok(writer.finish()?.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(keys: &[age::x25519::Identity]) -> Vec<u8> {
        let recipients: Vec<_> = keys.iter().map(age::x25519::Identity::to_public).collect();
        seal(b"contents", recipients.iter().map(|key| key as _)).unwrap()
    }

    #[test]
    fn every_recipient_opens_it_and_nobody_else() {
        let keys = [
            age::x25519::Identity::generate(),
            age::x25519::Identity::generate(),
        ];
        let envelope = Envelope::parse(&sealed(&keys)).unwrap();
        assert_eq!((envelope.recipients, envelope.work_factor), (2, None));
        for key in &keys {
            let contents = envelope.open(std::iter::once(key as _)).unwrap();
            assert_eq!(&contents[..], b"contents");
        }
        let stranger = age::x25519::Identity::generate();
        let refusal = envelope.open(std::iter::once(&stranger as _)).err();
        assert!(matches!(refusal, Some(DecryptError::NoMatchingKeys)));
    }

    #[test]
    fn no_truncation_is_taken_for_the_whole() {
        let key = age::x25519::Identity::generate();
        let whole = sealed(std::slice::from_ref(&key));
        for end in 0..whole.trim_ascii_end().len() {
            let opened = Envelope::parse(&whole[..end])
                .and_then(|envelope| envelope.open(std::iter::once(&key as _)).ok());
            assert!(opened.is_none(), "cut at {end}");
        }
    }

    #[test]
    fn a_header_with_too_many_recipients_is_refused_before_any_work() {
        let stanza = "-> X25519 AAAA\nAAAA\n".repeat(MAX_RECIPIENTS + 1);
        let file = format!("age-encryption.org/v1\n{stanza}--- AAAA\n");
        assert!(Envelope::parse(file.as_bytes()).is_none());
    }
}
