//! The finder under every cut, against the whole text in one window.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::rules::tests::{Examples, Random, Sample, examples, sample};
use crate::rules::{Rule, Rules};

/// Read once: the cases of the property tests are many.
static EXAMPLES: LazyLock<Vec<Examples>> = LazyLock::new(examples);
static BUILTIN: LazyLock<Rules> = LazyLock::new(Rules::builtin);

/// A stream that keeps the contract, and notes which bytes are hidden and how many were held.
struct Driver {
    finder: PatternFinder,
    window: Vec<u8>,
    at: u64,
    before: Option<u8>,
    hidden: Vec<bool>,
    held: usize,
}

impl Driver {
    fn new(rules: &Rules) -> Self {
        Self {
            finder: rules.finder(),
            window: Vec::new(),
            at: 0,
            before: None,
            hidden: Vec::new(),
            held: 0,
        }
    }

    /// Answers how many bytes are held after this piece.
    fn push(&mut self, piece: &[u8], end: bool) -> usize {
        let fresh = self.window.len();
        self.window.extend_from_slice(piece);
        self.hidden.resize(self.hidden.len() + piece.len(), false);
        let window = Window {
            bytes: &self.window,
            at: self.at,
            before: self.before,
            fresh,
            end,
        };
        let mut found = Vec::new();
        let released = self.finder.find(&window, &mut found);
        let first = self.hidden.len() - self.window.len();
        for mask in found {
            assert!(mask.start < mask.end && mask.end <= self.window.len());
            self.hidden[first + mask.start..first + mask.end].fill(true);
        }
        if released > 0 {
            self.before = Some(self.window[released - 1]);
            self.window.drain(..released);
            self.at += released as u64;
        }
        self.held = self.held.max(self.window.len());
        self.window.len()
    }
}

/// Which bytes are hidden when the text comes in pieces of these lengths, again and again.
fn hidden(rules: &Rules, text: &[u8], lengths: &[usize]) -> Vec<bool> {
    let mut driver = Driver::new(rules);
    let mut rest = text;
    for &len in lengths.iter().cycle() {
        let (piece, after) = rest.split_at(len.clamp(1, 4096).min(rest.len()));
        let first = driver.hidden.len();
        driver.push(piece, false);
        rest = after;
        if rest.is_empty() || first == driver.hidden.len() {
            break;
        }
    }
    assert_eq!(driver.push(&[], true), 0);
    driver.hidden
}

fn whole(rules: &Rules, text: &[u8]) -> Vec<bool> {
    let mut driver = Driver::new(rules);
    assert_eq!(driver.push(text, true), 0);
    driver.hidden
}

/// The text with each hidden stretch replaced.
fn redacted(rules: &Rules, text: &[u8]) -> Vec<u8> {
    let hidden = whole(rules, text);
    let mut out = Vec::new();
    for (at, &byte) in text.iter().enumerate() {
        if !hidden[at] {
            out.push(byte);
        } else if at == 0 || !hidden[at - 1] {
            out.extend_from_slice(b"***");
        }
    }
    out
}

fn text_of(samples: impl IntoIterator<Item = Sample>) -> Vec<u8> {
    let mut text = b"begin ".to_vec();
    for sample in samples {
        text.extend_from_slice(&sample.text);
        text.extend_from_slice(b" and\n");
    }
    text
}

#[test]
fn every_example_is_hidden_to_its_end_and_its_label_stays() {
    let mut wrong = Vec::new();
    for rule in examples().iter().filter(|rule| rule.redact) {
        let rules = Rules::builtin().only([rule.id.as_str()]).unwrap();
        for template in &rule.positive {
            let sample = sample(template, &mut Random::new(3));
            let hidden = whole(&rules, &sample.text);
            let shown = hidden[sample.secret.clone()]
                .iter()
                .filter(|hidden| !**hidden)
                .count();
            let ends =
                hidden[sample.secret.end - 1] && !hidden[sample.secret.end..].contains(&true);
            let begins = !hidden[..sample.secret.start].contains(&true);
            // What is shown of a token is its public prefix.
            if !ends || !begins || shown > sample.secret.len() / 2 || shown > 24 {
                wrong.push(format!("{} {template} shows {shown}", rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cuts_are_invisible_for_every_example() {
    let rules = Rules::builtin();
    for rule in examples() {
        for template in rule.positive.iter().chain(&rule.negative) {
            let text = text_of([sample(template, &mut Random::new(9))]);
            let expected = whole(&rules, &text);
            for lengths in [&[1][..], &[2], &[3, 1], &[7], &[64, 5]] {
                assert_eq!(
                    hidden(&rules, &text, lengths),
                    expected,
                    "{} {template} {lengths:?}",
                    rule.id
                );
            }
        }
    }
}

#[test]
fn redacting_twice_changes_nothing() {
    let rules = Rules::builtin();
    for rule in examples() {
        for template in &rule.positive {
            let once = redacted(&rules, &text_of([sample(template, &mut Random::new(4))]));
            let twice = redacted(&rules, &once);
            assert_eq!(
                String::from_utf8_lossy(&once),
                String::from_utf8_lossy(&twice),
                "{} {template}",
                rule.id
            );
        }
    }
}

#[test]
fn a_prompt_comes_out_at_once() {
    for prompt in [
        "Password: ",
        "[sudo] password for app: ",
        "Enter API key: ",
        "token=",
        "Bearer ",
        "sk_live_",
        "Authorization: Bearer ",
        "https://user:",
        "\"password\": \"",
        "ghp_",
        "-----BEGIN RSA PRIVATE KEY-----",
        "export SECRET_KEY=",
        "> ",
        "eyJh",
        "plain text",
        "passwor",
        "a.b s.",
    ] {
        let mut driver = Driver::new(&Rules::builtin());
        assert_eq!(driver.push(prompt.as_bytes(), false), 0, "{prompt}");
        let mut driver = Driver::new(&Rules::builtin());
        for byte in prompt.bytes() {
            assert_eq!(driver.push(&[byte], false), 0, "{prompt}");
        }
    }
}

#[test]
fn a_value_longer_than_any_buffer_is_hidden_to_its_end_and_not_held() {
    let rules = Rules::builtin();
    let value = Random::new(8).text(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        3 << 20,
    );
    for label in ["password=", "Authorization: Bearer ", "api_key: \""] {
        let mut driver = Driver::new(&rules);
        driver.push(label.as_bytes(), false);
        for piece in value.as_bytes().chunks(8192) {
            assert!(driver.push(piece, false) <= 8192);
        }
        driver.push(b"\" next line\n", true);
        let shown = driver.hidden.iter().filter(|hidden| !**hidden).count();
        assert_eq!(shown, label.len() + "\" next line\n".len(), "{label}");
        assert!(driver.held <= 4097, "{label} held {}", driver.held);
    }
}

#[test]
fn what_is_held_and_kept_is_bounded_whatever_comes() {
    let rules = Rules::builtin();
    for hostile in [
        "password=",
        "ghp_",
        "eyJhbGciOiJIUzI1NiJ9",
        "-----BEGIN PRIVATE KEY-----",
        "://a:",
        "Bearer ",
        "s.A1",
        "secret\\\"",
        "a",
        "sk-",
        "\"auth\":\"YTpi",
        " -u a:",
        "machine a login b password ",
        "eyJhbGciOiJIUzI1NiJ9.",
    ] {
        let text = hostile.repeat(200_000 / hostile.len());
        let mut driver = Driver::new(&rules);
        for piece in text.as_bytes().chunks(100) {
            driver.push(piece, false);
            assert!(
                driver.finder.text.len() <= 32 << 10,
                "{hostile} keeps {}",
                driver.finder.text.len()
            );
        }
        driver.push(&[], true);
        assert!(driver.held <= 17 << 10, "{hostile} held {}", driver.held);
    }
}

#[test]
fn a_rule_of_ones_own_hides_its_group_or_all_of_its_match() {
    let own = |rule: Rule| Rules::none().with(rule).unwrap();
    let group = own(Rule::new("a", "id-([0-9]+);"));
    assert_eq!(redacted(&group, b"x id-123; y"), b"x id-***; y");
    let label_too = own(Rule::new("a", "id-([0-9]+);").keep_label(false));
    assert_eq!(redacted(&label_too, b"x id-123; y"), b"x ***; y");
    let all = own(Rule::new("a", "id-[0-9]+"));
    assert_eq!(redacted(&all, b"x id-123; y"), b"x ***; y");
    for rules in [&group, &label_too, &all] {
        let text = b"id-1; id-22; id- id-333 id-4444;";
        for lengths in [&[1][..], &[2], &[3], &[5, 1]] {
            assert_eq!(hidden(rules, text, lengths), whole(rules, text));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn cuts_are_invisible(
        seeds in prop::collection::vec((any::<u16>(), any::<bool>()), 1..8),
        noise in "[ -~\n]{0,40}",
        lengths in prop::collection::vec(1_usize..60, 1..12),
    ) {
        let all = &*EXAMPLES;
        let mut text = noise.into_bytes();
        for (seed, glue) in seeds {
            let mut random = Random::new(u64::from(seed) + 1);
            let rule = &all[random.below(all.len())];
            let templates: Vec<_> = rule.positive.iter().chain(&rule.negative).collect();
            let template = templates[random.below(templates.len())];
            text.extend_from_slice(&sample(template, &mut random).text);
            if glue {
                text.push(b" \n\"';,"[random.below(6)]);
            }
        }
        prop_assert_eq!(hidden(&BUILTIN, &text, &lengths), whole(&BUILTIN, &text));
    }

    #[test]
    fn cuts_are_invisible_to_any_rule_of_ones_own(
        expression in prop::sample::select(vec![
            "(a+)+b", "x([ab]+)y", "[ab]{3,6}", "a(?:b|bc){0,3}(c+)", "\\b(ab+)\\b", "(?:a|b)(b+)$", "ab|abc+", "(a[^x]*x)",
            "a.{0,5}?(b.)", "(?i)AB([A-C]+)",
        ]),
        text in "[abcxy \n]{0,80}",
        keep in any::<bool>(),
        lengths in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let rules = Rules::none().with(Rule::new("own", expression).keep_label(keep)).unwrap();
        prop_assert_eq!(hidden(&rules, text.as_bytes(), &lengths), whole(&rules, text.as_bytes()));
    }
}
