//! Whether every dependency may be used under a licence that `deny.toml` allows.

use super::Findings;
use super::metadata::Metadata;
use crate::run::Failure;

/// The dependencies whose licence is not allowed.
pub(super) fn check(metadata: &Metadata, deny: &toml::Table) -> Findings {
    let allowed: Vec<&str> = deny
        .get("licenses")
        .and_then(|table| table.get("allow")?.as_array())
        .ok_or_else(|| Failure::new("deny.toml has no `licenses.allow`"))?
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    let refused = |licence: &Option<String>| {
        !licence
            .as_deref()
            .is_some_and(|expression| is_satisfied(expression, &allowed))
    };
    let wrong = metadata
        .others()
        .filter(|package| refused(&package.licence));
    Ok(wrong
        .map(|package| {
            let licence = package.licence.as_deref().unwrap_or("no licence stated");
            format!("{} {}: {licence}", package.name, package.version)
        })
        .collect())
}

/// Whether an SPDX expression can be met with the allowed licences alone.
///
/// `AND` binds stronger than `OR`; a slash is the older way to write `OR`.
fn is_satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    any_of(&words, &mut at, allowed) && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut result = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        // Not `||`: the other side has to be read in any case.
        result |= all_of(words, at, allowed);
    }
    result
}

fn all_of(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut result = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at, allowed);
    }
    result
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let Some(&word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if word == "(" {
        let inside = any_of(words, at, allowed);
        *at += 1;
        return inside;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return allowed.contains(&format!("{word} WITH {exception}").as_str());
    }
    allowed.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::is_satisfied;

    const ALLOWED: [&str; 3] = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];

    #[test]
    fn one_allowed_licence_of_a_choice_is_enough() {
        for fine in [
            "MIT",
            "MIT OR GPL-3.0",
            "MIT/Apache-2.0",
            "(GPL-3.0 OR MIT) AND Apache-2.0",
        ] {
            assert!(is_satisfied(fine, &ALLOWED), "{fine}");
        }
    }

    #[test]
    fn every_licence_of_a_conjunction_is_needed() {
        for refused in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR GPL-3.0) AND ISC",
            "",
            "MIT ISC",
        ] {
            assert!(!is_satisfied(refused, &ALLOWED), "{refused}");
        }
    }

    #[test]
    fn an_exception_is_part_of_the_licence() {
        assert!(is_satisfied("Apache-2.0 WITH LLVM-exception", &ALLOWED));
        assert!(!is_satisfied("MIT WITH LLVM-exception", &ALLOWED));
    }
}
