//! What a new value is made of.

use credchain_core::{Error, Kind, Result, Secret, random_below, random_text};

/// Letters and digits: no system misreads them, and no shell, URL or file needs them quoted.
const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How often a text is drawn until it has all that it must: a policy that one text in a million
/// meets is a mistake.
const DRAWS: u32 = 1_000_000;

/// The value that a rotation makes: so many characters of an alphabet, some of them of certain
/// sets.
///
/// Every text that fulfils the policy is equally likely: what does not is thrown away and drawn
/// anew as a whole.
///
/// ```
/// use credchain_rotation::Recipe;
///
/// let password = Recipe::new(20).must_contain("0123456789").must_contain("!#%+").make()?;
/// assert_eq!(password.expose().len(), 20);
/// assert!(password.expose().iter().any(u8::is_ascii_digit));
/// # Ok::<(), credchain_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    length: usize,
    alphabet: String,
    must: Vec<String>,
}

impl Default for Recipe {
    /// Forty letters and digits: 238 bits.
    fn default() -> Self {
        Self::new(40)
    }
}

impl Recipe {
    /// So many letters and digits.
    pub fn new(length: usize) -> Self {
        Self {
            length,
            alphabet: ALPHANUMERIC.into(),
            must: Vec::new(),
        }
    }

    /// The same, of other characters.
    pub fn of(mut self, alphabet: impl Into<String>) -> Self {
        self.alphabet = alphabet.into();
        self
    }

    /// The same, with at least one of these characters, which join the alphabet.
    pub fn must_contain(mut self, set: &str) -> Self {
        let missing: String = set
            .chars()
            .filter(|c| !self.alphabet.contains(*c))
            .collect();
        self.alphabet.push_str(&missing);
        self.must.push(set.to_owned());
        self
    }

    /// Makes a value, from the operating system's randomness.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an alphabet that is none, or a policy that no text of this length
    /// fulfils.
    pub fn make(&self) -> Result<Secret> {
        let impossible = || {
            let message = "no value of this length has all that it must contain";
            Error::new(Kind::Invalid, message)
        };
        if self.length < self.must.len() || self.must.iter().any(String::is_empty) {
            return Err(impossible());
        }
        for _ in 0..DRAWS {
            let value = random_text(self.length, &self.alphabet)?;
            let text = value.expose_text().unwrap_or_default();
            if self
                .must
                .iter()
                .all(|set| text.contains(|c| set.contains(c)))
            {
                return Ok(value);
            }
        }
        Err(impossible())
    }
}

/// A passphrase of words that are drawn from a list, with hyphens between them.
///
/// ```
/// let phrase = credchain_rotation::passphrase(8)?;
/// assert_eq!(phrase.expose_text().unwrap().split('-').count(), 8);
/// # Ok::<(), credchain_core::Error>(())
/// ```
///
/// # Errors
/// [`Kind::Internal`] if the system has no randomness.
pub fn passphrase(words: usize) -> Result<Secret> {
    let list = bip39::Language::English.word_list();
    let mut phrase = zeroize::Zeroizing::new(String::with_capacity(words * 9));
    for number in 0..words {
        if number > 0 {
            phrase.push('-');
        }
        phrase.push_str(list[random_below(list.len())?]);
    }
    Ok(Secret::new(std::mem::take(&mut *phrase)))
}
