//! Whether every provider's folder has its lines in the facade: one that is forgotten compiles, and
//! is in no build.

use super::Findings;
use crate::run::root;

/// The lines that are missing.
pub(super) fn check() -> Findings {
    let read = |path: &str| std::fs::read_to_string(root().join(path));
    let (code, manifest) = (
        read("crates/credchain/src/providers.rs")?,
        read("crates/credchain/Cargo.toml")?,
    );
    let mut missing = Vec::new();
    for folder in std::fs::read_dir(root().join("providers"))? {
        let name = folder?.file_name().to_string_lossy().into_owned();
        for (file, text, line) in [
            (
                "providers.rs",
                &code,
                format!("use credchain_provider_{name} as _;"),
            ),
            ("providers.rs", &code, format!("    \"{name}\",")),
            (
                "Cargo.toml",
                &manifest,
                format!("{name} = [\"dep:credchain-provider-{name}\"]"),
            ),
        ] {
            if !text.lines().any(|one| one == line) {
                missing.push(format!("crates/credchain, {file}: no `{}`", line.trim()));
            }
        }
    }
    Ok(missing)
}
