//! Every built-in rule finds its positive examples, whole and nothing more, and none of its
//! negative ones.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a part of it is used here; the helpers of tests are tests"
)]
mod rules_support;

use credchain_redact::rules::Rules;
use rules_support::{Random, examples, sample};

/// How often each template is filled in.
const ROUNDS: u64 = 8;

#[test]
fn every_rule_finds_exactly_the_secret_of_its_positive_examples() {
    let mut wrong = Vec::new();
    for rule in examples() {
        let rules = Rules::builtin().only([rule.id.as_str()]).unwrap();
        for template in &rule.positive {
            for round in 0..ROUNDS {
                let sample = sample(template, &mut Random::new(round + 1));
                let found: Vec<_> = rules
                    .find(&sample.text)
                    .into_iter()
                    .map(|found| found.secret)
                    .collect();
                if found != [sample.secret.clone()] {
                    wrong.push(format!(
                        "{} {template}: {found:?} is not {:?}",
                        rule.id, sample.secret
                    ));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_rule_finds_anything_in_its_negative_examples() {
    let mut wrong = Vec::new();
    for rule in examples() {
        let rules = Rules::builtin().only([rule.id.as_str()]).unwrap();
        for template in &rule.negative {
            for round in 0..ROUNDS {
                let sample = sample(template, &mut Random::new(round + 1));
                if !rules.find(&sample.text).is_empty() {
                    wrong.push(format!("{} {template}", rule.id));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn all_rules_together_find_each_secret_of_a_scan() {
    let rules = Rules::builtin();
    let mut wrong = Vec::new();
    for rule in examples().iter().filter(|rule| rule.scan) {
        for template in &rule.positive {
            let sample = sample(template, &mut Random::new(77));
            let found = rules.find(&sample.text);
            // A more specific rule may report it, with a little more or less of what is around it.
            let covered = found.iter().any(|found| {
                found.secret.start <= sample.secret.start.max(found.secret.start)
                    && found.secret.start < sample.secret.end
                    && found.secret.end > sample.secret.start
            });
            if !covered {
                wrong.push(format!("{} {template}", rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_found_is_told_without_the_value() {
    let rules = Rules::builtin();
    let sample = sample(
        &["passw", "ord = \"{base62:11}9\""].concat(),
        &mut Random::new(5),
    );
    let found = rules.find(&sample.text);
    let text = String::from_utf8(sample.text).unwrap();
    let secret = &text[found[0].secret.clone()];
    assert!(!format!("{found:?} {rules:?}").contains(secret));
}
