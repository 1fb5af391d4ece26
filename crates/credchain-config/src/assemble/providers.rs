//! `[providers.NAME]`.

use std::collections::BTreeSet;

use credchain_core::layers::{LayerSettings, reactions};
use credchain_core::{LinkName, Name, Setting, Settings, Shape, TrustNeed};
use figment::value::{Dict, Value};
use serde_json::{Map, Value as Json};

use super::{Assembly, Fields};
use crate::diagnostic::Diagnostic;
use crate::model::ProviderSpec;
use crate::tables::{COMMON, TYPE, is_common, is_known_type};
use crate::tree;

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
        let common = LayerSettings::from_settings(&spec.common)
            .map(|_| ())
            .and_then(|()| reactions(&spec.common).map(|_| ()));
        // A wrong shape was reported with its place; what is left are numbers that contradict.
        if let Err(error) = common
            && cx.shapes_fit
        {
            cx.report(
                Diagnostic::error(
                    "config::bad-layer",
                    format!("`providers.{key}`: {}", error.message()),
                )
                .at(&spec.place, "in this table")
                .maybe_help(error.hint().map(str::to_owned)),
            );
        }
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
            .filter(|(key, _)| *key != TYPE.key && !is_common(key))
            .map(|(key, value)| (key.clone(), json(value)))
            .collect(),
    };
    let mut needs = Vec::new();
    own.values().for_each(|value| needed(value, &mut needs));
    needs.sort();
    needs.dedup();
    let paths = registration.map_or_else(Vec::new, |found| paths(&own, found.settings));
    ProviderSpec {
        paths,
        trust: registration.map_or(TrustNeed::Always, |found| found.trust),
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

/// Links that a chain in use names and this build lacks. A table that nothing uses is no matter.
pub(super) fn check_built(cx: &mut Assembly<'_>) {
    let mut asked: BTreeSet<&LinkName> = cx.project.default_chain().iter().collect();
    asked.extend(
        cx.project
            .credentials
            .values()
            .flat_map(|spec| spec.links.iter()),
    );
    asked.extend(&cx.project.write);
    let lacking = asked
        .into_iter()
        .filter_map(|link| cx.project.providers.get(link));
    let warnings: Vec<Diagnostic> = lacking.filter(|spec| !spec.built).map(not_built).collect();
    cx.problems.extend(warnings);
}

fn not_built(spec: &ProviderSpec) -> Diagnostic {
    Diagnostic::warning(
        "config::type-not-in-this-build",
        format!("this build has no `{}` provider", spec.type_name),
    )
    .at(&spec.place, "a chain that comes this far stops")
    .help(format!(
        "a build with the feature `{}` has it",
        spec.type_name
    ))
}

/// The keys of a table that its settings know. Layers can leave keys of another variant behind,
/// as when a profile changes `auth.method`: those are dropped.
pub(super) fn settings(dict: &Dict, known: &[Setting]) -> Map<String, Json> {
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
pub(super) fn needed(value: &Json, names: &mut Vec<Name>) {
    match value {
        Json::Object(table) => match table.get("credential") {
            Some(Json::String(name)) if table.len() == 1 => names.extend(name.parse::<Name>()),
            _ => table.values().for_each(|value| needed(value, names)),
        },
        Json::Array(items) => items.iter().for_each(|item| needed(item, names)),
        _ => {}
    }
}

/// Every path that the settings name, or that is their default.
pub(crate) fn paths(own: &Map<String, Json>, known: &[Setting]) -> Vec<String> {
    let mut found = Vec::new();
    for setting in known {
        if let Some(value) = own.get(setting.key) {
            paths_in(value, setting.shape, &mut found);
            continue;
        }

        let default = setting.default.filter(|_| may_be_path(setting.shape));
        let node = default.and_then(tree::parse_value);
        if let Some(node) = node {
            paths_in(&node.json(), setting.shape, &mut found);
        }
    }
    found
}

fn paths_in(value: &Json, shape: Shape, found: &mut Vec<String>) {
    match (shape, value) {
        (Shape::Path, Json::String(path)) => found.push(path.clone()),
        (Shape::List(item), Json::Array(items)) => {
            for value in items {
                paths_in(value, *item, found);
            }
        }
        (Shape::Map(item), Json::Object(table)) => {
            for value in table.values() {
                paths_in(value, *item, found);
            }
        }
        (Shape::Table(keys), Json::Object(table)) => found.extend(paths(table, keys)),
        (Shape::Tagged { variants, .. }, Json::Object(table)) => {
            for (_, keys) in variants {
                found.extend(paths(table, keys));
            }
        }
        (Shape::AnyOf(shapes), value) => {
            for shape in shapes {
                paths_in(value, *shape, found);
            }
        }
        _ => {}
    }
}

fn may_be_path(shape: Shape) -> bool {
    match shape {
        Shape::Path => true,
        Shape::List(item) | Shape::Map(item) => may_be_path(*item),
        Shape::AnyOf(shapes) => shapes.iter().any(|shape| may_be_path(*shape)),
        _ => false,
    }
}
