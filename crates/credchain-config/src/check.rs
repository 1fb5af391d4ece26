//! One walk over each layer that compares it with the tables: unknown keys, wrong shapes,
//! missing keys. Everything is reported; nothing is stopped at.

use std::ops::Range;

use credchain_core::{Registry, Setting, Shape};

use crate::diagnostic::Diagnostic;
use crate::layers::Layer;
use crate::shape;
use crate::suggest::{nearest, suggestion};
use crate::tables::{CHAIN_WRITE, COMMON, Form, ROOT, TYPE, all_types, is_known_type};
use crate::tree::{Node, Table, Value};

/// Checks every layer. `active` says which of them make the configuration in use: the others,
/// tables of profiles that are not in use, are checked as far as they can be on their own.
pub(crate) fn check(
    active: &[Layer],
    idle: &[Layer],
    registry: &Registry,
    problems: &mut Vec<Diagnostic>,
) {
    for (number, layer) in active.iter().enumerate() {
        let scope = Scope {
            lower: active[..number]
                .iter()
                .rev()
                .map(|below| &below.table)
                .collect(),
            higher: active[number + 1..]
                .iter()
                .map(|above| &above.table)
                .collect(),
            complete: true,
        };
        Checker {
            layer,
            registry,
            problems: &mut *problems,
            path: Vec::new(),
        }
        .root(&layer.table, &scope);
    }
    for layer in idle {
        let roots = active.iter().rev().filter(|root| root.profile.is_none());
        let scope = Scope {
            lower: roots.map(|root| &root.table).collect(),
            higher: Vec::new(),
            complete: false,
        };
        Checker {
            layer,
            registry,
            problems: &mut *problems,
            path: Vec::new(),
        }
        .root(&layer.table, &scope);
    }
}

/// The same table in the other layers.
struct Scope<'a> {
    /// Below, the nearest first.
    lower: Vec<&'a Table>,
    higher: Vec<&'a Table>,
    /// Whether the layers together are all there is, so that a missing key is missing.
    complete: bool,
}

impl<'a> Scope<'a> {
    fn alone() -> Self {
        Self {
            lower: Vec::new(),
            higher: Vec::new(),
            complete: true,
        }
    }

    fn inside(&self, key: &str) -> Self {
        let descend = |tables: &[&'a Table]| {
            tables
                .iter()
                .filter_map(|table| table.get(key)?.node.table())
                .collect()
        };
        Self {
            lower: descend(&self.lower),
            higher: descend(&self.higher),
            complete: self.complete,
        }
    }

    /// The text at a key, from the layer itself, else the nearest below, else above.
    fn text(&self, own: &'a Table, key: &str) -> Option<&'a str> {
        std::iter::once(own)
            .chain(self.lower.iter().copied())
            .chain(self.higher.iter().copied())
            .find_map(|table| table.get(key)?.node.text())
    }

    fn has(&self, key: &str) -> bool {
        self.lower
            .iter()
            .chain(&self.higher)
            .any(|table| table.contains_key(key))
    }
}

struct Checker<'a, 'p> {
    layer: &'a Layer,
    registry: &'a Registry,
    problems: &'p mut Vec<Diagnostic>,
    path: Vec<&'a str>,
}

impl<'a> Checker<'a, '_> {
    fn root(&mut self, table: &'a Table, scope: &Scope<'a>) {
        for (key, entry) in table {
            let Some(root) = ROOT.iter().find(|root| root.key == key) else {
                self.unknown(
                    key,
                    &entry.key,
                    &entry.node,
                    ROOT.iter().map(|root| root.key),
                );
                continue;
            };
            self.path.push(key);
            match root.form {
                // The loader has taken it apart; a table of profiles inside a profile is wrong.
                Form::Profiles => {
                    self.path.pop();
                    self.unknown(key, &entry.key, &entry.node, []);
                    continue;
                }
                _ => {
                    if let Some(inner) = self.table(&entry.node) {
                        self.form(root.form, inner, &scope.inside(key), &entry.key);
                    }
                }
            }
            self.path.pop();
        }
    }

    fn form(&mut self, form: Form, table: &'a Table, scope: &Scope<'a>, key: &Range<usize>) {
        match form {
            Form::Keys(keys) => self.keys(table, &[keys], scope, key),
            Form::Named(keys) => {
                for (name, entry) in table {
                    self.path.push(name);
                    if let Some(inner) = self.table(&entry.node) {
                        self.keys(inner, &[keys], &scope.inside(name), &entry.key);
                    }
                    self.path.pop();
                }
            }
            Form::Chains => {
                for (name, entry) in table {
                    self.path.push(name);
                    let write = name == CHAIN_WRITE.key;
                    let shape = if write {
                        Shape::Text
                    } else {
                        Shape::List(&Shape::Text)
                    };
                    self.shape(&entry.node, shape, &Scope::alone());
                    self.path.pop();
                }
            }
            Form::Providers => {
                for (name, entry) in table {
                    self.path.push(name);
                    if let Some(inner) = self.table(&entry.node) {
                        self.provider(name, inner, &scope.inside(name), &entry.key);
                    }
                    self.path.pop();
                }
            }
            Form::Profiles => {}
        }
    }

    fn provider(&mut self, name: &'a str, table: &'a Table, scope: &Scope<'a>, key: &Range<usize>) {
        let written = scope.text(table, "type");
        let type_name = written.unwrap_or(name);
        if let Some(registration) = self.registry.get(type_name) {
            self.keys(table, &[&[TYPE], COMMON, registration.settings], scope, key);
            return;
        }
        if !is_known_type(type_name, self.registry) {
            self.unknown_type(name, table, written, key);
        }
        // What its own keys are is not known here; those that all have are.
        for (key, entry) in table {
            if let Some(setting) = COMMON.iter().chain([&TYPE]).find(|one| one.key == key) {
                self.path.push(key);
                self.shape(&entry.node, setting.shape, &scope.inside(key));
                self.path.pop();
            }
        }
    }

    fn unknown_type(
        &mut self,
        name: &str,
        table: &Table,
        written: Option<&str>,
        key: &Range<usize>,
    ) {
        let types = all_types(self.registry);
        let own_key = table.get("type").map(|entry| &entry.node.span);
        let diagnostic = match (written, own_key) {
            (Some(written), Some(span)) => {
                Diagnostic::error("config::unknown-type", "unknown provider type")
                    .at(&self.layer.place(span), "no provider has this type")
                    .maybe_help(suggestion(written, types))
            }
            // Written in another layer, which reports it.
            (Some(_), None) => return,
            (None, _) => {
                let near = nearest(name, types.iter().copied());
                Diagnostic::error(
                    "config::unknown-type",
                    format!("the provider `{name}` needs a type"),
                )
                .at(
                    &self.layer.place(key),
                    "the name is no type, and the table has no `type`",
                )
                .help(match near {
                    Some(near) => {
                        format!("did you mean `[providers.{near}]`? else add `type = \"{near}\"`")
                    }
                    None => "add `type = \"…\"`; `resolve providers` lists the types".to_owned(),
                })
            }
        };
        self.problems.push(diagnostic);
    }

    /// Checks a table against the keys that it may have, given as several lists.
    fn keys(
        &mut self,
        table: &'a Table,
        lists: &[&[Setting]],
        scope: &Scope<'a>,
        header: &Range<usize>,
    ) {
        let settings = || lists.iter().flat_map(|list| list.iter());
        let mut misspelt = Vec::new();
        for (key, entry) in table {
            let Some(setting) = settings().find(|setting| setting.key == key) else {
                misspelt.extend(nearest(key, settings().map(|one| one.key)));
                self.unknown(key, &entry.key, &entry.node, settings().map(|one| one.key));
                continue;
            };

            self.path.push(key);
            self.shape(&entry.node, setting.shape, &scope.inside(key));
            self.path.pop();
        }
        // The lowest layer that has the table reports what no layer has.
        if !scope.complete || !scope.lower.is_empty() {
            return;
        }
        let missing = |setting: &&Setting| {
            setting.required
                && !table.contains_key(setting.key)
                && !scope.has(setting.key)
                && !misspelt.contains(&setting.key)
        };
        for setting in settings().filter(missing) {
            let path = self.path.join(".");
            self.problems.push(
                Diagnostic::error(
                    "config::missing-key",
                    format!("`{path}` needs `{}`", setting.key),
                )
                .at(
                    &self.layer.place(header),
                    format!("`{}` is missing here", setting.key),
                )
                .help(format!("{}: {}", setting.key, setting.doc)),
            );
        }
    }

    fn shape(&mut self, node: &'a Node, shape: Shape, scope: &Scope<'a>) {
        match shape {
            Shape::List(item) => {
                let Value::List(items) = &node.value else {
                    return self.wrong(node, shape);
                };
                for value in items {
                    self.shape(value, *item, &Scope::alone());
                }
            }
            Shape::Map(item) => {
                let Some(table) = self.table(node) else {
                    return;
                };
                for (key, entry) in table {
                    self.path.push(key);
                    self.shape(&entry.node, *item, &scope.inside(key));
                    self.path.pop();
                }
            }
            Shape::Table(keys) => {
                if let Some(table) = self.table(node) {
                    self.keys(table, &[keys], scope, &node.span);
                }
            }
            Shape::Tagged { tag, variants } => self.tagged(node, tag, variants, scope),
            Shape::Credential => self.credential(node),
            Shape::AnyOf(shapes) => self.any_of(node, shapes, scope),
            plain => {
                if node.text().is_some_and(shape::looks_like_secret) {
                    self.secret_in_clear(node);
                }
                if let Err(problem) = shape::check(node, plain) {
                    let diagnostic = problem.diagnostic(&self.path.join("."));
                    let place = self.layer.place(&node.span);
                    if problem.hide {
                        self.hide(node);
                    }
                    self.problems.push(diagnostic.at(&place, problem.label));
                }
            }
        }
    }

    fn secret_in_clear(&mut self, node: &Node) {
        self.hide(node);
        let path = self.path.join(".");
        self.problems.push(
            Diagnostic::warning(
                "config::secret-in-clear",
                format!("`{path}` looks like a secret"),
            )
            .at(
                &self.layer.place(&node.span),
                "readable by everyone who can read this file",
            )
            .help("`resolve set NAME` stores it; then `[credentials.NAME]` is all that stands here")
            .help("a value that was ever committed is known to others: replace it"),
        );
    }

    fn tagged(
        &mut self,
        node: &'a Node,
        tag: &'static str,
        variants: &'static [(&'static str, &'static [Setting])],
        scope: &Scope<'a>,
    ) {
        let Some(table) = self.table(node) else {
            return;
        };
        let words = variants.iter().map(|(word, _)| *word);
        let Some(written) = scope.text(table, tag) else {
            if let Some(entry) = table.get(tag) {
                self.wrong(&entry.node, Shape::Text);
            } else if scope.complete {
                let path = self.path.join(".");
                self.problems.push(
                    Diagnostic::error("config::missing-key", format!("`{path}` needs `{tag}`"))
                        .at(
                            &self.layer.place(&node.span),
                            format!("`{tag}` is missing here"),
                        )
                        .maybe_help(suggestion("", words)),
                );
            }
            return self.hide_besides(table, tag);
        };
        // Which of the keys hold secrets is known only when the word is.
        let Some((_, keys)) = variants.iter().find(|(word, _)| *word == written) else {
            if let Some(entry) = table.get(tag) {
                let path = self.path.join(".");
                self.problems.push(
                    Diagnostic::error(
                        "config::unknown-choice",
                        format!("`{path}.{tag}` has an unknown value"),
                    )
                    .at(
                        &self.layer.place(&entry.node.span),
                        "not one of the known words",
                    )
                    .maybe_help(suggestion(written, words)),
                );
            }
            return self.hide_besides(table, tag);
        };
        let tag_key = [Setting::new(tag, Shape::Text, "")];
        self.keys(table, &[&tag_key, keys], scope, &node.span);
    }

    fn credential(&mut self, node: &'a Node) {
        let path = self.path.join(".");
        let place = self.layer.place(&node.span);
        let Value::Table(table) = &node.value else {
            self.hide(node);
            let key = self.path.last().copied().unwrap_or_default();
            self.problems.push(
                Diagnostic::error("config::literal-secret", format!("`{path}` is a secret and cannot stand here"))
                    .at(&place, "written in clear")
                    .help(format!(
                        "declare it, as `[credentials.{key}]`, and write `{key} = {{ credential = \"{key}\" }}` here; `resolve set {key}` stores the value"
                    ))
                    .help("a value that was ever committed is known to others: replace it"),
            );
            return;
        };
        let name = [Setting::new(
            "credential",
            Shape::Text,
            "The name of a declared credential.",
        )
        .required()];
        self.keys(table, &[&name], &Scope::alone(), &node.span);
    }

    /// Takes the first shape that fits; if none does, the one that is nearest in kind tells why.
    fn any_of(&mut self, node: &'a Node, shapes: &'static [Shape], scope: &Scope<'a>) {
        let mut nearest_problems = None;
        for shape in shapes {
            let mut problems = Vec::new();
            let mut attempt = Checker {
                layer: self.layer,
                registry: self.registry,
                problems: &mut problems,
                path: self.path.clone(),
            };
            attempt.shape(node, *shape, scope);
            if problems.is_empty() {
                return;
            }
            if shape::same_kind(node, *shape) {
                nearest_problems.get_or_insert(problems);
            }
        }
        match nearest_problems {
            Some(problems) => self.problems.extend(problems),
            None => self.wrong(node, Shape::AnyOf(shapes)),
        }
    }

    /// The table at a node; anything else is a mistake.
    fn table(&mut self, node: &'a Node) -> Option<&'a Table> {
        if node.table().is_none() {
            // What was meant by it is not known, so it may be a secret.
            self.hide(node);
            self.wrong(node, Shape::Table(&[]));
        }
        node.table()
    }

    fn wrong(&mut self, node: &Node, shape: Shape) {
        let problem = shape::wrong_kind(node, shape);
        let diagnostic = problem.diagnostic(&self.path.join("."));
        self.problems
            .push(diagnostic.at(&self.layer.place(&node.span), problem.label));
    }

    fn unknown<'k>(
        &mut self,
        key: &str,
        span: &Range<usize>,
        node: &Node,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let table = match self.path.join(".") {
            path if path.is_empty() => "a configuration".to_owned(),
            path => format!("`{path}`"),
        };
        // What was meant is not known, so it may be a secret.
        self.hide(node);
        self.problems.push(
            Diagnostic::error("config::unknown-key", format!("unknown key `{key}`"))
                .at(&self.layer.place(span), format!("{table} has no such key"))
                .maybe_help(suggestion(key, known)),
        );
    }

    /// Keeps every text inside a value out of all snippets.
    fn hide(&self, node: &Node) {
        let Some(file) = self.layer.file() else {
            return;
        };
        match &node.value {
            Value::Table(table) => table.values().for_each(|entry| self.hide(&entry.node)),
            Value::List(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Bool(_) => {}
            _ => file.mask(node.span.clone()),
        }
    }

    fn hide_besides(&self, table: &Table, key: &str) {
        let others = table.iter().filter(|(name, _)| *name != key);
        others.for_each(|(_, entry)| self.hide(&entry.node));
    }
}
