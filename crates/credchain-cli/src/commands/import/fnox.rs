//! `fnox.toml`: `[providers]`, `[secrets]` with one table for each variable, and
//! `[profiles.NAME.secrets]`.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::manifest::{Manifest, scalar, text};
use crate::declare::Declaration;

/// Reads the declarations. A `value` is never taken: it may be a secret in clear.
pub(super) fn read(table: &Table) -> Manifest {
    let mut manifest = Manifest {
        move_value: "fnox get VARIABLE | resolve set NAME --trim",
        ..Manifest::default()
    };
    for (key, why) in [
        ("import", "import the files it names as well, those first"),
        ("imports", "import the files it names as well, those first"),
        ("providers", "describe them as `[providers.NAME]`"),
        ("leases", "leases are granted by a provider here"),
        (
            "if_missing",
            "what is declared here has to be there, unless it has a `default`",
        ),
    ] {
        if table.contains_key(key) {
            manifest.notes.push(format!("`{key}`: {why}"));
        }
    }
    secrets(table, None, &mut manifest);
    let profiles = table.get("profiles").and_then(Value::as_table);
    for (name, profile) in profiles.into_iter().flatten() {
        let Some(profile) = profile.as_table() else {
            continue;
        };
        if profile.contains_key("providers") {
            manifest.notes.push(format!(
                "`[profiles.{name}.providers]`: describe them as `[profiles.{name}.providers.NAME]`"
            ));
        }
        secrets(profile, Some(name), &mut manifest);
    }
    manifest
}

fn secrets(table: &Table, profile: Option<&str>, manifest: &mut Manifest) {
    let secrets = table.get("secrets").and_then(Value::as_table);
    for (variable, options) in secrets.into_iter().flatten() {
        let options = match options {
            Value::Table(options) => options.clone(),
            // A bare text is a value: declared, and not taken.
            _ => Table::new(),
        };
        let mut declaration = Declaration {
            description: text(&options, "description"),
            default: scalar(&options, "default"),
            as_file: options
                .get("as_file")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            profile: profile.map(str::to_owned),
            ..Declaration::for_variable(variable)
        };
        note(variable, &options, profile, manifest);
        let inherited = manifest
            .declarations
            .iter()
            .any(|one| one.profile.is_none() && one.name == declaration.name);
        if profile.is_some() && inherited {
            declaration.env = None;
            if declaration.description.is_none()
                && declaration.default.is_none()
                && !declaration.as_file
            {
                continue;
            }
        }
        manifest.declarations.push(declaration);
    }
}

/// Says what of one variable has no equivalent.
fn note(variable: &str, options: &Table, profile: Option<&str>, manifest: &mut Manifest) {
    let place = profile
        .map(|profile| format!(" in `{profile}`"))
        .unwrap_or_default();
    let reasons: BTreeMap<&str, &str> = [
        ("provider", "choose links with `chain`"),
        (
            "if_missing",
            "what is declared here has to be there, unless it has a `default`",
        ),
        ("env", "`inject = false` keeps it from programs"),
        ("json_path", "`at.LINK = \"PATH#FIELD\"` reads one field"),
    ]
    .into();
    for key in options.keys() {
        if matches!(
            key.as_str(),
            "description" | "default" | "as_file" | "value" | "sync"
        ) {
            continue;
        }
        let why = reasons
            .get(key.as_str())
            .map(|why| format!(": {why}"))
            .unwrap_or_default();
        manifest
            .notes
            .push(format!("`{key}` of `{variable}`{place}{why}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_taken_and_values_are_not() {
        let table: Table = toml::from_str(
            "if_missing = \"warn\"\n\
             [providers]\nage = { type = \"age\", recipients = [\"age1\"] }\n\
             [secrets]\n\
             DATABASE_URL = { provider = \"age\", value = \"ciphertext\", description = \"db\" }\n\
             LOG_LEVEL = { default = \"info\" }\n\
             PLAIN = \"in-clear\"\n\
             [profiles.production.secrets]\n\
             DATABASE_URL = { provider = \"aws\", value = \"prod-db\" }\n\
             LOG_LEVEL = { default = \"warn\" }\n",
        )
        .unwrap();
        let manifest = read(&table);
        let shown: Vec<_> = manifest
            .declarations
            .iter()
            .map(|one| {
                (
                    one.profile.as_deref(),
                    one.name.as_str(),
                    one.default.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                (None, "database_url", None),
                (None, "log_level", Some("info")),
                (None, "plain", None),
                (Some("production"), "log_level", Some("warn")),
            ]
        );
        let all = format!("{manifest:?}");
        assert!(
            !all.contains("ciphertext") && !all.contains("in-clear"),
            "{all}"
        );
        assert!(
            manifest
                .notes
                .iter()
                .any(|note| note.contains("`provider` of `DATABASE_URL`"))
        );
    }
}
