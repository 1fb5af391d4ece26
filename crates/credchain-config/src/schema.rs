//! The JSON schema of a configuration, for editors, made from the same tables as the checks.

use credchain_core::{Registration, Registry, Setting, Shape};
use serde_json::{Map, Value, json};

use crate::tables::{CHAIN_WRITE, COMMON, Form, KNOWN_TYPES, ROOT, TYPE};

/// The schema (draft 2020-12) for the provider types of this build.
///
/// A key that has to be somewhere is not required here: it may stand in another file, in a
/// profile or in the environment, and only loading sees them all.
///
/// ```
/// use credchain_core::Registry;
/// let schema = credchain_config::schema(&Registry::collect(&[])?);
/// assert_eq!(schema["$defs"]["project"]["properties"]["name"]["type"], "string");
/// # Ok::<(), credchain_core::Error>(())
/// ```
pub fn schema(registry: &Registry) -> Value {
    let table = |key: &str| (key.to_owned(), json!({ "$ref": format!("#/$defs/{key}") }));
    let keys = || ROOT.iter().map(|root| root.key);
    let root: Map<String, Value> = keys().map(table).collect();
    let profile: Map<String, Value> = keys().filter(|key| *key != "profiles").map(table).collect();
    let mut definitions = definitions(registry, &profile);
    definitions.extend(
        ROOT.iter()
            .map(|root| (root.key.to_owned(), form(root.form, root.doc))),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "credchain.toml",
        "description": "Where the credentials of a project live and how they are asked for.",
        "type": "object",
        "additionalProperties": false,
        "properties": root,
        "$defs": definitions,
    })
}

fn definitions(registry: &Registry, profile: &Map<String, Value>) -> Map<String, Value> {
    let mut definitions = Map::from_iter([
        (
            "profile".to_owned(),
            json!({ "type": "object", "additionalProperties": false, "properties": profile }),
        ),
        (
            "credential".to_owned(),
            json!({
                "description": "The name of a declared credential; a secret itself cannot stand here.",
                "type": "object",
                "additionalProperties": false,
                "required": ["credential"],
                "properties": { "credential": { "type": "string", "pattern": NAME } },
            }),
        ),
        (
            "duration".to_owned(),
            json!({
                "type": "string",
                "pattern": "^\\s*([0-9]+\\s*[A-Za-zµ]+\\s*)+$",
                "examples": ["500ms", "5m", "90d"],
            }),
        ),
        (
            "size".to_owned(),
            json!({
                "anyOf": [
                    { "type": "integer", "minimum": 0 },
                    { "type": "string", "pattern": "^\\s*[0-9]+\\s*([kKmMgG]?[iI]?[bB])?\\s*$" },
                ],
                "examples": ["64KiB", 1_048_576],
            }),
        ),
    ]);
    definitions.insert("common".to_owned(), keys_of(&[COMMON]));
    for registration in registry.iter() {
        definitions.insert(definition(registration.type_name), built(registration));
    }
    for type_name in KNOWN_TYPES
        .iter()
        .filter(|name| registry.get(name).is_none())
    {
        definitions.insert(definition(type_name), not_built(type_name));
    }
    let types: Vec<String> = definitions
        .keys()
        .filter_map(|key| key.strip_prefix("provider-"))
        .map(str::to_owned)
        .collect();
    definitions.insert("provider".to_owned(), any_provider(&types));
    definitions
}

/// `[a-z][a-z0-9_]{0,62}`, the names that may be declared.
const NAME: &str = "^[a-z][a-z0-9_]{0,62}$";

const LINK: &str = "^[a-z][a-z0-9_-]{0,62}$";

fn form(form: Form, doc: &str) -> Value {
    match form {
        Form::Keys(keys) => {
            let mut table = keys_of(&[keys]);
            table["description"] = doc.into();
            table
        }
        Form::Named(keys) => json!({
            "description": doc,
            "type": "object",
            "propertyNames": { "pattern": NAME },
            "additionalProperties": keys_of(&[keys]),
        }),
        Form::Chains => json!({
            "description": doc,
            "type": "object",
            "properties": { CHAIN_WRITE.key: setting(&CHAIN_WRITE) },
            "additionalProperties": {
                "type": "array", "minItems": 1, "items": { "type": "string", "pattern": LINK },
            },
        }),
        Form::Providers => {
            let known = |name: &&str| {
                let own = json!({ "$ref": format!("#/$defs/{}", definition(name)) });
                let named = json!({
                    "if": { "required": ["type"] },
                    "then": { "$ref": "#/$defs/provider" },
                    "else": own,
                });
                ((*name).to_owned(), named)
            };
            json!({
                "description": doc,
                "type": "object",
                "propertyNames": { "pattern": LINK },
                "properties": KNOWN_TYPES.iter().map(known).collect::<Map<_, _>>(),
                "additionalProperties": { "$ref": "#/$defs/provider" },
            })
        }
        Form::Profiles => json!({
            "description": doc,
            "type": "object",
            "additionalProperties": { "$ref": "#/$defs/profile" },
        }),
    }
}

fn definition(type_name: &str) -> String {
    format!("provider-{type_name}")
}

fn built(registration: &Registration) -> Value {
    let mut table = provider(registration.settings);
    table["description"] = registration.summary.into();
    table
}

/// A provider's table; the keys that all have are described once.
fn provider(own: &[Setting]) -> Value {
    let mut table = keys_of(&[&[TYPE], own]);
    for common in COMMON {
        table["properties"][common.key] =
            json!({ "$ref": format!("#/$defs/common/properties/{}", common.key) });
    }
    table
}

fn not_built(type_name: &str) -> Value {
    let mut table = provider(&[]);
    table["description"] =
        format!("A `{type_name}` provider; its own keys are not known here.").into();
    table["additionalProperties"] = true.into();
    table
}

/// A provider whose `type` says what it is.
fn any_provider(types: &[String]) -> Value {
    let branch = |name: &String| {
        json!({
            "if": { "properties": { "type": { "const": name } }, "required": ["type"] },
            "then": { "$ref": format!("#/$defs/{}", definition(name)) },
        })
    };
    json!({
        "type": "object",
        "properties": { "type": { "enum": types, "description": TYPE.doc } },
        "allOf": types.iter().map(branch).collect::<Vec<_>>(),
    })
}

fn keys_of(lists: &[&[Setting]]) -> Value {
    let properties: Map<String, Value> = lists
        .iter()
        .flat_map(|list| list.iter())
        .map(|one| (one.key.to_owned(), setting(one)))
        .collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn setting(setting: &Setting) -> Value {
    let mut value = shape(setting.shape);
    value["description"] = setting.doc.into();
    let default = setting.default.and_then(crate::tree::parse_value);
    if let Some(default) = default {
        value["default"] = default.json();
    }
    value
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Integer { min, max: i64::MAX } => json!({ "type": "integer", "minimum": min }),
        Shape::Integer { min, max } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Shape::Duration => json!({ "$ref": "#/$defs/duration" }),
        Shape::Size => json!({ "$ref": "#/$defs/size" }),
        Shape::Url => json!({ "type": "string", "format": "uri" }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::List(item) => json!({ "type": "array", "items": self::shape(*item) }),
        Shape::Map(item) => {
            json!({ "type": "object", "additionalProperties": self::shape(*item) })
        }
        Shape::Table(keys) => keys_of(&[keys]),
        Shape::Tagged { tag, variants } => tagged(tag, variants),
        Shape::Credential => json!({ "$ref": "#/$defs/credential" }),
        Shape::AnyOf(shapes) => {
            json!({ "anyOf": shapes.iter().map(|one| self::shape(*one)).collect::<Vec<_>>() })
        }
        _ => json!({ "type": "string" }),
    }
}

/// A table that may lack its tag, when another layer has it; then every variant's keys may stand
/// there.
fn tagged(tag: &str, variants: &[(&'static str, &'static [Setting])]) -> Value {
    let words: Vec<&str> = variants.iter().map(|(word, _)| *word).collect();
    let mut all = keys_of(&variants.iter().map(|(_, keys)| *keys).collect::<Vec<_>>());
    all["properties"][tag] = json!({ "enum": words });
    for key in ambiguous(variants) {
        // What stands there is for the branches to say.
        all["properties"][key] = json!({});
    }
    let branches: Vec<Value> = variants
        .iter()
        .map(|(word, keys)| {
            let mut table = keys_of(&[keys]);
            table["properties"][tag] = json!({ "const": word });
            json!({
                "if": { "properties": { tag: { "const": word } }, "required": [tag] },
                "then": table,
            })
        })
        .collect();
    all["allOf"] = branches.into();
    all
}

/// The keys that take one thing in one variant and another in another.
fn ambiguous(variants: &[(&'static str, &'static [Setting])]) -> Vec<&'static str> {
    let mut seen: Vec<(&str, Value)> = Vec::new();
    let mut found = Vec::new();
    for setting in variants.iter().flat_map(|(_, keys)| *keys) {
        let schema = shape(setting.shape);
        match seen.iter().find(|(key, _)| *key == setting.key) {
            Some((_, first)) if *first != schema => found.push(setting.key),
            Some(_) => {}
            None => seen.push((setting.key, schema)),
        }
    }
    found
}
