//! "Did you mean".

/// The known word that was most likely meant.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Three letters may be one mistake apart, long words three.
    let reach = (written.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|word| (distance(written, word), word))
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// A help line: the nearest word, else the list of what there is.
pub(crate) fn suggestion<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    const SHOWN: usize = 14;
    if let Some(word) = nearest(written, known.clone()) {
        return Some(format!("did you mean `{word}`?"));
    }
    let all: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
    match all.len() {
        0 => None,
        1..=SHOWN => Some(format!("there is {}", all.join(", "))),
        more => Some(format!(
            "there is {} and {} more",
            all[..SHOWN].join(", "),
            more - SHOWN
        )),
    }
}

fn distance(written: &str, word: &str) -> usize {
    // `TTL`, `max-stale` and `maxstale` are the same mistake as a letter too many.
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    if plain(written) == plain(word) {
        return 0;
    }
    if written.len().abs_diff(word.len()) > 3 {
        return usize::MAX;
    }
    strsim::damerau_levenshtein(written, word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(nearest("valut", ["env", "vault"]), Some("vault"));
        assert_eq!(
            nearest("Max-Stale", ["ttl", "max_stale"]),
            Some("max_stale")
        );
        assert_eq!(nearest("zebra", ["env", "vault"]), None);
        assert_eq!(nearest("", ["env"]), None);
    }

    #[test]
    fn without_a_near_word_all_are_listed() {
        assert_eq!(
            suggestion("zebra", ["env", "file"]).unwrap(),
            "there is `env`, `file`"
        );
        assert_eq!(suggestion("zebra", []), None);
    }
}
