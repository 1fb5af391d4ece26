//! Random secrets, random texts, and every way to cut them in two.

use super::naive;
use super::random::{Random, secrets, text};
use crate::forms::Forms;
use crate::{Options, Redactor};

/// So many texts that with all their cuts there are more than a hundred thousand cases.
const TEXTS: u64 = 1_500;

fn redactor_of(secrets: &[Vec<u8>]) -> Redactor {
    let redactor = Redactor::new();
    for (i, secret) in secrets.iter().enumerate() {
        let _ = redactor.register(&format!("secret_{i}"), secret, Options::force());
    }
    redactor
}

/// What is masked at all: white space is not.
fn maskable(secrets: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    secrets
        .into_iter()
        .filter(|secret| !secret.trim_ascii().is_empty())
        .collect()
}

fn mask_of(redactor: &Redactor) -> Vec<u8> {
    let mut mask = Vec::new();
    let rule = crate::finder::Label::Rule("rule".into());
    redactor.snapshot().writer().write(&rule, &mut mask);
    mask
}

/// Redacts a text that comes in these pieces.
fn in_pieces<'a>(redactor: &Redactor, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    for piece in pieces {
        stream.push(piece, &mut out);
    }
    stream.finish(&mut out);
    out
}

#[test]
fn every_cut_gives_what_the_simple_redactor_gives() {
    let mut cases = 0;
    for seed in 0..TEXTS {
        let mut random = Random::new(seed);
        let secrets = maskable(secrets(&mut random));
        if secrets.is_empty() {
            continue;
        }
        let text = text(&mut random, &secrets);
        let redactor = redactor_of(&secrets);
        let expected = naive::redact(&secrets, &text, &mask_of(&redactor));
        for cut in 0..=text.len() {
            let (a, b) = text.split_at(cut);
            let got = in_pieces(&redactor, [a, b]);
            assert_eq!(got, expected, "seed {seed}, cut at {cut}");
            cases += 1;
        }
        let bytes = in_pieces(&redactor, text.chunks(1));
        assert_eq!(bytes, expected, "seed {seed}, byte by byte");
        let mut rest = &text[..];
        let pieces = std::iter::from_fn(|| {
            let (piece, after) = rest.split_at(random.below(40).min(rest.len()));
            rest = after;
            (!rest.is_empty() || !piece.is_empty()).then_some(piece)
        });
        assert_eq!(
            in_pieces(&redactor, pieces),
            expected,
            "seed {seed}, in pieces"
        );
    }
    assert!(cases >= 100_000, "only {cases} cases");
}

#[test]
fn no_form_of_any_secret_is_left_and_redacting_twice_changes_nothing() {
    for seed in 0..TEXTS {
        let mut random = Random::new(seed + 1_000_000);
        let secrets = maskable(secrets(&mut random));
        if secrets.is_empty() {
            continue;
        }
        let text = text(&mut random, &secrets);
        let redactor = redactor_of(&secrets);
        let mask = mask_of(&redactor);
        let out = redactor.redact(&text);
        assert_eq!(redactor.redact(&out), out, "seed {seed}");
        for secret in &secrets {
            let forms = Forms::of(secret, |_| true);
            for form in forms.spans() {
                let needle = &forms.bytes()[form.start..form.start + form.len as usize];
                // A secret of one letter may be in the mask itself.
                let inside_mask = memchr::memmem::find(&mask, needle).is_some();
                let found = memchr::memmem::find(&out, needle).is_some();
                assert!(!found || inside_mask, "seed {seed}");
            }
        }
    }
}

#[test]
fn what_is_held_back_is_the_longest_end_that_begins_a_form() {
    for seed in 0..TEXTS {
        let mut random = Random::new(seed + 2_000_000);
        let secrets: Vec<_> = maskable(secrets(&mut random))
            .into_iter()
            .filter(|secret| secret.len() < 24)
            .collect();
        if secrets.is_empty() {
            continue;
        }
        let text = text(&mut random, &secrets);
        let redactor = redactor_of(&secrets);
        let all: Vec<Forms> = secrets
            .iter()
            .map(|secret| Forms::of(secret, |_| true))
            .collect();
        let is_beginning = |end: &[u8]| {
            all.iter().any(|forms| {
                forms.spans().iter().any(|form| {
                    let needle = &forms.bytes()[form.start..form.start + form.len as usize];
                    needle.len() > end.len() && needle.starts_with(end)
                })
            })
        };
        let (mut stream, mut out) = (redactor.stream(), Vec::new());
        for (i, byte) in text.iter().enumerate() {
            stream.push(std::slice::from_ref(byte), &mut out);
            let seen = &text[..=i];
            let longest = (0..=seen.len()).find(|&start| is_beginning(&seen[start..]));
            let expected = longest.map_or(0, |start| seen.len() - start);
            // An empty end begins every form.
            assert_eq!(stream.held(), expected, "seed {seed}, after {i}");
        }
    }
}

#[test]
fn the_order_of_registration_does_not_matter() {
    for seed in 0..300 {
        let mut random = Random::new(seed + 3_000_000);
        let secrets = maskable(secrets(&mut random));
        let text = text(
            &mut random,
            if secrets.is_empty() {
                continue;
            } else {
                &secrets
            },
        );
        let build = |backwards: bool| {
            let redactor = Redactor::builder()
                .replacement(crate::Replacement::Name)
                .build();
            let mut named: Vec<_> = secrets.iter().enumerate().collect();
            if backwards {
                named.reverse();
            }
            for (i, secret) in named {
                let _ = redactor.register(&format!("secret_{i}"), secret, Options::force());
                // A layer for each.
                let _ = redactor.redact(b"");
            }
            redactor
        };
        assert_eq!(
            build(false).redact(&text),
            build(true).redact(&text),
            "seed {seed}"
        );
    }
}
