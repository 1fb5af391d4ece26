//! `docs/adding-a-provider.md`, followed literally, gives exactly the provider in
//! `examples/out-of-tree-provider`, which has the suite among its own tests.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The files that a reader makes: each block that stands under a `File:` line, parts of one file
/// joined.
fn told_by_the_guide(guide: &str) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("File: `") else {
            continue;
        };
        let path = rest.split('`').next().unwrap();
        let block = lines
            .by_ref()
            .skip_while(|line| !line.starts_with("```"))
            .skip(1)
            .take_while(|line| *line != "```");
        let text: String = block.flat_map(|line| [line, "\n"]).collect();
        files.entry(path.to_owned()).or_default().push_str(&text);
    }
    files
}

/// The files of the example, without what only marks its parts.
fn in_the_example(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inside)).unwrap() {
            let entry = entry.unwrap();
            let path = inside.join(entry.file_name());
            let name = path.to_str().unwrap().replace('\\', "/");
            if entry.file_type().unwrap().is_dir() {
                if name != "target" {
                    folders.push(path);
                }
            } else if name != "Cargo.lock" {
                files.insert(name, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    files
}

/// Lines that matter: blank ones between the parts of a file are not in the guide.
fn lines(text: &str) -> Vec<&str> {
    let mark = |line: &&str| line.starts_with("// ANCHOR");
    text.lines()
        .filter(|line| !line.trim().is_empty() && !mark(line))
        .collect()
}

#[test]
fn the_guide_shows_every_file_of_the_example_as_a_whole() {
    let guide = fs::read_to_string(Path::new(ROOT).join("docs/adding-a-provider.md")).unwrap();
    let told = told_by_the_guide(&guide);
    let real = in_the_example(&Path::new(ROOT).join("examples/out-of-tree-provider"));
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&told), names(&real));
    for (name, text) in &told {
        assert_eq!(
            lines(text),
            lines(&real[name]),
            "{name}: `cargo xtask docs` renews the guide"
        );
    }
}
