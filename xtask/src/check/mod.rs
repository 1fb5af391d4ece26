//! `cargo xtask check`: all that a machine can say about the state of the tree.

mod arrows;
pub(crate) mod budget;
mod files;
mod licences;
mod metadata;
mod versions;
mod wiring;

use std::time::Instant;

use self::metadata::Metadata;
use crate::docs;
use crate::run::{Failure, Outcome, cargo, root, step};

/// What one check found: nothing, or one line for each place that is wrong.
type Findings = Outcome<Vec<String>>;

/// Runs every check, also after one has failed, so that one run tells everything.
pub(crate) fn run() -> Outcome {
    let metadata = Metadata::read()?;
    let deny = deny_toml()?;
    let checks: [(&str, &dyn Fn() -> Findings); 11] = [
        ("dependency arrows", &|| Ok(arrows::check(&metadata))),
        ("licences", &|| licences::check(&metadata, &deny)),
        ("duplicate dependencies", &|| {
            versions::check(&metadata, &deny)
        }),
        ("dependencies of the library", &budget::check),
        ("providers in the library", &wiring::check),
        ("places with unsafe code", &files::unsafe_places),
        ("paths, secrets, long files", &files::contents),
        ("format", &|| format().map(nothing)),
        ("lints", &|| lints().map(nothing)),
        ("docs", &|| rustdoc().map(nothing)),
        ("generated files", &|| {
            docs::run(docs::Mode::Check).map(nothing)
        }),
    ];
    let failed: Vec<&str> = checks
        .into_iter()
        .filter(|(name, check)| !report(name, check))
        .map(|(name, _)| name)
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("failed: {}", failed.join(", "))))
}

fn nothing((): ()) -> Vec<String> {
    Vec::new()
}

/// Runs one check and tells how it ended; says whether all is well.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a check took, for those who wait for it"
)]
fn report(name: &str, check: &dyn Fn() -> Findings) -> bool {
    let start = Instant::now();
    let wrong = match check() {
        Ok(lines) if lines.is_empty() => {
            eprintln!("ok: {name} ({:.1} s)", start.elapsed().as_secs_f32());
            return true;
        }
        Ok(lines) => lines.join("\n  "),
        Err(failure) => failure.to_string(),
    };
    eprintln!("wrong: {name}\n  {wrong}");
    false
}

fn format() -> Outcome {
    step(&mut cargo(&["fmt", "--all", "--check"]))
}

fn lints() -> Outcome {
    step(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn rustdoc() -> Outcome {
    // `--examples` brings the features of development dependencies in, as the lints did: the
    // dependencies are then checked once for both.
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--lib", "--examples"]);
    step(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny_toml() -> Outcome<toml::Table> {
    let text = std::fs::read_to_string(root().join("deny.toml"))?;
    text.parse()
        .map_err(|error| Failure::new(format!("deny.toml: {error}")))
}
