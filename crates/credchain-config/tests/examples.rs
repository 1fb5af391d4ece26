//! Every example in `config/` loads as it stands.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use common::World;

#[test]
fn every_example_loads() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        seen += 1;
        let world = World::new();
        world.write("credchain.toml", &std::fs::read_to_string(&path).unwrap());
        let profiles = world.load().map_or_else(
            |problems| panic!("{}:\n{}", path.display(), problems.render(false)),
            |loaded| loaded.project.profiles,
        );
        for profile in profiles {
            let loaded = world.load_in(&profile);
            assert!(loaded.is_ok(), "{} in {profile}", path.display());
        }
    }
    assert!(seen >= 7, "only {seen} examples");
}
