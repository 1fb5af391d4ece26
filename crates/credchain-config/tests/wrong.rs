//! Wrong configurations and what is said about them, whole: `tests/wrong/NAME.toml` and
//! `NAME.stderr`. With `UPDATE_GOLDEN=1` in the environment the answers are written anew.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use std::path::{Path, PathBuf};

use common::World;
use credchain_core::Environment;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wrong");

fn cases(folder: &str) -> Vec<PathBuf> {
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    cases.sort();
    cases
}

/// What a person sees: errors, or warnings if there is nothing worse.
fn said(path: &Path) -> (bool, String) {
    let mut world = World::new();
    let text = std::fs::read_to_string(path).unwrap();
    world.write("credchain.toml", &text);
    // `# in the environment: NAME=VALUE` and `# profile: NAME` set the scene.
    let mut profile = "default";
    for line in text.lines() {
        if let Some((name, value)) = line
            .strip_prefix("# in the environment: ")
            .and_then(|rest| rest.split_once('='))
        {
            world = world.variable(name, value);
        }
        profile = line.strip_prefix("# profile: ").unwrap_or(profile);
    }
    match world.load_in(profile) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| warning.render(false));
            (true, warnings.collect::<Vec<_>>().join("\n"))
        }
        Err(problems) => (false, problems.render(false)),
    }
}

#[test]
fn every_mistake_is_explained() {
    let update = Environment::process().get("UPDATE_GOLDEN").is_some();
    let cases = cases(FOLDER);
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let mut differ = Vec::new();
    for path in cases {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (loads, said) = said(&path);
        assert_eq!(loads, name.starts_with("warning-"), "{name}:\n{said}");
        assert!(!said.is_empty(), "{name} says nothing");
        // Whatever was put where it does not belong, and named for it.
        assert!(!said.contains("canary"), "{name} shows a secret:\n{said}");
        let golden = path.with_extension("stderr");
        if update {
            std::fs::write(&golden, &said).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != said {
            differ.push(format!("{name} says now:\n{said}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn what_is_right_says_nothing() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/right");
    let cases = cases(folder);
    assert!(cases.len() >= 8);
    for path in cases {
        let (loads, said) = said(&path);
        assert!(loads && said.is_empty(), "{}:\n{said}", path.display());
    }
}
