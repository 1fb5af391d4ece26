//! Random texts that are full of secrets, and of what is nearly one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::forms::Forms;

/// The numbers of Marsaglia's xorshift: the same in every run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap() % limit.max(1)
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(super) fn text(&mut self, alphabet: &[u8], len: usize) -> Vec<u8> {
        (0..len).map(|_| *self.pick(alphabet)).collect()
    }
}

const ALPHABETS: [&[u8]; 6] = [
    b"ab",
    b"aaaaab",
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    b"0123456789abcdef",
    b"abc \"'\\/<>&%+$`!*[]\n\t",
    b"\x00\x01\x7f\x80\xc3\xa9\xffab",
];

/// Secrets, some of which overlap others or contain them.
pub(super) fn secrets(random: &mut Random) -> Vec<Vec<u8>> {
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for _ in 0..=random.below(4) {
        let alphabet = *random.pick(&ALPHABETS);
        let len = *random.pick(&[1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 40, 60, 90]);
        let mut secret = random.text(alphabet, len);
        if random.below(3) == 0 && !secrets.is_empty() {
            let other = random.pick(&secrets).clone();
            let from = random.below(other.len());
            secret.extend_from_slice(&other[from..]);
        }
        secrets.push(secret);
    }
    secrets
}

/// A text of forms, pieces of forms, lines of base64 and noise.
pub(super) fn text(random: &mut Random, secrets: &[Vec<u8>]) -> Vec<u8> {
    let forms: Vec<Forms> = secrets
        .iter()
        .map(|secret| Forms::of(secret, |_| true))
        .collect();
    let mut text = Vec::new();
    for _ in 0..=random.below(6) {
        let forms = random.pick(&forms);
        let form = *random.pick(forms.spans());
        let form = &forms.bytes()[form.start..form.start + form.len as usize];
        match random.below(8) {
            0 | 1 => text.extend_from_slice(form),
            2 => text.extend_from_slice(&form[..random.below(form.len())]),
            3 => text.extend_from_slice(&form[random.below(form.len())..]),
            4 => text.extend(wrapped(random, secrets)),
            5 => {
                let alphabet = *random.pick(&ALPHABETS);
                let len = random.below(30);
                text.extend(random.text(alphabet, len));
            }
            6 => text.extend_from_slice(random.pick::<&[u8]>(&[b"\n", b"\r\n", b" ", b"***"])),
            _ => {
                let at = random.below(text.len() + 1);
                text.splice(at..at, form.iter().copied());
            }
        }
    }
    text
}

/// A secret within other text, in lines of base64.
fn wrapped(random: &mut Random, secrets: &[Vec<u8>]) -> Vec<u8> {
    let letters = ALPHABETS[2];
    let (before, after) = (random.below(80), random.below(80));
    let mut plain = random.text(letters, before);
    plain.extend_from_slice(random.pick::<Vec<u8>>(secrets));
    plain.extend(random.text(letters, after));
    let width = *random.pick(&[64, 76, 63, 70]);
    let end = *random.pick(&["\n", "\r\n", "\r", "\n\n"]);
    let mut text = Vec::new();
    for line in STANDARD.encode(plain).as_bytes().chunks(width) {
        text.extend_from_slice(line);
        text.extend_from_slice(end.as_bytes());
    }
    text
}
