//! Values that can be recognized wherever they turn up.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A secret to look for, in every form in which a program is likely to show it.
#[derive(Clone)]
pub(crate) struct Canary {
    forms: Vec<(&'static str, String)>,
}

impl Canary {
    /// Looks for `secret`. Short secrets would be found by chance, so they are not looked for.
    pub(crate) fn new(secret: &str) -> Option<Self> {
        if secret.len() < 8 {
            return None;
        }
        let bytes = secret.as_bytes();
        let each = |write: fn(&u8) -> String, separator: &str| {
            bytes.iter().map(write).collect::<Vec<_>>().join(separator)
        };
        let hex = each(|byte| format!("{byte:02x}"), "");
        let listed = |separator| each(ToString::to_string, separator);
        let mut forms = vec![
            ("as it is", secret.to_owned()),
            ("reversed", secret.chars().rev().collect()),
            ("in upper-case hex", hex.to_uppercase()),
            ("in hex", hex),
            ("as a list of bytes", listed(", ")),
            ("as a list of bytes", listed(",")),
            ("as a list of bytes", listed(" ")),
        ];
        // Inside a longer text, base64 has three forms, by where the secret starts in it; the
        // characters at its ends mix with their neighbours and are left out.
        for shift in 0..3 {
            let mut shifted = vec![b'.'; shift];
            shifted.extend_from_slice(bytes);
            let start = shift + usize::from(shift > 0);
            let end = shifted.len() * 8 / 6;
            forms.push((
                "in base64",
                STANDARD_NO_PAD.encode(&shifted)[start..end].to_owned(),
            ));
            forms.push((
                "in base64url",
                URL_SAFE_NO_PAD.encode(&shifted)[start..end].to_owned(),
            ));
        }
        Some(Self { forms })
    }

    /// The form in which the secret stands in `text`, if it does.
    pub(crate) fn found_in(&self, text: &str) -> Option<&'static str> {
        self.forms
            .iter()
            .find(|(_, form)| text.contains(form.as_str()))
            .map(|(how, _)| *how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_inside_other_text() {
        let secret = format!("canary{}", "x7q".repeat(5));
        let canary = Canary::new(&secret).unwrap();
        let bytes = secret.as_bytes();
        let mut shown = vec![
            format!("token={secret};"),
            format!("{bytes:?}"),
            format!("{bytes:02x?}").replace([',', ' '], ""),
        ];
        for lead in ["", "a", "ab", "abc", "abcd"] {
            let text = format!("{lead}{secret}more");
            shown.push(format!("\"{}\"", STANDARD_NO_PAD.encode(&text)));
            shown.push(URL_SAFE_NO_PAD.encode(&text));
        }
        for text in shown {
            assert!(canary.found_in(&text).is_some(), "{text}");
        }
        assert_eq!(canary.found_in("nothing to see"), None);
    }

    #[test]
    fn a_secret_too_short_to_recognize_is_not_looked_for() {
        assert!(Canary::new("abc").is_none());
    }
}
