//! Values that nobody can guess, from the operating system's randomness.

use zeroize::Zeroizing;

use crate::{Error, Kind, Result, Secret};

/// Random bytes.
///
/// # Errors
/// [`Kind::Internal`] if the system has no randomness.
pub fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    fill(&mut *bytes)?;
    Ok(bytes)
}

/// A random text of `length` characters, each drawn from `alphabet` with equal probability.
///
/// # Errors
/// [`Kind::Invalid`] for an alphabet with fewer than two or more than 256 characters, or one
/// that has a character twice; [`Kind::Internal`] if the system has no randomness.
///
/// ```
/// let pin = credchain_core::random_text(6, "0123456789")?;
/// assert_eq!(pin.expose().len(), 6);
/// # Ok::<(), credchain_core::Error>(())
/// ```
pub fn random_text(length: usize, alphabet: &str) -> Result<Secret> {
    let letters: Vec<char> = alphabet.chars().collect();
    let mut sorted = letters.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != letters.len() || !(2..=256).contains(&letters.len()) {
        return Err(Error::new(
            Kind::Invalid,
            "an alphabet has 2 to 256 different characters",
        ));
    }
    // Bytes from the last, incomplete run through the alphabet are thrown away: taking them
    // modulo its length would favour its first letters.
    let fair = 256 - 256 % letters.len();
    let mut text = Zeroizing::new(String::with_capacity(length * 4));
    let mut pool = Zeroizing::new([0_u8; 256]);
    let mut missing = length;
    while missing > 0 {
        fill(&mut *pool)?;
        for byte in pool
            .iter()
            .map(|byte| usize::from(*byte))
            .filter(|byte| *byte < fair)
        {
            if missing == 0 {
                break;
            }
            text.push(letters[byte % letters.len()]);
            missing -= 1;
        }
    }
    Ok(Secret::new(std::mem::take(&mut *text)))
}

/// A random number below `bound`, each with equal probability.
///
/// # Errors
/// [`Kind::Invalid`] if there is no number below it; [`Kind::Internal`] if the system has no
/// randomness.
pub fn random_below(bound: usize) -> Result<usize> {
    let bound = u64::try_from(bound).unwrap_or(u64::MAX);
    if bound == 0 {
        return Err(Error::new(Kind::Invalid, "no number is below zero"));
    }
    // As above: what lies beyond the last whole run is thrown away.
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let number = u64::from_le_bytes(*random_bytes::<8>()?);
        if number < fair {
            return Ok(usize::try_from(number % bound).unwrap_or(usize::MAX));
        }
    }
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(Kind::Internal, "the system has no randomness").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_equally_likely() {
        // 3 does not divide 256: a plain modulo would favour `a` by a full percent.
        let text = random_text(90_000, "abc").unwrap();
        for letter in *b"abc" {
            let count = text.expose().split(|byte| *byte == letter).count() - 1;
            // Six standard deviations: fails once in a billion runs.
            assert!((29_150..=30_850).contains(&count), "{count}");
        }
    }

    #[test]
    fn every_number_is_equally_likely() {
        let mut counts = [0_u32; 3];
        for _ in 0..9_000 {
            counts[random_below(3).unwrap()] += 1;
        }
        // Six standard deviations.
        assert!(
            counts.iter().all(|count| (2_730..=3_270).contains(count)),
            "{counts:?}"
        );
        assert_eq!(random_below(1).unwrap(), 0);
        assert_eq!(random_below(0).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn impossible_alphabets_are_refused() {
        for alphabet in ["", "a", "aa"] {
            assert_eq!(random_text(4, alphabet).unwrap_err().kind(), Kind::Invalid);
        }
        assert_eq!(
            random_text(3, "äöü")
                .unwrap()
                .expose_text()
                .unwrap()
                .chars()
                .count(),
            3
        );
    }
}
