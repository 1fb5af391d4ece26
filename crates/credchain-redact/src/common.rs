//! Values that are not masked because they are in every text anyway.

/// Whether a value is a word that everybody's logs are full of, a small number, or one letter
/// again and again. Masking those hides nothing and makes logs unreadable.
pub(crate) fn is_common(value: &[u8]) -> bool {
    let is_small_number = value.len() <= 5 && value.iter().all(u8::is_ascii_digit);
    let is_one_letter = value.windows(2).all(|pair| pair[0] == pair[1]);
    is_small_number || is_one_letter || is_word(value)
}

fn is_word(value: &[u8]) -> bool {
    WORDS
        .split_ascii_whitespace()
        .any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}

const WORDS: &str = "
    true false yes no on off null none nil undefined enabled disabled enable disable
    default auto always never maybe unknown empty unset
    development develop devel production staging testing test tests local localhost
    prod preprod stage demo sandbox example sample dummy placeholder
    admin administrator root user users username guest anonymous public private nobody
    password passwd pass secret secrets token credential credentials login changeme
    debug info warn warning error trace fatal verbose quiet
    main master release latest stable nightly beta alpha
    postgres postgresql mysql mariadb redis mongo mongodb sqlite rabbitmq kafka docker
    http https ssh ftp tcp udp file data text json yaml xml html utf-8 utf8 ascii
    read write append create update delete select insert start stop status value name key
    hello world welcome foobar qwerty letmein 127.0.0.1 0.0.0.0
    monday tuesday wednesday thursday friday saturday sunday
    january february march april june july august september october november december
    this that with from have will your which when where what there their been were they
    123456 1234567 12345678 123456789 1234567890 password1 password123 admin123
";

#[cfg(test)]
mod tests {
    use super::is_common;

    #[test]
    fn everyday_words_small_numbers_and_single_letters_are_common() {
        for value in [
            "true",
            "Production",
            "LOCALHOST",
            "5432",
            "65535",
            "----",
            "12345678",
        ] {
            assert!(is_common(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn what_a_person_or_a_machine_chose_is_not_common() {
        for value in ["483920", "tr0ub4dor", "correct horse", "passw0rds", "x7Kq"] {
            assert!(!is_common(value.as_bytes()), "{value}");
        }
    }
}
