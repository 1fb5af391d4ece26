//! What comes out in the place of a secret.

use std::fmt;
use std::sync::{Arc, OnceLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::finder::{Finder as _, Label, Owner, Window};
use crate::matcher::layer::Layer;
use crate::matcher::needles::Needles;
use crate::matcher::scan::Scan;

/// What is written in the place of a secret. It never tells the secret's length.
///
/// A registered value can be such that the replacement makes it up again together with the text
/// around it (a password that ends with `*`, after which `***` follows). Then another replacement is used
/// for all, so that redacting twice is the same as redacting once: the first of `***`, `[redacted]`
/// and `<hidden>` that no value can be confused with.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Replacement {
    /// `***`
    #[default]
    Stars,
    /// `[api_key]`: the credential's name, or that of the pattern rule.
    Name,
    /// `[#d1b2a59c03f1]`: the same for the same value under the same key, so that lines of several
    /// logs can be compared. What a pattern rule found is `***`, because nobody registered it.
    Fingerprint(FingerprintKey),
}

impl fmt::Debug for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stars => "Stars",
            Self::Name => "Name",
            Self::Fingerprint(_) => "Fingerprint(***)",
        })
    }
}

/// The key without which a fingerprint tells nothing, not even whether a guess is right.
#[derive(Clone)]
pub struct FingerprintKey(Zeroizing<[u8; 32]>);

impl FingerprintKey {
    /// A key of random bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    fn of(&self, value: &[u8]) -> Box<str> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0[..]) else {
            // HMAC takes keys of every length.
            return Box::default();
        };
        mac.update(value);
        let tag = mac.finalize().into_bytes();
        tag.iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into()
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(***)")
    }
}

impl Replacement {
    /// What a mask may tell about a value.
    pub(crate) fn owner(&self, name: &str, value: &[u8]) -> Owner {
        let fingerprint = match self {
            Self::Fingerprint(key) => key.of(value),
            Self::Stars | Self::Name => Box::default(),
        };
        Owner {
            name: name.into(),
            fingerprint,
        }
    }
}

/// The replacement that is used with a certain set of values.
pub(crate) struct Writer {
    tells: Tells,
    plain: &'static str,
}

enum Tells {
    Nothing,
    Name,
    Fingerprint,
}

/// What is written if nothing is to be told, in the order of preference.
const PLAIN: [&str; 3] = ["***", "[redacted]", "<hidden>"];

impl Writer {
    /// Chooses what cannot make up a value again.
    pub(crate) fn new<'a>(
        wanted: &Replacement,
        layers: &[Arc<Layer>],
        owners: impl Iterator<Item = &'a Owner>,
    ) -> Self {
        let clash = |i: usize| {
            layers
                .iter()
                .any(|layer| layer.clashes().plain(i, layer.needles()))
        };
        let plain = PLAIN[(0..PLAIN.len()).find(|i| !clash(*i)).unwrap_or(0)];
        let tells = match wanted {
            Replacement::Stars => Tells::Nothing,
            Replacement::Name => Tells::Name,
            Replacement::Fingerprint(_) => Tells::Fingerprint,
        };
        let mut writer = Self { tells, plain };
        if !matches!(writer.tells, Tells::Nothing) {
            let mut all = Vec::new();
            for owner in owners {
                writer.write_owner(owner, &mut all);
                all.push(b'\n');
            }
            if layers
                .iter()
                .any(|layer| layer.clashes().brackets(layer.needles()) || finds(layer, &all))
            {
                writer.tells = Tells::Nothing;
            }
        }
        writer
    }

    /// Writes what stands for a mask.
    pub(crate) fn write(&self, label: &Label, out: &mut Vec<u8>) {
        match (label, &self.tells) {
            (Label::Value(owner), _) => self.write_owner(owner, out),
            (Label::Rule(name), Tells::Name) => write_name(name, out),
            (Label::Rule(_), _) => out.extend_from_slice(self.plain.as_bytes()),
        }
    }

    fn write_owner(&self, owner: &Owner, out: &mut Vec<u8>) {
        match self.tells {
            Tells::Nothing => out.extend_from_slice(self.plain.as_bytes()),
            Tells::Name => write_name(&owner.name, out),
            Tells::Fingerprint => {
                out.extend_from_slice(b"[#");
                out.extend_from_slice(owner.fingerprint.as_bytes());
                out.push(b']');
            }
        }
    }
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    out.push(b'[');
    // A name from elsewhere may hold anything, and must not control a terminal.
    out.extend(
        name.bytes()
            .map(|byte| if is_name(byte) { byte } else { b'_' }),
    );
    out.push(b']');
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}

/// Which replacements a set of needles can be confused with; each is found out when it is wanted.
#[derive(Default)]
pub(crate) struct Clashes {
    /// For each of [`PLAIN`].
    plain: [OnceLock<bool>; PLAIN.len()],
    /// For some `[name]`.
    brackets: OnceLock<bool>,
}

impl Clashes {
    fn plain(&self, i: usize, needles: &Needles) -> bool {
        *self.plain[i].get_or_init(|| needles.any(|needle| clashes(needle, PLAIN[i].as_bytes())))
    }

    fn brackets(&self, needles: &Needles) -> bool {
        *self.brackets.get_or_init(|| needles.any(has_brackets))
    }
}

/// Whether a needle contains this text, is in it, or can share a part of it with what is around.
fn clashes(needle: &[u8], text: &[u8]) -> bool {
    let shares_end = (1..text.len()).any(|i| needle.starts_with(&text[i..]));
    let shares_start = (1..text.len()).any(|i| needle.ends_with(&text[..i]));
    let inside = needle.len() <= text.len() && memchr::memmem::find(text, needle).is_some();
    shares_end || shares_start || inside || contains(needle, text)
}

fn contains(needle: &[u8], text: &[u8]) -> bool {
    // Most needles do not even have its first byte.
    memchr::memchr(text[0], needle).is_some() && memchr::memmem::find(needle, text).is_some()
}

/// Whether a needle has a bracket where some `[name]` could share it.
fn has_brackets(needle: &[u8]) -> bool {
    let in_name = |byte: &u8| is_name(*byte) || *byte == b'#';
    let closes = needle.iter().find(|byte| !in_name(byte)) == Some(&b']');
    let opens = needle.iter().rev().find(|byte| !in_name(byte)) == Some(&b'[');
    let within = || {
        let mut parts = needle.split(|&byte| byte == b'[').skip(1);
        parts.any(|part| part.iter().find(|byte| !in_name(byte)) == Some(&b']'))
    };
    closes || opens || (memchr::memchr(b'[', needle).is_some() && within())
}

fn finds(layer: &Arc<Layer>, text: &[u8]) -> bool {
    let window = Window::whole(text);
    let mut found = Vec::new();
    Scan::new(Arc::clone(layer)).find(&window, &mut found);
    !found.is_empty()
}
