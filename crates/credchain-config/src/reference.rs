//! The reference of all tables and keys as Markdown, for `docs/configuration.md`.

use std::fmt::Write as _;

use credchain_core::{Setting, Shape};

use crate::shape::expected;
use crate::tables::{CHAIN_WRITE, COMMON, Form, ROOT, TYPE};

/// Every table and key that does not depend on a provider's type.
pub fn reference_markdown() -> String {
    let mut out = String::new();
    for root in ROOT {
        let heading = match root.form {
            Form::Keys(_) | Form::Chains => format!("`[{}]`", root.key),
            _ => format!("`[{}.NAME]`", root.key),
        };
        let _ = write!(out, "### {heading}\n\n{}\n\n", root.doc);
        match root.form {
            Form::Keys(keys) | Form::Named(keys) => {
                rows(&mut out, keys);
                tables_below(&mut out, root.key, keys);
            }
            Form::Chains => {
                let chain = Setting::new(
                    "NAME",
                    Shape::List(&Shape::Text),
                    "The links of this chain. `default` is for credentials without a chain of their own.",
                );
                rows(&mut out, &[chain, CHAIN_WRITE]);
            }
            Form::Providers => {
                rows(&mut out, &[&[TYPE], COMMON].concat());
                out.push_str("Besides these each type has keys of its own: `resolve providers` lists them.\n\n");
            }
            Form::Profiles => {
                out.push_str("Tables merge with those of the root, everything else replaces.\n\n");
            }
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn rows(out: &mut String, keys: &[Setting]) {
    out.push_str("| key | what it takes | default | what it is for |\n|---|---|---|---|\n");
    for setting in keys {
        row(out, "", setting);
    }
    out.push('\n');
}

/// The tables that a table holds by names of the user's own.
fn tables_below(out: &mut String, path: &str, keys: &[Setting]) {
    for setting in keys {
        let Shape::Map(shape) = setting.shape else {
            continue;
        };
        let heading = format!("#### `[{path}.{}.NAME]`", setting.key);
        match *shape {
            Shape::Table(keys) => {
                let _ = write!(out, "{heading}\n\n{}\n\n", setting.doc);
                rows(out, keys);
            }
            Shape::Tagged { tag, variants } => {
                let _ = write!(out, "{heading}\n\n{}\n\n", setting.doc);
                for (word, keys) in variants {
                    let _ = write!(out, "##### `{tag} = \"{word}\"`\n\n");
                    rows(out, keys);
                }
            }
            _ => {}
        }
    }
}

fn row(out: &mut String, path: &str, setting: &Setting) {
    let default = match (setting.default, setting.required) {
        (Some(default), _) => format!("`{default}`"),
        (None, true) => "required".to_owned(),
        (None, false) => String::new(),
    };
    let _ = writeln!(
        out,
        "| `{path}{}` | {} | {default} | {} |",
        setting.key,
        expected(setting.shape).replace('|', "\\|"),
        setting.doc.replace('|', "\\|"),
    );
    for one in inner(setting.shape) {
        row(out, &format!("{path}{}.", setting.key), one);
    }
}

/// The keys of the table that a setting is, or may be.
fn inner(shape: Shape) -> &'static [Setting] {
    match shape {
        Shape::Table(keys) => keys,
        Shape::List(Shape::Table(keys)) => keys,
        Shape::AnyOf(shapes) => {
            let tables = shapes.iter().map(|shape| inner(*shape));
            tables.max_by_key(|keys| keys.len()).unwrap_or_default()
        }
        _ => &[],
    }
}
