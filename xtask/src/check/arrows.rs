//! Which of our crates may use which: arrows point inwards only.

use std::collections::BTreeSet;

use super::metadata::Metadata;

/// Crates of this repository that nobody publishes: they may use the library as anybody may.
const TOOLS: [&str; 2] = ["credchain-tests", "xtask"];

/// The arrows that should not be there.
pub(super) fn check(metadata: &Metadata) -> Vec<String> {
    let ours: BTreeSet<&str> = metadata
        .ours()
        .map(|package| package.name.as_str())
        .collect();
    let mut wrong = Vec::new();
    for package in metadata.ours() {
        for dependency in &package.dependencies {
            let (from, to) = (package.name.as_str(), dependency.name.as_str());
            if ours.contains(to) && !allows(from, to, dependency.for_tests) {
                let what = if dependency.for_tests {
                    "may not test with"
                } else {
                    "may not use"
                };
                wrong.push(format!("{from} {what} {to}"));
            }
        }
    }
    wrong
}

fn allows(from: &str, to: &str, for_tests: bool) -> bool {
    let provider = |name: &str| name.starts_with("credchain-provider-");
    let test_tool = matches!(to, "credchain-conformance" | "credchain-tests");
    if for_tests && from == to {
        // With more features.
        return true;
    }
    if for_tests && test_tool {
        return !matches!(
            from,
            "credchain-redact" | "credchain-core" | "credchain-scan"
        );
    }
    match from {
        // They know nobody, in their tests either.
        "credchain-core" | "credchain-redact" => false,
        // The derived code names the facade, so its tests need it.
        "credchain-derive" => for_tests && to == "credchain",
        "credchain-config"
        | "credchain-oauth2"
        | "credchain-rotation"
        | "credchain-audit"
        | "credchain-conformance" => to == "credchain-core",
        // Finds what the redactor would hide, and knows of no provider.
        "credchain-scan" => to == "credchain-redact",
        _ if provider(from) => to == "credchain-core",
        "credchain" => {
            !test_tool && !TOOLS.contains(&to) && to != "credchain-cli" && !is_example(to)
        }
        "credchain-cli" => to == "credchain",
        // The redactor is measured by itself.
        "benches" => matches!(to, "credchain" | "credchain-redact"),
        _ if TOOLS.contains(&from) || is_example(from) => {
            matches!(to, "credchain" | "credchain-tests")
        }
        _ => false,
    }
}

fn is_example(name: &str) -> bool {
    name.starts_with("example-") || name == "benches"
}

#[cfg(test)]
mod tests {
    use super::allows;

    #[test]
    fn arrows_point_inwards() {
        assert!(allows("credchain-provider-age", "credchain-core", false));
        assert!(allows("credchain", "credchain-provider-age", false));
        assert!(allows("credchain-cli", "credchain", false));
        assert!(!allows("credchain-core", "credchain-config", false));
        assert!(allows("credchain-oauth2", "credchain-core", false));
        assert!(!allows("credchain-oauth2", "credchain-config", false));
        assert!(!allows("credchain-cli", "credchain-core", false));
        assert!(!allows("credchain-redact", "credchain-core", false));
        assert!(allows("credchain-scan", "credchain-redact", false));
        assert!(!allows("credchain-scan", "credchain-core", false));
        assert!(allows("credchain-audit", "credchain-core", false));
        assert!(!allows("credchain-audit", "credchain-rotation", false));
        assert!(allows("credchain", "credchain-audit", false));
    }

    #[test]
    fn a_provider_sees_no_other_provider_even_in_its_tests() {
        for for_tests in [false, true] {
            assert!(!allows(
                "credchain-provider-age",
                "credchain-provider-env",
                for_tests
            ));
        }
    }

    #[test]
    fn the_conformance_suite_is_for_tests_only() {
        assert!(allows(
            "credchain-provider-age",
            "credchain-conformance",
            true
        ));
        assert!(!allows(
            "credchain-provider-age",
            "credchain-conformance",
            false
        ));
        assert!(!allows("credchain", "credchain-conformance", false));
    }
}
