//! Runs every folder in `tests/scenarios` as a test of that name.

use std::fs;
use std::path::Path;

use credchain_tests::scenario;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut trials: Vec<Trial> = fs::read_dir(dir)
        .expect("there are scenarios")
        .map(|entry| entry.expect("a scenario").path())
        .map(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            Trial::test(name, move || {
                scenario::run(&path);
                Ok(())
            })
        })
        .collect();
    trials.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    assert!(!trials.is_empty(), "no scenario was found");
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
