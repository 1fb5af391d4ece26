//! A parsed file: values with the bytes they were written at.

use std::collections::BTreeMap;
use std::ops::Range;

use figment::value::{Dict, Tag, Value as Merging};
use toml::de::{DeTable, DeValue};

/// A value and where it stands. In a layer that is no file, the span's start is the number of
/// the variable or argument it came from.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(Table),
}

pub(crate) type Table = BTreeMap<String, Entry>;

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Range<usize>,
    pub(crate) node: Node,
}

/// A syntax mistake; its text is the parser's and quotes nothing of the file.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) span: Range<usize>,
}

impl SyntaxError {
    /// Whether something is written twice, which leaves the rest of the file as clear as before.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.message == "duplicate key"
    }
}

/// Parses a document; what can be understood of a broken one comes with its mistakes.
pub(crate) fn parse(text: &str) -> (Table, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let errors = errors.into_iter().map(|error| SyntaxError {
        message: error.message().to_owned(),
        span: error.span().unwrap_or(0..0),
    });
    (convert_table(table.into_inner()), errors.collect())
}

/// Parses a single value, as in `KEY=VALUE` of the environment.
pub(crate) fn parse_value(text: &str) -> Option<Node> {
    DeValue::parse(text)
        .ok()
        .map(|value| convert(value.span(), value.into_inner()))
}

fn convert_table(table: DeTable<'_>) -> Table {
    table
        .into_iter()
        .map(|(key, value)| {
            let span = value.span();
            let entry = Entry {
                key: key.span(),
                node: convert(span, value.into_inner()),
            };
            (key.into_inner().into_owned(), entry)
        })
        .collect()
}

fn convert(span: Range<usize>, value: DeValue<'_>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Float(f64::INFINITY), Value::Integer),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => Value::Bool(truth),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| convert(item.span(), item.into_inner()))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(convert_table(table)),
    };
    Node { span, value }
}

impl Node {
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What it is, for "expected …, found …".
    pub(crate) fn describe(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Bool(_) => "`true` or `false`",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The same value without places.
    pub(crate) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) | Value::Date(text) => text.as_str().into(),
            Value::Integer(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Bool(truth) => (*truth).into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Table(table) => serde_json::Value::Object(
                table
                    .iter()
                    .map(|(key, entry)| (key.clone(), entry.node.json()))
                    .collect(),
            ),
        }
    }

    /// Gives every value inside the same span: for layers that are no files.
    pub(crate) fn respan(&mut self, span: &Range<usize>) {
        self.span = span.clone();
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.respan(span)),
            Value::Table(table) => table.values_mut().for_each(|entry| {
                entry.key = span.clone();
                entry.node.respan(span);
            }),
            _ => {}
        }
    }

    /// The form that figment merges.
    fn merging(&self) -> Merging {
        let tag = Tag::Default;
        match &self.value {
            Value::Text(text) | Value::Date(text) => Merging::String(tag, text.clone()),
            Value::Integer(number) => Merging::Num(tag, (*number).into()),
            Value::Float(number) => Merging::Num(tag, (*number).into()),
            Value::Bool(truth) => Merging::Bool(tag, *truth),
            Value::List(items) => Merging::Array(tag, items.iter().map(Self::merging).collect()),
            Value::Table(table) => Merging::Dict(tag, merging(table)),
        }
    }
}

/// The form of a table that figment merges.
pub(crate) fn merging(table: &Table) -> Dict {
    table
        .iter()
        .map(|(key, entry)| (key.clone(), entry.node.merging()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_keep_their_places() {
        let text = "[a.b]\nc = { d = 0x10, e = [1, 2] }\n";
        let (table, errors) = parse(text);
        assert!(errors.is_empty());
        let b = table["a"].node.table().unwrap()["b"].node.table().unwrap();
        assert_eq!(&text[b["c"].key.clone()], "c");
        let c = b["c"].node.table().unwrap();
        assert!(matches!(c["d"].node.value, Value::Integer(16)));
        assert_eq!(&text[c["e"].node.span.clone()], "[1, 2]");
    }

    #[test]
    fn a_broken_document_gives_its_mistakes_and_the_rest() {
        let (table, errors) = parse("a = 1\nb = \nc = 3\n");
        assert_eq!(errors.len(), 1);
        assert!(table.contains_key("a"));
    }
}
