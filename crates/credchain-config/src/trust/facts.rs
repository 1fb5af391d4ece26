//! What trust was given to: the programs, endpoints, paths and names that a configuration holds,
//! each as a digest. An edit keeps trust as long as it adds none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use figment::value::{Dict, Value};
use sha2::{Digest as _, Sha256};

use super::variables::is_loader_variable;
use crate::layers::{Layer, merge};
use crate::loaded::Loaded;
use crate::model::DEFAULT_PROFILE;
use crate::tables::{TYPE, is_common};

/// Digests, each with the words that say what it stands for.
pub(super) type Facts = BTreeMap<String, String>;

/// What the project's files hold in one profile, and in all of them. The user's own files and
/// variables are left out: nobody else writes them.
pub(super) struct Extract<'a> {
    loaded: &'a Loaded,
}

impl<'a> Extract<'a> {
    pub(super) fn new(loaded: &'a Loaded) -> Self {
        Self { loaded }
    }

    /// The facts of the profile in use.
    pub(super) fn current(&self) -> Facts {
        self.of(&self.loaded.project.profile)
    }

    /// The facts of every profile.
    pub(super) fn all(&self) -> Facts {
        self.profiles()
            .into_iter()
            .flat_map(|profile| self.of(profile))
            .collect()
    }

    /// Every text that could name a program, in the profile in use or in all.
    pub(super) fn program_words(&self, all: bool) -> BTreeSet<String> {
        let profiles = if all {
            self.profiles()
        } else {
            BTreeSet::from([self.loaded.project.profile.as_str()])
        };
        let mut words = BTreeSet::new();
        for profile in profiles {
            let table = self.table(profile);
            for (link, provider) in dicts(&table, "providers") {
                let type_name = text(provider, TYPE.key).unwrap_or(link);
                if !self.loaded.gentle_types.contains(&type_name) {
                    for value in provider.values() {
                        collect_words(value, &mut words);
                    }
                }
            }
            for (key, targets) in dicts(&table, "rotation") {
                if key == "targets" {
                    for target in targets.values() {
                        collect_words(target, &mut words);
                    }
                }
            }
        }
        words
    }

    fn layers(&self) -> impl Iterator<Item = &'a Layer> + use<'a> {
        let active = self.loaded.merged.layers().iter();
        active
            .chain(&self.loaded.idle)
            .filter(|layer| layer.of_project())
    }

    fn profiles(&self) -> BTreeSet<&'a str> {
        let named = self.layers().filter_map(|layer| layer.profile.as_deref());
        named
            .chain([DEFAULT_PROFILE, &self.loaded.project.profile])
            .collect()
    }

    fn table(&self, profile: &str) -> Dict {
        let roots = self.layers().filter(|layer| layer.profile.is_none());
        let tables = self
            .layers()
            .filter(|layer| layer.profile.as_deref() == Some(profile));
        match merge(roots.chain(tables).enumerate()).find_value("") {
            Ok(Value::Dict(_, dict)) => dict,
            _ => Dict::new(),
        }
    }

    fn of(&self, profile: &str) -> Facts {
        let mut facts = Collector {
            profile,
            facts: Facts::new(),
        };
        let table = self.table(profile);
        if let Some(Value::Dict(_, project)) = table.get("project") {
            for (key, value) in project {
                facts.add(&format!("project.{key}"), value);
            }
        }
        if let Some(Value::Dict(_, chains)) = table.get("chain") {
            for chain in chains.values() {
                facts.links(chain);
            }
        }
        for (link, provider) in dicts(&table, "providers") {
            facts.provider(link, provider);
        }
        for (name, credential) in dicts(&table, "credentials") {
            facts.credential(&table, name, credential);
        }
        for (name, token) in dicts(&table, "oauth2") {
            facts.all_of(&format!("oauth2.{name}"), token);
            if let Some(Value::Bool(_, true)) = token.get("inject") {
                facts.note(&format!("the variable {}_TOKEN", name.to_ascii_uppercase()));
            }
        }
        for key in ["audit", "redaction"] {
            if let Some(Value::Dict(_, inner)) = table.get(key) {
                facts.all_of(key, inner);
            }
        }
        for (key, targets) in dicts(&table, "rotation") {
            if key == "targets" {
                facts.all_of("rotation.targets", targets);
            }
        }
        facts.facts
    }
}

struct Collector<'a> {
    profile: &'a str,
    facts: Facts,
}

impl Collector<'_> {
    fn provider(&mut self, link: &str, table: &Dict) {
        let type_name = text(table, TYPE.key).unwrap_or(link);
        self.note(&format!("the link {link} of type {type_name}"));
        for (key, value) in table {
            if key != TYPE.key && !is_common(key) {
                self.leaves(&format!("providers.{link}.{key}"), value);
            }
        }
    }

    fn credential(&mut self, root: &Dict, name: &str, table: &Dict) {
        if let Some(chain) = table.get("chain") {
            self.links(chain);
        }
        if let Some(Value::Dict(_, at)) = table.get("at") {
            for (link, value) in at {
                self.add(&format!("credentials.{name}.at.{link}"), value);
            }
        }
        let variable = text(table, "env").map_or_else(|| name.to_ascii_uppercase(), str::to_owned);
        if !matches!(table.get("inject"), Some(Value::Bool(_, false))) {
            self.note(&format!("the variable {variable}"));
            if is_loader_variable(&variable) {
                self.whole(root, name, &mut BTreeSet::new());
            }
        }
    }

    /// The value of a variable that programs obey is as good as a program: everything that it is
    /// made from counts.
    fn whole(&mut self, root: &Dict, name: &str, seen: &mut BTreeSet<String>) {
        let Some((_, table)) = dicts(root, "credentials").find(|(key, _)| *key == name) else {
            return;
        };
        if !seen.insert(name.to_owned()) {
            return;
        }
        self.all_of(&format!("credentials.{name}"), table);
        let template = text(table, "template").and_then(|text| text.parse().ok());
        let template: Option<credchain_core::Template> = template;
        let parts: Vec<String> = template
            .iter()
            .flat_map(|one| one.names().map(ToString::to_string))
            .collect();
        for part in &parts {
            self.whole(root, part, seen);
        }
    }

    fn links(&mut self, chain: &Value) {
        match chain {
            Value::Array(_, links) => links.iter().for_each(|link| self.links(link)),
            Value::String(_, link) => self.note(&format!("the link {link}")),
            _ => {}
        }
    }

    /// Every leaf of a table, and that the table is there.
    fn all_of(&mut self, path: &str, table: &Dict) {
        self.note(&format!("the table {path}"));
        for (key, value) in table {
            self.leaves(&format!("{path}.{key}"), value);
        }
    }

    fn leaves(&mut self, path: &str, value: &Value) {
        match value {
            Value::Dict(_, dict) => {
                for (key, value) in dict {
                    self.leaves(&format!("{path}.{key}"), value);
                }
            }
            _ => self.add(path, value),
        }
    }

    fn add(&mut self, path: &str, value: &Value) {
        let mut written = String::new();
        canonical(value, &mut written);
        self.insert(path, &written, path.to_owned());
    }

    fn note(&mut self, what: &str) {
        self.insert(what, "", what.to_owned());
    }

    fn insert(&mut self, path: &str, value: &str, words: String) {
        let digest = Sha256::new()
            .chain_update(self.profile)
            .chain_update([0])
            .chain_update(path)
            .chain_update([0])
            .chain_update(value)
            .finalize();
        self.facts.insert(hex(&digest[..16]), words);
    }
}

/// A form in which equal values are equal texts and others are not.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::String(_, text) => {
            let _ = write!(out, "{text:?}");
        }
        Value::Array(_, items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Dict(_, dict) => {
            out.push('{');
            for (key, value) in dict {
                let _ = write!(out, "{key:?}:");
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Bool(_, truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Num(_, number) => {
            let _ = write!(out, "{:?}", (number.to_i128(), number.to_f64()));
        }
        Value::Char(_, one) => out.push(*one),
        Value::Empty(..) => {}
    }
}

fn collect_words(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::String(_, text) if !text.is_empty() && text.len() <= 4096 => {
            words.insert(text.clone());
        }
        Value::Array(_, items) => items.iter().for_each(|item| collect_words(item, words)),
        Value::Dict(_, dict) => dict.values().for_each(|value| collect_words(value, words)),
        _ => {}
    }
}

fn dicts<'d>(root: &'d Dict, key: &str) -> impl Iterator<Item = (&'d str, &'d Dict)> + use<'d> {
    let table = match root.get(key) {
        Some(Value::Dict(_, table)) => Some(table),
        _ => None,
    };
    table
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| match value {
            Value::Dict(_, inner) => Some((name.as_str(), inner)),
            _ => None,
        })
}

fn text<'d>(table: &'d Dict, key: &str) -> Option<&'d str> {
    match table.get(key)? {
        Value::String(_, text) => Some(text),
        _ => None,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}
