//! `secretspec.toml`: `[project]`, `[providers]`, and `[profiles.NAME]` with one table for each
//! variable.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::manifest::{Manifest, scalar, text};
use crate::declare::Declaration;

/// The profile whose declarations every other one inherits.
const BASE: &str = "default";

/// The key of a profile that sets defaults for its secrets, and is none.
const DEFAULTS: &str = "defaults";

/// Reads the declarations.
pub(super) fn read(table: &Table) -> Manifest {
    let mut manifest = Manifest {
        move_value: "secretspec get VARIABLE | resolve set NAME --trim",
        ..Manifest::default()
    };
    if let Some(project) = table.get("project").and_then(Value::as_table) {
        if project.contains_key("extends") {
            manifest
                .notes
                .push("`extends`: import the files it names as well, those below first".to_owned());
        }
        if let Some(name) = text(project, "name") {
            manifest
                .notes
                .push(format!("the name `{name}`: `[project] name` says it here"));
        }
    }
    if table.contains_key("providers") {
        manifest
            .notes
            .push("`[providers]`: describe them as `[providers.NAME]`".to_owned());
    }
    let profiles = table
        .get("profiles")
        .and_then(Value::as_table)
        .cloned()
        .unwrap_or_default();
    let base = profiles
        .get(BASE)
        .and_then(Value::as_table)
        .cloned()
        .unwrap_or_default();
    profile(&base, None, &mut manifest);
    for (name, secrets) in &profiles {
        if let (true, Some(secrets)) = (name != BASE, secrets.as_table()) {
            profile(secrets, Some(name), &mut manifest);
        }
    }
    manifest
}

fn profile(secrets: &Table, profile: Option<&str>, manifest: &mut Manifest) {
    if secrets.get(DEFAULTS).is_some_and(Value::is_table) && !is_secret(secrets, DEFAULTS) {
        let place = profile.unwrap_or(BASE);
        manifest
            .notes
            .push(format!("`[profiles.{place}.defaults]`"));
    }
    for (variable, options) in secrets {
        let Some(options) = options.as_table() else {
            continue;
        };
        if variable == DEFAULTS && !is_secret(secrets, DEFAULTS) {
            continue;
        }
        let mut declaration = Declaration {
            description: text(options, "description"),
            default: scalar(options, "default"),
            template: text(options, "composed").map(|composed| template(&composed)),
            as_file: options
                .get("as_path")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            profile: profile.map(str::to_owned),
            ..Declaration::for_variable(variable)
        };
        note(variable, options, profile, manifest);
        let nothing = Declaration {
            profile: declaration.profile.clone(),
            ..Declaration::for_variable(variable)
        };
        let inherited = profile.is_some()
            && manifest
                .declarations
                .iter()
                .any(|one| one.profile.is_none() && one.name == declaration.name);
        if inherited {
            // The base says it; only what is different is worth a line.
            declaration.env = None;
            if declaration
                == (Declaration {
                    env: None,
                    ..nothing
                })
            {
                continue;
            }
        }
        manifest.declarations.push(declaration);
    }
}

/// Whether `defaults` is itself a variable: then it has what only those have.
fn is_secret(secrets: &Table, key: &str) -> bool {
    secrets
        .get(key)
        .and_then(Value::as_table)
        .is_some_and(|table| table.contains_key("description"))
}

/// Says what of one variable has no equivalent.
fn note(variable: &str, options: &Table, profile: Option<&str>, manifest: &mut Manifest) {
    let place = profile
        .map(|profile| format!(" in `{profile}`"))
        .unwrap_or_default();
    let reasons: BTreeMap<&str, &str> = [
        ("providers", "choose links with `chain`"),
        ("ref", "say where a link keeps it with `at.LINK`"),
        ("type", "what a value looks like is not checked"),
        ("generate", "`resolve generate --set NAME` makes a value"),
    ]
    .into();
    for key in options.keys() {
        match key.as_str() {
            "description" | "default" | "composed" | "as_path" => {}
            "required" => {
                let optional = options
                    .get(key)
                    .is_some_and(|value| value.as_bool() != Some(true));
                if optional && !options.contains_key("default") {
                    manifest.notes.push(format!(
                        "`{variable}`{place} is optional there; what is declared here has to be \
                         there, unless it has a `default`"
                    ));
                }
            }
            other => {
                let why = reasons
                    .get(other)
                    .map(|why| format!(": {why}"))
                    .unwrap_or_default();
                manifest
                    .notes
                    .push(format!("`{other}` of `{variable}`{place}{why}"));
            }
        }
    }
}

/// `${NAME}` is `{{ name }}` here, `$$` is `$`, and two braces are written as a literal.
fn template(composed: &str) -> String {
    let mut template = String::new();
    let mut rest = composed;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("$$") {
            template.push('$');
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix("${")
            .and_then(|inner| inner.split_once('}'))
        {
            template += &format!("{{{{ {} }}}}", Declaration::for_variable(name).name);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("{{") {
            template.push_str("{{ \"{{\" }}");
            rest = after;
        } else {
            template.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_text_becomes_a_template() {
        assert_eq!(
            template("postgres://${DB_USER}:${DB_PASSWORD}@h/$$x{{"),
            "postgres://{{ db_user }}:{{ db_password }}@h/$x{{ \"{{\" }}"
        );
        assert_eq!(template("${broken"), "${broken");
    }

    #[test]
    fn profiles_say_only_what_is_different() {
        let table: Table = toml::from_str(
            "[project]\nname = \"x\"\nrevision = \"1.0\"\n\
             [profiles.default]\n\
             A_KEY = { description = \"a\", required = true }\n\
             B = { description = \"b\", default = \"1\" }\n\
             [profiles.production]\n\
             A_KEY = { required = true }\n\
             B = { default = \"2\" }\n\
             C = { description = \"c\", as_path = true }\n",
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
                (None, "a_key", None),
                (None, "b", Some("1")),
                (Some("production"), "b", Some("2")),
                (Some("production"), "c", None),
            ]
        );
        assert!(manifest.declarations[3].as_file);
    }
}
