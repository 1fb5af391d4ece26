//! Settings from the environment and the command line, which are no files but say the same.

use credchain_core::{Registry, Setting, Shape};

use crate::diagnostic::Diagnostic;
use crate::discovery::Discovery;
use crate::layers::{Layer, LayerSource};
use crate::suggest::nearest;
use crate::tables::{COMMON, Form, ROOT, TYPE};
use crate::tree::{self, Entry, Node, Table, Value};

/// The settings in `CREDCHAIN_…` variables. Variables that do not begin with a table's name are
/// somebody else's: `CREDCHAIN_CONFIG`, `CREDCHAIN_PASSPHRASE`, `CREDCHAIN_LOG`.
pub(crate) fn variables(
    discovery: &Discovery,
    below: &[Layer],
    registry: &Registry,
    problems: &mut Vec<Diagnostic>,
) -> Option<Layer> {
    let mut found: Vec<(String, String)> = discovery
        .environment
        .all()
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with("CREDCHAIN_"))
        .filter_map(|(name, value)| Some((name, value.into_string().ok()?)))
        .collect();
    found.sort();
    let mut names = Vec::new();
    let mut table = Table::new();
    for (name, value) in found {
        let key = name["CREDCHAIN_".len()..].to_ascii_lowercase();
        let path: Vec<&str> = key.split("__").collect();
        let root = ROOT
            .iter()
            .find(|root| root.key == path[0] && root.key != "profiles");
        let Some(root) = root else {
            if path.len() > 1 {
                problems.push(unknown_variable(&name, path[0]));
            }
            continue;
        };
        let number = names.len();
        names.push(name.clone());
        insert(&mut table, root.key, &path, &value, number, below, registry);
    }
    (!names.is_empty()).then(|| Layer {
        source: LayerSource::Environment(names),
        profile: None,
        table,
    })
}

/// The settings given on the command line.
pub(crate) fn arguments(
    discovery: &Discovery,
    below: &[Layer],
    registry: &Registry,
    problems: &mut Vec<Diagnostic>,
) -> Option<Layer> {
    let mut keys = Vec::new();
    let mut table = Table::new();
    for (key, value) in &discovery.overrides {
        let path: Vec<&str> = key.split('.').collect();
        let Some(root) = ROOT
            .iter()
            .find(|root| root.key == path[0] && root.key != "profiles")
        else {
            problems.push(
                Diagnostic::error("config::unknown-key", format!("unknown key `{key}`"))
                    .maybe_help(
                        nearest(path[0], ROOT.iter().map(|root| root.key))
                            .map(|near| format!("did you mean `{near}`?")),
                    ),
            );
            continue;
        };
        let number = keys.len();
        keys.push(key.clone());
        insert(&mut table, root.key, &path, value, number, below, registry);
    }
    (!keys.is_empty()).then(|| Layer {
        source: LayerSource::Arguments(keys),
        profile: None,
        table,
    })
}

fn unknown_variable(name: &str, first: &str) -> Diagnostic {
    let near = nearest(
        first,
        ROOT.iter()
            .map(|root| root.key)
            .filter(|key| *key != "profiles"),
    );
    Diagnostic::error(
        "config::unknown-variable",
        format!("the environment variable `{name}` sets nothing that exists"),
    )
    .help(match near {
        Some(near) => format!("did you mean `CREDCHAIN_{}__…`?", near.to_ascii_uppercase()),
        None => "such a variable is CREDCHAIN_, then the key's path with `__` between the parts, as in CREDCHAIN_PROVIDERS__VAULT__ADDRESS".to_owned(),
    })
}

/// Puts a value at its path, read as the shape there asks for.
fn insert(
    table: &mut Table,
    root: &str,
    path: &[&str],
    text: &str,
    number: usize,
    below: &[Layer],
    registry: &Registry,
) {
    let span = number..number;
    let path = as_written(root, path, below);
    let shape = shape_at(&path, below, registry);
    let mut node = shape.map_or_else(|| plain(text), |shape| read(text, shape));
    node.respan(&span);
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut at = table;
    for key in parents {
        let entry = at.entry(key.clone()).or_insert_with(|| Entry {
            key: span.clone(),
            node: Node {
                span: span.clone(),
                value: Value::Table(Table::new()),
            },
        });
        if !matches!(entry.node.value, Value::Table(_)) {
            entry.node.value = Value::Table(Table::new());
        }
        let Value::Table(inner) = &mut entry.node.value else {
            return;
        };
        at = inner;
    }
    at.insert(last.clone(), Entry { key: span, node });
}

/// The path with the names that files use: a variable cannot say whether `PROD_AWS` is
/// `prod-aws` or `prod_aws`.
fn as_written(root: &str, path: &[&str], below: &[Layer]) -> Vec<String> {
    let mut path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
    if let Some(name) = path.get_mut(1) {
        let tables = below
            .iter()
            .filter_map(|layer| layer.table.get(root)?.node.table());
        let written = tables
            .flat_map(Table::keys)
            .find(|key| key.replace('-', "_").eq_ignore_ascii_case(name))
            .cloned();
        if let Some(written) = written {
            *name = written;
        }
    }
    path
}

fn shape_at(path: &[String], below: &[Layer], registry: &Registry) -> Option<Shape> {
    let root = ROOT.iter().find(|root| root.key == path[0])?;
    let rest = match root.form {
        Form::Keys(keys) => return shape_in(keys, &path[1..]),
        Form::Chains if path.get(1)? == "write" => return Some(Shape::Text),
        Form::Chains => return Some(Shape::List(&Shape::Text)),
        Form::Named(keys) => return shape_in(keys, path.get(2..)?),
        Form::Providers => path.get(2..)?,
        Form::Profiles => return None,
    };
    let link = path.get(1)?;
    let written = below.iter().rev().find_map(|layer| {
        let table = layer
            .table
            .get("providers")?
            .node
            .table()?
            .get(link)?
            .node
            .table()?;
        table.get("type")?.node.text()
    });
    let own = registry
        .get(written.unwrap_or(link))
        .map_or(&[][..], |found| found.settings);
    shape_in(&[TYPE], rest)
        .or_else(|| shape_in(COMMON, rest))
        .or_else(|| shape_in(own, rest))
}

fn shape_in(keys: &[Setting], path: &[String]) -> Option<Shape> {
    let (first, rest) = path.split_first()?;
    let setting = keys.iter().find(|setting| setting.key == first)?;
    if rest.is_empty() {
        return Some(setting.shape);
    }
    match setting.shape {
        Shape::Table(keys) => shape_in(keys, rest),
        Shape::Tagged { tag, .. } if rest == [tag] => Some(Shape::Text),
        Shape::Tagged { variants, .. } => {
            variants.iter().find_map(|(_, keys)| shape_in(keys, rest))
        }
        Shape::Map(shape) if rest.len() == 1 => Some(*shape),
        Shape::AnyOf(shapes) => shapes.iter().find_map(|shape| match shape {
            Shape::Table(keys) => shape_in(keys, rest),
            _ => None,
        }),
        _ => None,
    }
}

/// Reads a text as a shape; what does not fit stays text, and the checker says so.
fn read(text: &str, shape: Shape) -> Node {
    let toml =
        |expected: fn(&Value) -> bool| tree::parse_value(text).filter(|node| expected(&node.value));
    let read = match shape {
        Shape::Bool => toml(|value| matches!(value, Value::Bool(_))),
        Shape::Integer { .. } | Shape::Size => toml(|value| matches!(value, Value::Integer(_))),
        Shape::List(_) if text.trim_start().starts_with('[') => {
            toml(|value| matches!(value, Value::List(_)))
        }
        Shape::List(item) => Some(list(text, *item)),
        Shape::Map(_) | Shape::Table(_) | Shape::Tagged { .. } | Shape::Credential => {
            toml(|value| matches!(value, Value::Table(_)))
        }
        Shape::AnyOf(shapes) => shapes
            .iter()
            .filter(|shape| !matches!(shape, Shape::List(_)) || text.contains(['[', ',']))
            .map(|shape| read(text, *shape))
            .find(|node| !matches!(node.value, Value::Text(_))),
        _ => None,
    };
    read.unwrap_or_else(|| plain(text))
}

fn list(text: &str, item: Shape) -> Node {
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    Node {
        span: 0..0,
        value: Value::List(items.map(|part| read(part, item)).collect()),
    }
}

fn plain(text: &str) -> Node {
    Node {
        span: 0..0,
        value: Value::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use credchain_core::Environment;

    use super::*;

    fn load(variables: &[(&str, &str)]) -> (Option<Layer>, Vec<Diagnostic>) {
        let registry = Registry::collect(&[]).unwrap();
        let discovery = Discovery::new("/", Environment::fixed(variables.iter().copied()));
        let mut problems = Vec::new();
        (
            super::variables(&discovery, &[], &registry, &mut problems),
            problems,
        )
    }

    fn find<'a>(table: &'a Table, path: &str) -> &'a Value {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let node = &table[first].node;
        if rest.is_empty() {
            &node.value
        } else {
            find(node.table().unwrap(), rest)
        }
    }

    #[test]
    fn variables_are_read_as_the_shape_that_their_key_has() {
        let (layer, problems) = load(&[
            ("CREDCHAIN_CHAIN__DEFAULT", "env, vault"),
            ("CREDCHAIN_CHAIN__WRITE", "vault"),
            ("CREDCHAIN_CREDENTIALS__API_KEY__SECRET", "false"),
            ("CREDCHAIN_CREDENTIALS__API_KEY__DEFAULT", "587"),
            ("CREDCHAIN_PROVIDERS__VAULT__CACHE", "{ ttl = \"5m\" }"),
            ("CREDCHAIN_REDACTION__MIN_LENGTH", "8"),
            ("CREDCHAIN_CONFIG", "x"),
            ("CREDCHAIN_PASSPHRASE", "canary"),
        ]);
        assert!(problems.is_empty());
        let table = layer.unwrap().table;
        assert!(matches!(find(&table, "chain.default"), Value::List(items) if items.len() == 2));
        assert!(matches!(find(&table, "chain.write"), Value::Text(_)));
        assert!(matches!(
            find(&table, "credentials.api_key.secret"),
            Value::Bool(false)
        ));
        assert!(matches!(
            find(&table, "credentials.api_key.default"),
            Value::Text(_)
        ));
        assert!(matches!(
            find(&table, "providers.vault.cache.ttl"),
            Value::Text(_)
        ));
        assert!(matches!(
            find(&table, "redaction.min_length"),
            Value::Integer(8)
        ));
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn a_misspelt_table_is_reported_and_a_foreign_variable_is_not() {
        let (_, problems) = load(&[("CREDCHAIN_PROVIDRES__X__Y", "1"), ("CREDCHAIN_OTHER", "1")]);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].help, ["did you mean `CREDCHAIN_PROVIDERS__…`?"]);
    }
}
