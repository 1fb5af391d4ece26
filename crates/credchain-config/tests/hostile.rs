//! Whatever stands in the file: an answer, never a panic, and never a value in it.

#![allow(
    clippy::unwrap_used,
    clippy::format_collect,
    reason = "the helpers of tests are tests"
)]

mod common;

use common::World;
use credchain_config::TrustStore;
use proptest::prelude::*;

const FULL: &str = include_str!("../../../config/full.toml");

fn survives(text: &str) {
    let world = World::new();
    world.write("credchain.toml", text);
    match world.load() {
        Ok(loaded) => {
            let shown = loaded.show();
            assert!(shown.iter().all(|one| !one.value.contains('\u{1b}')));
            let trust = TrustStore::open(world.home().join("state"));
            let _ = trust.check(&loaded);
            trust.record(&loaded).unwrap();
            assert!(trust.check(&loaded).is_trusted());
        }
        Err(problems) => {
            assert!(problems.errors() > 0);
            assert!(!problems.render(false).contains('\u{1b}'));
            assert!(problems.to_json().is_array());
            assert!(!problems.render(true).is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,80}(\n\\PC{0,40}){0,4}") {
        survives(&text);
    }

    #[test]
    fn any_change_of_a_real_configuration_is_answered(
        at in 0..FULL.len(),
        remove in 0..80_usize,
        insert in "[\\[\\]{}\"'=#.,a-z0-9 \n\u{1b}äß🔑-]{0,12}",
    ) {
        let start = FULL.floor_char_boundary(at);
        let end = FULL.floor_char_boundary((start + remove).min(FULL.len()));
        survives(&format!("{}{insert}{}", &FULL[..start], &FULL[end.max(start)..]));
    }

    #[test]
    fn a_secret_at_a_key_that_does_not_exist_is_never_shown(
        key in "[a-z_]{3,12}",
        table in prop::sample::select(vec!["providers.vault", "project", "redaction", "credentials.x", "oauth2.y", "audit"]),
        quote in prop::sample::select(vec!["\"", "'", "\"\"\"", ""]),
    ) {
        prop_assume!(!["name", "type", "path", "mount", "env", "default", "description", "client_id", "template", "chain"].contains(&key.as_str()));
        let world = World::new();
        world.write("credchain.toml", &format!("[{table}]\n{key} = {quote}canary-value{quote}\n"));
        if let Err(problems) = world.load() {
            let said = format!("{} {problems} {}", problems.render(false), problems.to_json());
            prop_assert!(!said.contains("canary"), "{}", said);
        }
    }
}

#[test]
fn deep_nesting_ends_in_an_answer() {
    survives(&format!("x = {}1{}", "[".repeat(5_000), "]".repeat(5_000)));
    survives(&format!("[{}]\n", "a.".repeat(5_000) + "a"));
    survives(&format!("x{} = 1\n", ".y".repeat(20_000)));
}

#[test]
fn a_long_chain_of_templates_ends_in_an_answer() {
    let text: String = (0..5_000)
        .map(|n| format!("[credentials.c{n}]\ntemplate = '{{{{ c{} }}}}'\n", n + 1))
        .collect();
    survives(&(text + "[credentials.c5000]\n"));
}
