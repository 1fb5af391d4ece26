//! Examples of rules, made when a test runs: no file here holds anything that looks like a token.

use std::collections::BTreeMap;
use std::ops::Range;

/// The examples of one rule.
#[derive(serde::Deserialize)]
pub(crate) struct Examples {
    /// The rule.
    pub(crate) id: String,
    /// Whether scans use it.
    #[serde(default = "yes")]
    pub(crate) scan: bool,
    /// Whether streams use it.
    #[serde(default = "yes")]
    pub(crate) redact: bool,
    /// Templates in which the rule finds something.
    pub(crate) positive: Vec<String>,
    /// Templates in which it does not.
    pub(crate) negative: Vec<String>,
}

fn yes() -> bool {
    true
}

/// The examples of all built-in rules.
pub(crate) fn examples() -> Vec<Examples> {
    #[derive(serde::Deserialize)]
    struct File {
        rule: Vec<Examples>,
    }
    let file: File = toml::from_str(include_str!("../../data/rules.toml")).unwrap();
    file.rule
}

/// A template that was filled in.
pub(crate) struct Sample {
    /// The text.
    pub(crate) text: Vec<u8>,
    /// Where in it the secret is.
    pub(crate) secret: Range<usize>,
}

/// Random numbers that are the same in every run.
pub(crate) struct Random(u64);

impl Random {
    /// Starts with this number.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// Characters of an alphabet.
    pub(crate) fn text(&mut self, alphabet: &str, len: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..len)
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }
}

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

/// Fills a template in.
pub(crate) fn sample(template: &str, random: &mut Random) -> Sample {
    let (mut text, mut rest) = (String::new(), template);
    let (mut start, mut end) = (None, None);
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("[[") {
            (start, rest) = (Some(text.len()), after);
        } else if let (Some(after), Some(_)) = (rest.strip_prefix("]]"), start) {
            (end, rest) = (Some(text.len()), after);
        } else if let Some((made, after)) = placeholder(rest, &text[start.unwrap_or(0)..], random) {
            if let Some((before, body, behind)) = marked(&made) {
                start = Some(text.len() + before.len());
                end = Some(text.len() + before.len() + body.len());
                text.extend([before, body, behind]);
            } else {
                text.push_str(&made);
            }
            rest = after;
        } else {
            text.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    let secret = start.unwrap_or(0)..end.unwrap_or(text.len());
    Sample {
        text: text.into_bytes(),
        secret,
    }
}

/// The parts of a piece that marks the secret itself.
fn marked(made: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = made.split_once("[[")?;
    let (body, behind) = rest.split_once("]]")?;
    Some((before, body, behind))
}

/// What a placeholder at the beginning of `rest` stands for, and what follows it. `made` is the
/// part of the secret that stands before it.
fn placeholder<'t>(rest: &'t str, made: &str, random: &mut Random) -> Option<(String, &'t str)> {
    let (inner, after) = rest.strip_prefix('{')?.split_once('}')?;
    let (name, argument) = inner.split_once(':').unwrap_or((inner, ""));
    let len = argument.parse().unwrap_or(0);
    let alphabets = BTreeMap::from([
        ("base62", [UPPER, LOWER, DIGITS].concat()),
        ("b64", [UPPER, LOWER, DIGITS, "+/"].concat()),
        ("b64url", [UPPER, LOWER, DIGITS, "-_"].concat()),
        ("hex", [DIGITS, "abcdef"].concat()),
        ("upper", [UPPER, DIGITS].concat()),
        ("lower", [LOWER, DIGITS].concat()),
        ("letters", [UPPER, LOWER].concat()),
        ("digits", DIGITS.to_owned()),
        ("b32", [UPPER, "234567"].concat()),
    ]);
    if let Some(alphabet) = alphabets.get(name).filter(|_| len > 0) {
        return Some((random.text(alphabet, len), after));
    }
    let hex = alphabets["hex"].as_str();
    let filled = match name {
        "uuid" => [8, 4, 4, 4, 12].map(|len| random.text(hex, len)).join("-"),
        "crc62" => {
            let random_part = made.split_once('_').map_or(made, |(_, random)| random);
            in_base(
                crc32(random_part.as_bytes()),
                &[DIGITS, UPPER, LOWER].concat(),
                6,
            )
        }
        "crc36" => in_base(crc32(made.as_bytes()), &[DIGITS, LOWER].concat(), 7),
        "crchex" => {
            let signed = made.strip_suffix('_').unwrap();
            let bytes = crc32(signed.as_bytes()).to_le_bytes();
            bytes.map(|byte| format!("{byte:02x}")).concat()
        }
        "aws" => access_key(argument, random),
        "age" => age_key(random),
        "jwt" => jwt(random),
        "basic" => encode(
            &format!("bot:{}", random.text(&alphabets["base62"], 16)),
            true,
        ),
        "macaroon" => {
            let location = random.text(LOWER, 80);
            encode(&format!("\u{2}\u{1}\u{8}pypi.org{location}"), false)
        }
        "pem" => pem(argument, "\n", random),
        "pemline" => pem(argument, "\\n", random),
        _ => return None,
    };
    Some((filled, after))
}

/// An access key of an account that can be.
fn access_key(prefix: &str, random: &mut Random) -> String {
    let account = random.next() % 1_000_000_000_000;
    let alphabet = [UPPER, "234567"].concat();
    // One bit, forty of the account, and nine at random: ten digits of five bits.
    let bits = account << 9 | random.next() & 0x1ff;
    let digits: String = (0..10)
        .rev()
        .map(|digit| alphabet.as_bytes()[usize::try_from(bits >> (5 * digit) & 31).unwrap()])
        .map(char::from)
        .collect();
    format!("{prefix}{digits}{}", random.text(&alphabet, 6))
}

/// A secret key as `age-keygen` writes it, with a checksum that follows from BIP 173.
fn age_key(random: &mut Random) -> String {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let human = "age-secret-key-";
    let mut values: Vec<u32> = human.bytes().map(|byte| u32::from(byte >> 5)).collect();
    values.push(0);
    values.extend(human.bytes().map(|byte| u32::from(byte & 31)));
    let data: Vec<u32> = (0..52)
        .map(|_| u32::try_from(random.below(32)).unwrap())
        .collect();
    values.extend(&data);
    values.extend([0; 6]);
    let sum = polymod(&values) ^ 1;
    let digits = data
        .into_iter()
        .chain((0..6).map(|i| sum >> (5 * (5 - i)) & 31));
    let digits: String = digits
        .map(|digit| char::from(ALPHABET[digit as usize]))
        .collect();
    format!("{human}1{digits}").to_uppercase()
}

fn polymod(values: &[u32]) -> u32 {
    let mut sum = 1_u32;
    for value in values {
        let top = sum >> 25;
        sum = (sum & 0x01ff_ffff) << 5 ^ value;
        for (bit, term) in [
            0x3b6a_57b2,
            0x2650_8e6d,
            0x1ea1_19fa,
            0x3d42_33dd,
            0x2a14_62b3,
        ]
        .into_iter()
        .enumerate()
        {
            if top >> bit & 1 == 1 {
                sum ^= term;
            }
        }
    }
    sum
}

fn jwt(random: &mut Random) -> String {
    let header = encode(r#"{"alg":"HS256","typ":"JWT"}"#, false);
    let subject = random.text(LOWER, 12);
    let claims = encode(
        &format!(r#"{{"sub":"{subject}","iat":{}}}"#, random.next()),
        false,
    );
    let signature = random.text(&[UPPER, LOWER, DIGITS, "-_"].concat(), 43);
    format!("{header}.{claims}.{signature}")
}

/// A block of PEM with its body marked as the secret.
fn pem(label: &str, newline: &str, random: &mut Random) -> String {
    let alphabet = [UPPER, LOWER, DIGITS, "+/"].concat();
    let mut lines: Vec<String> = (0..9).map(|_| random.text(&alphabet, 64)).collect();
    lines.push(format!("{}==", random.text(&alphabet, 22)));
    let body = lines.join(newline);
    format!("-----BEGIN {label}-----[[{newline}{body}{newline}]]-----END {label}-----")
}

fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| {
            (0..8).fold(byte, |sum, _| {
                if sum & 1 == 1 {
                    0xedb8_8320 ^ sum >> 1
                } else {
                    sum >> 1
                }
            })
        })
        .collect();
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        table[usize::try_from((sum ^ u32::from(*byte)) & 0xff).unwrap()] ^ sum >> 8
    });
    sum ^ u32::MAX
}

fn in_base(mut number: u32, alphabet: &str, len: usize) -> String {
    let base = u32::try_from(alphabet.len()).unwrap();
    let mut digits = vec![b'0'; len];
    for digit in digits.iter_mut().rev() {
        *digit = alphabet.as_bytes()[(number % base) as usize];
        number /= base;
    }
    String::from_utf8(digits).unwrap()
}

/// Base64, or base64url without padding.
fn encode(text: &str, standard: bool) -> String {
    let alphabet = [UPPER, LOWER, DIGITS, if standard { "+/" } else { "-_" }].concat();
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(
                alphabet.as_bytes()[(bits >> (18 - 6 * digit) & 63) as usize],
            ));
        }
        if standard {
            out.extend(std::iter::repeat_n('=', 3 - chunk.len()));
        }
    }
    out
}
