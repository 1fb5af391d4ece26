//! `docs/configuration.md`: its examples load, its reference is the tables'. With
//! `UPDATE_GOLDEN=1` in the environment the reference is written anew.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use common::World;
use credchain_config::reference_markdown;
use credchain_core::Environment;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const START: &str = "<!-- reference: generated, see `reference_markdown` in credchain-config -->\n";
const END: &str = "<!-- /reference -->";

#[test]
fn the_reference_is_that_of_the_tables() {
    let page = std::fs::read_to_string(PATH).unwrap();
    let (before, rest) = page.split_once(START).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let generated = format!("\n{}\n", reference_markdown());
    if Environment::process().get("UPDATE_GOLDEN").is_some() {
        std::fs::write(PATH, format!("{before}{START}{generated}{END}{after}")).unwrap();
    } else {
        assert!(
            written == generated,
            "`UPDATE_GOLDEN=1 cargo nextest run -p credchain-config` writes it anew"
        );
    }
}

#[test]
fn every_example_on_the_page_loads() {
    let page = std::fs::read_to_string(PATH).unwrap();
    let mut seen = 0;
    for example in page.split("```toml\n").skip(1) {
        let (text, _) = example.split_once("```").unwrap();
        let world = World::new();
        world.write("credchain.toml", text);
        for profile in world.loaded().project.profiles {
            let loaded = world.load_in(&profile).unwrap();
            assert!(loaded.warnings.is_empty(), "{text}");
        }
        seen += 1;
    }
    assert!(seen >= 6, "only {seen} examples");
}
