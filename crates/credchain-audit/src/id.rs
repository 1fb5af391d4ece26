//! Names of records that are unique among all logs: UUIDs of version 7.

use std::time::{SystemTime, UNIX_EPOCH};

use credchain_core::{Result, random_bytes};

/// The name of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id([u8; 16]);

impl Id {
    pub(crate) fn new(at: SystemTime) -> Result<Self> {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut bytes = *random_bytes::<16>()?;
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Ok(Self(bytes))
    }

    pub(crate) fn text(self) -> String {
        let mut text = String::with_capacity(36);
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_id_has_the_form_of_a_uuid_and_begins_with_its_time() {
        let at = UNIX_EPOCH + Duration::from_millis(0x0123_4567_89ab);
        let (one, other) = (Id::new(at).unwrap().text(), Id::new(at).unwrap().text());
        assert_ne!(one, other);
        assert!(one.starts_with("01234567-89ab-7"), "{one}");
        assert!(matches!(one.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_eq!(one.len(), 36);
    }
}
