//! `[providers.NAME]`.

use credchain_core::{LinkName, Name, Setting, Settings, Shape};
use figment::value::{Dict, Value};
use serde_json::{Map, Value as Json};

use super::{Assembly, Fields};
use crate::diagnostic::Diagnostic;
use crate::model::ProviderSpec;
use crate::tables::{COMMON, TYPE, is_known_type};

pub(super) fn read(cx: &mut Assembly<'_>) {
    let Some(table) = cx.table(&["providers"]) else {
        return;
    };
    for (key, value) in table {
        let Value::Dict(_, dict) = value else {
            continue;
        };
        let path = ["providers", key.as_str()];
        let name = match key.parse::<LinkName>() {
            Ok(name) => name,
            Err(error) => {
                let place = cx.merged.key_place(&path);
                cx.report(
                    Diagnostic::error("config::bad-link-name", "a provider's name is not right")
                        .at(&place, "not a provider's name")
                        .help(error.to_string()),
                );
                continue;
            }
        };
        let type_name = Fields(dict).text("type").unwrap_or(key);
        if !is_known_type(type_name, cx.registry) {
            continue;
        }
        let spec = spec(cx, name, type_name, dict);
        cx.project.providers.insert(spec.name.clone(), spec);
    }
}

fn spec(cx: &Assembly<'_>, name: LinkName, type_name: &str, dict: &Dict) -> ProviderSpec {
    let registration = cx.registry.get(type_name);
    let common = settings(dict, COMMON);
    let own = match registration {
        Some(registration) => settings(dict, registration.settings),
        // Without the type's table everything that is not common is passed on as it is.
        None => dict
            .iter()
            .filter(|(key, _)| *key != TYPE.key && !COMMON.iter().any(|one| one.key == *key))
            .map(|(key, value)| (key.clone(), json(value)))
            .collect(),
    };
    let mut needs = Vec::new();
    own.values().for_each(|value| needed(value, &mut needs));
    needs.sort();
    needs.dedup();
    ProviderSpec {
        place: cx.merged.key_place(&["providers", name.as_str()]),
        name,
        type_name: type_name.to_owned(),
        settings: Settings::new(own),
        common: Settings::new(common),
        explicit: true,
        built: registration.is_some(),
        needs,
    }
}

pub(super) fn not_built(spec: &ProviderSpec) -> Diagnostic {
    Diagnostic::warning(
        "config::type-not-in-this-build",
        format!("this build has no `{}` provider", spec.type_name),
    )
    .at(
        &spec.place,
        "passed over, as long as an earlier link has the value",
    )
    .help(format!(
        "a build with the feature `{}` has it",
        spec.type_name
    ))
}

/// The keys of a table that its settings know. Layers can leave keys of another variant behind,
/// as when a profile changes `auth.method`: those are dropped.
fn settings(dict: &Dict, known: &[Setting]) -> Map<String, Json> {
    known
        .iter()
        .filter_map(|setting| {
            let value = dict.get(setting.key)?;
            Some((setting.key.to_owned(), shaped(value, setting.shape)))
        })
        .collect()
}

fn shaped(value: &Value, shape: Shape) -> Json {
    match (shape, value) {
        (Shape::Table(keys), Value::Dict(_, dict)) => Json::Object(settings(dict, keys)),
        (Shape::Tagged { tag, variants }, Value::Dict(_, dict)) => {
            let word = Fields(dict).text(tag);
            let keys = variants.iter().find(|(name, _)| Some(*name) == word);
            let mut table = settings(dict, keys.map_or(&[], |(_, keys)| keys));
            if let Some(word) = word {
                table.insert(tag.to_owned(), word.into());
            }
            Json::Object(table)
        }
        _ => json(value),
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::String(_, text) => text.as_str().into(),
        Value::Char(_, one) => one.to_string().into(),
        Value::Bool(_, truth) => (*truth).into(),
        Value::Num(_, number) => match number.to_i128().and_then(|n| i64::try_from(n).ok()) {
            Some(whole) => whole.into(),
            None => number.to_f64().into(),
        },
        Value::Empty(..) => Json::Null,
        Value::Dict(_, dict) => Json::Object(
            dict.iter()
                .map(|(key, value)| (key.clone(), json(value)))
                .collect(),
        ),
        Value::Array(_, items) => items.iter().map(json).collect(),
    }
}

/// The names in `{ credential = "NAME" }`, however deep.
fn needed(value: &Json, names: &mut Vec<Name>) {
    match value {
        Json::Object(table) => match table.get("credential") {
            Some(Json::String(name)) if table.len() == 1 => names.extend(name.parse::<Name>()),
            _ => table.values().for_each(|value| needed(value, names)),
        },
        Json::Array(items) => items.iter().for_each(|item| needed(item, names)),
        _ => {}
    }
}
