//! The forms in which a value may appear: every encoding that logs, shells, web pages and dumps use.
//!
//! [`FAMILIES`] lists them all. A form that is shorter than [`SHORTEST`] is not distinctive and is
//! left out; only a value itself may be shorter.

mod base64;
mod escapes;
mod hex;
mod html;
mod percent;
mod plain;
mod shell;
mod utf16;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::buffer::Buffer;

/// The least that a derived form must have: fewer bytes appear by chance.
pub(crate) const SHORTEST: usize = 8;

/// The longest value or form that is registered.
const LONGEST: usize = u32::MAX as usize - 1;

/// One family of encodings.
struct Family {
    /// Adds all forms of a value.
    encode: fn(&[u8], &mut Forms),
    /// Whether it changes the value although that is letters and digits only.
    changes_letters: bool,
}

/// All encodings. Each has a file with the reasons and a test that decodes what it makes.
const FAMILIES: [Family; 7] = [
    Family {
        encode: base64::add,
        changes_letters: true,
    },
    Family {
        encode: hex::add,
        changes_letters: true,
    },
    Family {
        encode: utf16::add,
        changes_letters: true,
    },
    Family {
        encode: percent::add,
        changes_letters: false,
    },
    Family {
        encode: escapes::add,
        changes_letters: false,
    },
    Family {
        encode: shell::add,
        changes_letters: false,
    },
    Family {
        encode: html::add,
        changes_letters: false,
    },
];

/// Where one form is in the bytes of all.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub(crate) start: usize,
    pub(crate) len: u32,
    /// Whether it is base64, which may be broken into lines.
    pub(crate) wraps: bool,
}

/// All forms of one value, each once; the first is the value itself.
pub(crate) struct Forms {
    bytes: Buffer,
    spans: Vec<Form>,
    /// The shortest form that is taken.
    least: usize,
}

impl Forms {
    /// All forms of a value. The parts of a value (its lines, a password within a URL) are
    /// masked if they have `least` bytes.
    pub(crate) fn of(value: &[u8], is_worth: impl Fn(&[u8]) -> bool) -> Self {
        let mut forms = Self {
            bytes: Buffer::with_capacity(32 * value.len()),
            spans: Vec::new(),
            least: 1,
        };
        forms.add(value);
        forms.least = SHORTEST;
        forms.encode(value);
        for part in plain::whole(value) {
            if is_worth(&part) {
                forms.add_short(&part);
                forms.encode(&part);
            }
        }
        plain::add_lines(value, &mut forms);
        forms
    }

    /// Each form.
    pub(crate) fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.spans
            .iter()
            .map(|form| &self.bytes[form.start..form.start + form.len as usize])
    }

    /// All bytes, one form after the other.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn spans(&self) -> &[Form] {
        &self.spans
    }

    fn encode(&mut self, value: &[u8]) {
        let letters_only = value.iter().all(u8::is_ascii_alphanumeric);
        for family in &FAMILIES {
            if family.changes_letters || !letters_only {
                (family.encode)(value, self);
            }
        }
    }

    fn encode_text(&mut self, value: &[u8]) {
        for family in FAMILIES.iter().filter(|family| !family.changes_letters) {
            (family.encode)(value, self);
        }
    }

    fn add(&mut self, form: &[u8]) {
        self.write(|out| out.extend(form));
    }

    fn add_short(&mut self, form: &[u8]) {
        let least = std::mem::replace(&mut self.least, 1);
        self.add(form);
        self.least = least;
    }

    /// Takes what `make` appends, unless it is too short or there already.
    fn write(&mut self, make: impl FnOnce(&mut Buffer)) {
        self.write_wrapping(false, make);
    }

    fn write_wrapping(&mut self, wraps: bool, make: impl FnOnce(&mut Buffer)) {
        let start = self.bytes.len();
        make(&mut self.bytes);
        let len = self.bytes.len() - start;
        let new = &self.bytes[start..];
        let is_known = self.spans.iter().any(|form| {
            form.len as usize == len && &self.bytes[form.start..form.start + len] == new
        });
        match u32::try_from(len) {
            Ok(len_32) if len >= self.least && len <= LONGEST && !is_known => {
                self.spans.push(Form {
                    start,
                    len: len_32,
                    wraps,
                });
            }
            _ => self.bytes.truncate(start),
        }
    }
}

impl fmt::Debug for Forms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forms").finish_non_exhaustive()
    }
}
