//! Hashes as text: lower case only, so that each has one text.

pub(crate) type Digest = [u8; 32];

pub(crate) const HEX_LEN: usize = 64;

pub(crate) fn hex(digest: &Digest) -> [u8; HEX_LEN] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; HEX_LEN];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

pub(crate) fn unhex(text: &[u8]) -> Option<Digest> {
    let text: &[u8; HEX_LEN] = text.try_into().ok()?;
    let mut digest = [0; 32];
    // What is no digit sets the high bits: no branch for each of them, a verifier does this a lot.
    let mut wrong = 0;
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        wrong |= high | low;
        *byte = high << 4 | (low & 15);
    }
    (wrong & 0xf0 == 0).then_some(digest)
}

const VALUES: [u8; 256] = {
    let mut values = [0xf0; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_digest_has_one_text() {
        let mut digest = [0; 32];
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::try_from(at * 8 + 5).unwrap();
        }
        let text = hex(&digest);
        assert_eq!(unhex(&text), Some(digest));
        for at in 0..text.len() {
            for other in 0..=255 {
                let mut changed = text;
                changed[at] = other;
                let same = other == text[at];
                assert_eq!(unhex(&changed) == Some(digest), same, "{at} {other}");
            }
        }
        assert_eq!(unhex(&text[1..]), None);
    }
}
