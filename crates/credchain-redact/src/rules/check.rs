//! Checksums and structures that providers have published: what passes is almost surely real.

use serde::Deserialize;

/// What a value must satisfy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    /// The last six characters are the CRC-32 of what stands between the first underscore and
    /// them, in base 62: GitHub and npm.
    Crc32Base62,
    /// The last eight characters are the CRC-32 of what stands before the last underscore, the
    /// lowest byte first, in hexadecimal: Grafana.
    Crc32Hex,
    /// The last seven characters are the CRC-32 of all before them, in base 36: routable tokens
    /// of GitLab.
    Crc32Base36,
    /// An AWS access key that names an account: base 32 after the prefix.
    AwsAccessKey,
    /// Three parts of base64url, of which the first two are JSON objects and the first names an
    /// algorithm.
    Jwt,
    /// Bech32 with its checksum: age.
    Bech32,
    /// Base64 of `user:password`.
    BasicAuth,
    /// Base64 of a macaroon from this kind of issuer.
    Macaroon,
    /// At least 32 characters of base64, on whatever lines.
    Pem,
}

impl Check {
    /// Whether the value passes.
    pub(super) fn passes(self, value: &[u8]) -> bool {
        match self {
            Self::Crc32Base62 => crc32_base62(value),
            Self::Crc32Hex => crc32_hex(value),
            Self::Crc32Base36 => crc32_base36(value),
            // Keys of the first years are random and begin with one of two letters.
            Self::AwsAccessKey => {
                matches!(value.get(4), Some(b'I' | b'J')) || aws_account(value).is_some()
            }
            Self::Jwt => jwt(value),
            Self::Bech32 => bech32(value),
            Self::BasicAuth => basic_auth(value),
            Self::Macaroon => macaroon(value),
            Self::Pem => pem(value),
        }
    }
}

fn crc32_base62(value: &[u8]) -> bool {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let Some(random) = after_first(value, b'_') else {
        return false;
    };
    let Some((random, sum)) = random.split_last_chunk::<6>() else {
        return false;
    };
    in_base(sum, DIGITS) == Some(u64::from(crc32(random)))
}

fn crc32_hex(value: &[u8]) -> bool {
    let Some((rest, sum)) = value.split_last_chunk::<8>() else {
        return false;
    };
    let Some((b'_', signed)) = rest.split_last() else {
        return false;
    };
    in_base(sum, b"0123456789abcdef") == Some(u64::from(crc32(signed).swap_bytes()))
}

fn crc32_base36(value: &[u8]) -> bool {
    let Some((signed, sum)) = value.split_last_chunk::<7>() else {
        return false;
    };
    in_base(sum, b"0123456789abcdefghijklmnopqrstuvwxyz") == Some(u64::from(crc32(signed)))
}

/// The account that an access key belongs to: twelve digits, in the bits after the first.
pub(super) fn aws_account(key: &[u8]) -> Option<u64> {
    let digits = key.get(4..)?;
    let bits = digits.get(..10)?.iter().try_fold(0_u64, |bits, &digit| {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        Some(bits << 5 | u64::from(value))
    })?;
    // Ten digits are 50 bits: one that is not used, 40 of account, and nine of what follows it.
    let account = bits >> 2 & 0x7fff_ffff_ff80;
    let account = account >> 7;
    (account < 1_000_000_000_000).then_some(account)
}

fn jwt(value: &[u8]) -> bool {
    let mut parts = value.splitn(3, |&byte| byte == b'.');
    let (Some(header), Some(claims)) = (parts.next(), parts.next()) else {
        return false;
    };
    let object = |part| base64(part).filter(|json| json.starts_with(b"{") && json.ends_with(b"}"));
    let named = |json: Vec<u8>| json.windows(5).any(|found| found == b"\"alg\"");
    object(header).is_some_and(named) && object(claims).is_some()
}

/// BIP 173; the generator polynomial is the one given there.
fn bech32(value: &[u8]) -> bool {
    const DIGITS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let value = value.to_ascii_lowercase();
    let Some(separator) = value.iter().rposition(|&byte| byte == b'1') else {
        return false;
    };
    let (human, data) = (&value[..separator], &value[separator + 1..]);
    let digits: Option<Vec<u8>> = data
        .iter()
        .map(|digit| DIGITS.iter().position(|known| known == digit))
        .map(|position| position.and_then(|position| u8::try_from(position).ok()))
        .collect();
    let Some(digits) = digits else { return false };
    let expanded = human.iter().map(|byte| byte >> 5).chain([0]);
    let expanded = expanded
        .chain(human.iter().map(|byte| byte & 31))
        .chain(digits);
    let sum = expanded.fold(1_u32, |sum, digit| {
        let top = sum >> 25;
        let shifted = (sum & 0x01ff_ffff) << 5 ^ u32::from(digit);
        (0..5)
            .filter(|bit| top >> bit & 1 == 1)
            .fold(shifted, |sum, bit| sum ^ GENERATOR[bit])
    });
    sum == 1
}

fn basic_auth(value: &[u8]) -> bool {
    base64(value).is_some_and(|pair| {
        let colon = pair.iter().position(|&byte| byte == b':');
        let printable = pair.iter().all(|&byte| byte >= b' ' && byte != 0x7f);
        // Without a password there is nothing to protect.
        printable && colon.is_some_and(|colon| colon + 1 < pair.len())
    })
}

fn macaroon(value: &[u8]) -> bool {
    // Version 2 of the format, then the field "location", both in its binary form.
    let body = after_first(value, b'-').and_then(base64);
    body.is_some_and(|bytes| bytes.starts_with(&[2, 1]))
}

fn pem(value: &[u8]) -> bool {
    let base64 = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    value.iter().filter(base64).count() >= 32
}

fn after_first(value: &[u8], separator: u8) -> Option<&[u8]> {
    let at = value.iter().position(|&byte| byte == separator)?;
    value.get(at + 1..)
}

fn in_base(digits: &[u8], alphabet: &[u8]) -> Option<u64> {
    let base = alphabet.len() as u64;
    digits.iter().try_fold(0_u64, |sum, digit| {
        let value = alphabet.iter().position(|known| known == digit)? as u64;
        sum.checked_mul(base)?.checked_add(value)
    })
}

/// Base64 in either alphabet, padded or not. Lenient in the last bits, as what is checked here
/// was written by many encoders.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|&byte| byte != b'=')? + 1;
    let (mut out, mut bits, mut count) = (Vec::with_capacity(end), 0_u32, 0_u32);
    for &byte in &text[..end] {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
        }
    }
    Some(out)
}

/// The checksum of zip and Ethernet, bit by bit: tokens are short.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_gives_the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn bech32_accepts_the_specifications_example_and_no_other_last_digit() {
        assert!(bech32(b"A12UEL5L"));
        assert!(!bech32(b"A12UEL5Q"));
        assert!(!bech32(b"no separator"));
    }

    #[test]
    fn base64_reads_both_alphabets_with_and_without_padding() {
        for text in ["+/8=", "-_8", "+/8"] {
            assert_eq!(base64(text.as_bytes()), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(base64(b"a b"), None);
    }

    #[test]
    fn a_basic_header_needs_a_password() {
        assert!(basic_auth(b"YTpi"));
        assert!(!basic_auth(b"YWI="));
        assert!(!basic_auth(b"YWI6"));
    }

    #[test]
    fn an_access_key_names_an_account_of_twelve_digits() {
        // The documented way: base 32, one bit dropped, then the account's 40 bits.
        let account = |key: &str| aws_account(key.as_bytes());
        assert_eq!(
            account(&["ASIA", "QNZGKIQY56JQ7WML"].concat()),
            Some(29_608_264_753)
        );
        assert_eq!(account("AKIA"), None);
        assert_eq!(account(&["AKIA", "7777777777777777"].concat()), None);
    }
}
