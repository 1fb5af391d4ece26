//! The JSON schema accepts what loads and refuses misspelt keys.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use std::fs;

use credchain_config::schema;
use serde_json::{Value, json};

/// The keywords that the schema uses, as the specification has them; patterns and formats are
/// for editors only.
fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    let Some(keywords) = schema.as_object() else {
        return schema != &json!(false);
    };
    keywords
        .iter()
        .all(|(keyword, rule)| match keyword.as_str() {
            "$ref" => fits(
                value,
                root.pointer(&rule.as_str().unwrap()[1..]).unwrap(),
                root,
            ),
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("unknown type {other}"),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "minimum" => value
                .as_i64()
                .is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value
                .as_i64()
                .is_none_or(|number| number <= rule.as_i64().unwrap()),
            "minItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
            "items" => value
                .as_array()
                .is_none_or(|items| items.iter().all(|item| fits(item, rule, root))),
            "required" => value.as_object().is_none_or(|table| {
                rule.as_array()
                    .unwrap()
                    .iter()
                    .all(|key| table.contains_key(key.as_str().unwrap()))
            }),
            "properties" => value.as_object().is_none_or(|table| {
                table
                    .iter()
                    .all(|(key, value)| rule.get(key).is_none_or(|rule| fits(value, rule, root)))
            }),
            "additionalProperties" => value.as_object().is_none_or(|table| {
                let known = |key: &str| {
                    schema
                        .get("properties")
                        .is_some_and(|known| known.get(key).is_some())
                };
                table
                    .iter()
                    .filter(|(key, _)| !known(key))
                    .all(|(_, value)| fits(value, rule, root))
            }),
            "anyOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .any(|one| fits(value, one, root)),
            "allOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|one| fits(value, one, root)),
            "if" => {
                let branch = if fits(value, rule, root) {
                    "then"
                } else {
                    "else"
                };
                schema
                    .get(branch)
                    .is_none_or(|rule| fits(value, rule, root))
            }
            "then" | "else" | "description" | "title" | "default" | "examples" | "pattern"
            | "format" | "propertyNames" | "$schema" | "$defs" => true,
            other => panic!("unknown keyword {other}"),
        })
}

fn parse(text: &str) -> Value {
    let table: toml::Table = toml::from_str(text).unwrap();
    serde_json::to_value(table).unwrap()
}

fn accepted(text: &str) -> bool {
    let schema = schema(&common::registry());
    fits(&parse(text), &schema, &schema)
}

fn files(folder: &str) -> Vec<(String, String)> {
    let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn every_example_and_every_right_configuration_is_accepted() {
    for (name, text) in files("../../config")
        .into_iter()
        .chain(files("tests/right"))
    {
        assert!(accepted(&text), "{name}");
    }
}

#[test]
fn misspelt_keys_and_wrong_types_are_refused() {
    let mut seen = 0;
    for (name, text) in files("tests/wrong") {
        let shapes = [
            "unknown-key",
            "literal-secret",
            "bool-as",
            "list-",
            "text-as",
            "number-as",
            "chain-as",
            "empty-chain",
            "unknown-choice",
            "profile-inside",
        ];
        let by_shape = shapes.iter().any(|start| name.starts_with(start));
        if by_shape && !text.contains("in the environment") {
            assert!(!accepted(&text), "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn a_key_that_another_layer_may_have_is_not_required() {
    assert!(accepted("[providers.vault]\nmount = 'x'\n"));
    assert!(accepted(
        "[providers.vault.auth]\nsecret_id = { credential = 'x' }\n"
    ));
}

#[test]
fn every_example_fits_the_schema_that_is_shipped() {
    let shipped = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../config/credchain.schema.json"
    );
    let shipped: Value = serde_json::from_str(&fs::read_to_string(shipped).unwrap()).unwrap();
    for (name, text) in files("../../config") {
        assert!(fits(&parse(&text), &shipped, &shipped), "{name}");
    }
    // What does not depend on the providers of a build cannot differ.
    let here = schema(&common::registry());
    for key in [
        "project",
        "chain",
        "credentials",
        "oauth2",
        "redaction",
        "rotation",
        "audit",
    ] {
        assert_eq!(shipped["$defs"][key], here["$defs"][key], "{key} is stale");
    }
}
