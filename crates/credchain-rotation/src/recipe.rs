//! What a new value is made of.

use credchain_core::{Error, Kind, Result, Secret, random_below, random_text};

/// Letters and digits: no system misreads them, and no shell, URL or file needs them quoted.
const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Without quotes, backslash and dollar, which shells and files have their own ideas of.
const PUNCTUATION: &str = "!#%&()*+,-./:;<=>?@[]^_{|}~";

const WITH_PUNCTUATION: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#%&()*+,-./:;<=>?@[]^_{|}~";

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

    /// The characters that an alphabet's name stands for: `alphanumeric`, `hex`, `base64url`,
    /// `digits`, `symbols` (with letters and digits); anything else is the characters themselves.
    pub fn alphabet(name: &str) -> &str {
        match name {
            "symbols" => WITH_PUNCTUATION,
            name => Self::set(name),
        }
    }

    /// The same for what a value must contain: `symbols` are none but symbols, `lower` and `upper`
    /// are letters.
    pub fn set(name: &str) -> &str {
        match name {
            "alphanumeric" => ALPHANUMERIC,
            "hex" => "0123456789abcdef",
            "base64url" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            "digits" => "0123456789",
            "lower" => "abcdefghijklmnopqrstuvwxyz",
            "upper" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "symbols" => PUNCTUATION,
            own => own,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_in_it_is_in_it_and_every_such_text_is_equally_likely() {
        // Of the nine texts over `abc` of two letters, five have an `a`.
        let recipe = Recipe::new(2).of("abc").must_contain("a");
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..10_000 {
            let value = recipe.make().unwrap();
            *counts.entry(value.expose().to_vec()).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 5, "{counts:?}");
        // Six standard deviations.
        assert!(
            counts.values().all(|count| (1_760..=2_240).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn what_cannot_be_is_said() {
        let impossible = [
            Recipe::new(1).must_contain("a").must_contain("b"),
            Recipe::new(8).must_contain(""),
            Recipe::new(8).of("a"),
        ];
        for recipe in impossible {
            assert_eq!(
                recipe.make().unwrap_err().kind(),
                Kind::Invalid,
                "{recipe:?}"
            );
        }
    }

    #[test]
    fn names_of_sets_stand_for_characters() {
        let all = Recipe::new(12)
            .must_contain(Recipe::set("lower"))
            .must_contain(Recipe::set("upper"))
            .must_contain(Recipe::set("digits"))
            .must_contain(Recipe::set("symbols"));
        let value = all.make().unwrap();
        let text = value.expose_text().unwrap();
        assert!(text.contains(|c: char| c.is_ascii_punctuation()), "{text}");
        assert!(Recipe::alphabet("symbols").contains('a'));
        assert_eq!(Recipe::alphabet("xyz"), "xyz");
    }

    #[test]
    fn a_passphrase_has_words() {
        let phrase = passphrase(8).unwrap();
        let text = phrase.expose_text().unwrap();
        assert!(text.split('-').all(|word| word.len() >= 3), "{text}");
        assert_ne!(phrase.expose(), passphrase(8).unwrap().expose());
    }
}
