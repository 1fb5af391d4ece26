//! Rules of one's own, hostile ones among them.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::time::Duration;

use credchain_redact::rules::{Rule, RuleErrorKind, Rules};
use credchain_redact::{Redactor, Stream};

fn refused(expression: &str) -> RuleErrorKind {
    Rules::none()
        .with(Rule::new("own", expression))
        .unwrap_err()
        .kind()
}

fn redacted(rules: Rules, text: &str) -> String {
    let redactor = Redactor::builder().patterns(rules).build();
    String::from_utf8(redactor.redact(text.as_bytes()).clone()).unwrap()
}

#[test]
fn an_expression_that_matches_nothing_is_refused() {
    for expression in ["", "a*", "(a|)", "x?(b*)", "^", r"\b", "a(b*)", "[^\\s\\S]"] {
        assert_eq!(refused(expression), RuleErrorKind::Empty, "{expression}");
    }
}

#[test]
fn an_expression_that_cannot_be_read_is_refused_with_its_place() {
    assert_eq!(refused("ab(c"), RuleErrorKind::Syntax { at: 2 });
    assert!(matches!(refused(r"a(?=b)"), RuleErrorKind::Syntax { .. }));
    assert!(matches!(refused(r"(a)\1"), RuleErrorKind::Syntax { .. }));
    assert!(matches!(
        refused(r"\p{Greek}"),
        RuleErrorKind::Syntax { .. }
    ));
}

#[test]
fn an_expression_that_needs_too_much_memory_is_refused() {
    assert_eq!(refused("[a-z]{1000}{1000}"), RuleErrorKind::TooLarge);
    assert_eq!(refused("(?:a|b)*a(?:a|b){30}"), RuleErrorKind::TooLarge);
    assert!(matches!(
        refused(&"(".repeat(1000)),
        RuleErrorKind::Syntax { .. }
    ));
}

#[test]
fn a_label_must_be_bounded_and_what_follows_fixed() {
    assert_eq!(refused("key=.*(a+)"), RuleErrorKind::Label);
    assert_eq!(refused("(a+)b*"), RuleErrorKind::After);
}

#[test]
fn names_are_plain_and_taken_once() {
    for name in ["", "Upper", "with space", "ünder", "a_b"] {
        let error = Rules::none().with(Rule::new(name, "ab+")).unwrap_err();
        assert_eq!(error.kind(), RuleErrorKind::Name, "{name}");
    }
    let error = Rules::builtin()
        .with(Rule::new("github-token", "ab+"))
        .unwrap_err();
    assert_eq!(error.kind(), RuleErrorKind::Duplicate);
    let error = Rules::builtin()
        .only(["github-token", "no-such-rule"])
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.rule()),
        (RuleErrorKind::Unknown, "no-such-rule")
    );
}

#[test]
fn neither_errors_nor_debug_show_the_expression() {
    let rule = Rule::new("own", "my-own-value(");
    assert!(!format!("{rule:?}").contains("my-own-value"));
    let error = Rules::none().with(rule).unwrap_err();
    assert!(!format!("{error} {error:?} {}", error.hint()).contains("my-own-value"));
}

#[test]
fn the_group_is_hidden_and_the_label_kept_unless_it_is_asked_for() {
    let rule = || Rule::new("acme", r"acme: ([a-z]+)\.");
    let rules = Rules::none().with(rule()).unwrap();
    assert_eq!(redacted(rules, "x acme: abc. y"), "x acme: ***. y");
    let rules = Rules::none().with(rule().keep_label(false)).unwrap();
    assert_eq!(redacted(rules, "x acme: abc. y"), "x ***. y");
}

#[test]
fn only_the_named_rules_are_left() {
    let rules = Rules::builtin().only(["password"]).unwrap();
    assert_eq!(
        rules
            .iter()
            .map(|rule| rule.name.to_owned())
            .collect::<Vec<_>>(),
        ["password"]
    );
    assert_eq!(
        redacted(rules, "password=ab7x api_key=cd8y"),
        "password=*** api_key=cd8y"
    );
}

#[test]
fn hostile_expressions_on_hostile_text_take_linear_time() {
    let run = "a".repeat(2 << 20);
    let cut = format!("{}b", "a".repeat(3000)).repeat(700);
    for expression in ["(a+)+$", "(a|a)*c", "(?:a|aa)+c", "(.*a){1,8}c", "a.*b.*c"] {
        let rules = Rules::none().with(Rule::new("own", expression)).unwrap();
        let redactor = Redactor::builder().patterns(rules).build();
        for text in [&run, &cut] {
            let text = text.clone();
            let redactor = redactor.clone();
            within(Duration::from_mins(1), expression, move || {
                redactor.redact(text.as_bytes()).len()
            });
        }
    }
}

#[test]
fn hostile_text_for_the_built_in_rules_takes_linear_time() {
    for piece in [
        "password=",
        "ghp_",
        "s.",
        "://a:",
        "eyJhbGciOiJIUzI1NiJ9.",
        "-----BEGIN PRIVATE KEY-----",
        "token",
        "secret_",
        "A3-AAAAAA-",
    ] {
        let text = piece.repeat((4 << 20) / piece.len());
        within(Duration::from_mins(1), piece, move || {
            Rules::builtin().find(text.as_bytes()).len()
        });
        let text = piece.repeat((1 << 20) / piece.len());
        within(Duration::from_mins(1), piece, move || {
            let redactor = Redactor::builder().patterns(Rules::builtin()).build();
            let mut stream: Stream = redactor.stream();
            let mut out = Vec::new();
            text.as_bytes()
                .chunks(1000)
                .for_each(|piece| stream.push(piece, &mut out));
            stream.finish(&mut out);
            out.len()
        });
    }
}

/// Fails if the work is not done in time. The limit is a hundred times what it takes: a search that
/// is not linear takes hours.
fn within(limit: Duration, what: &str, work: impl FnOnce() -> usize + Send + 'static) {
    let (done, wait) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || done.send(work()));
    assert!(
        wait.recv_timeout(limit).is_ok(),
        "{what} takes too long, or failed"
    );
    worker.join().unwrap().unwrap();
}
