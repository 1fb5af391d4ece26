//! Names of projects, profiles and credentials as parts of a Key Vault name, and back.
//!
//! Key Vault takes letters, digits and `-`, and does not tell `a` from `A`. Parts are joined by
//! one `-`, so within a part `-` must never stand alone:
//!
//! | run of `-` | in a part |
//! |---|---|
//! | 1 | the end of the part |
//! | 2 | a `-` between two small letters or digits |
//! | 3 | a `_` between two small letters or digits |
//! | 4 | anything else: two hex digits of one byte of UTF-8 follow |
//! | 5 | the end of the part, and such a byte at the beginning of the next |
//!
//! A credential's name is the last part. It has small letters, digits and `_` only, so there a
//! `_` is simply a `-`, and nothing needs an escape.

/// A part before the last one.
pub(crate) fn part(text: &str) -> String {
    let bytes = text.as_bytes();
    let plain = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(|byte| is_plain(*byte))
    };
    let mut escaped = String::with_capacity(text.len() + 8);
    for (at, byte) in bytes.iter().copied().enumerate() {
        let inside = plain(at.checked_sub(1)) && plain(Some(at + 1));
        match byte {
            byte if is_plain(byte) => escaped.push(char::from(byte)),
            b'-' if inside => escaped.push_str("--"),
            b'_' if inside => escaped.push_str("---"),
            byte => escaped.push_str(&format!("----{byte:02x}")),
        }
    }
    escaped
}

/// The last part: a credential's name.
pub(crate) fn name(name: &str) -> String {
    name.replace('_', "-")
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads one part and tells what is left behind its end.
    fn decode(text: &str) -> Option<(String, &str)> {
        let mut bytes = Vec::new();
        let mut rest = text;
        loop {
            let dashes = rest.len() - rest.trim_start_matches('-').len();
            match dashes {
                0 => {
                    let first = rest.bytes().next()?;
                    bytes.push(first);
                    rest = &rest[1..];
                    continue;
                }
                // The end; what follows an end and is a code keeps its four.
                1 | 5 => return Some((String::from_utf8(bytes).ok()?, &rest[1..])),
                2 => bytes.push(b'-'),
                3 => bytes.push(b'_'),
                4 => {
                    bytes.push(u8::from_str_radix(rest.get(4..6)?, 16).ok()?);
                    rest = &rest[2..];
                }
                _ => return None,
            }
            rest = &rest[dashes..];
        }
    }

    fn written(project: &str, profile: &str, credential: &str) -> String {
        format!("{}-{}-{}", part(project), part(profile), name(credential))
    }

    #[test]
    fn ordinary_names_stay_readable() {
        for (project, profile, credential, text) in [
            ("pipeline", "prod", "api_key", "pipeline-prod-api-key"),
            ("my-app", "default", "api_key", "my--app-default-api-key"),
            ("my_app", "default", "a__b", "my---app-default-a--b"),
            ("App", "x", "a", "----41pp-x-a"),
            ("a.b", "-", "a_", "a----2eb-----2d-a-"),
        ] {
            assert_eq!(written(project, profile, credential), text);
        }
    }

    proptest! {
        #[test]
        fn every_name_can_be_read_back(
            project in "[-_a-zA-Z0-9]{1,12}|.{1,8}",
            profile in "[-_a-zA-Z0-9]{1,12}|.{1,8}",
            credential in "[a-z][a-z0-9_]{0,20}",
        ) {
            let text = written(&project, &profile, &credential);
            prop_assert!(text.bytes().all(|b| is_plain(b) || b == b'-'), "{}", text);
            let (read, rest) = decode(&text).unwrap();
            prop_assert_eq!(&read, &project);
            let (read, rest) = decode(rest).unwrap();
            prop_assert_eq!(&read, &profile);
            prop_assert_eq!(rest.replace('-', "_"), credential);
        }
    }
}
