//! From merged values to the [`Project`], with the mistakes that a shape cannot show: names that
//! lead nowhere, cycles, contradictions.

mod chains;
mod credentials;
mod cycles;
mod oauth2;
mod providers;
mod rotation;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use credchain_core::{LinkName, Name, Registry};
use figment::value::{Dict, Value};

use crate::diagnostic::Diagnostic;
use crate::layers::Merged;
use crate::model::{ChainChoice, DEFAULT_CHAIN, Project};
use crate::source::Place;

pub(crate) use self::providers::paths;
pub(crate) use self::tables::is_segment;

/// What is known before the tables are read.
pub(crate) struct Frame {
    pub(crate) project: Project,
    /// Whether the checker found nothing wrong with single values.
    pub(crate) shapes_fit: bool,
}

/// Reads everything; the project is as complete as the mistakes allow.
pub(crate) fn assemble(
    frame: Frame,
    merged: &Merged,
    registry: &Registry,
    problems: &mut Vec<Diagnostic>,
) -> Project {
    let mut cx = Assembly {
        project: frame.project,
        merged,
        registry,
        shapes_fit: frame.shapes_fit,
        problems,
    };
    tables::read(&mut cx);
    providers::read(&mut cx);
    chains::read(&mut cx);
    credentials::read(&mut cx);
    oauth2::read(&mut cx);
    credentials::check_names(&mut cx);
    rotation::read(&mut cx);
    cycles::check(&mut cx);
    providers::check_built(&mut cx);
    cx.project
}

/// The work under way.
struct Assembly<'a> {
    project: Project,
    merged: &'a Merged,
    registry: &'a Registry,
    /// Whether the checker found nothing wrong with single values.
    shapes_fit: bool,
    problems: &'a mut Vec<Diagnostic>,
}

impl<'a> Assembly<'a> {
    /// A table of the merged configuration; nothing if it is not there or no table.
    fn table(&self, path: &[&str]) -> Option<&'a Dict> {
        match self.merged.find(path) {
            Some(Value::Dict(_, dict)) => Some(dict),
            _ => None,
        }
    }

    fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// Makes sure that the model has the link that a chain names, or says that it leads nowhere.
    fn link(&mut self, text: &str, place: impl Fn(&Merged) -> Place) -> Option<LinkName> {
        if let Ok(name) = text.parse::<LinkName>() {
            if self.project.providers.contains_key(&name) {
                return Some(name);
            }
            if let Some(mut spec) = crate::ProviderSpec::implicit(&name, self.registry) {
                spec.place = place(self.merged);
                self.project.providers.insert(name.clone(), spec);
                return Some(name);
            }
        }
        // Its table has a mistake of its own, which is reported there.
        if self.table(&["providers", text]).is_some() {
            return None;
        }
        let problem = chains::unknown_link(self, text, &place(self.merged));
        self.report(problem);
        None
    }

    fn links_of(&self, chain: &ChainChoice) -> Arc<[LinkName]> {
        let name = match chain {
            ChainChoice::Named(name) => name,
            _ => DEFAULT_CHAIN,
        };
        self.project
            .chains
            .get(name)
            .cloned()
            .unwrap_or_else(|| Arc::from([]))
    }
}

/// Typed reading of a merged table. A value of another kind was reported by the checker and reads
/// as absent.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Dict);

impl<'a> Fields<'a> {
    fn text(self, key: &str) -> Option<&'a str> {
        match self.0.get(key)? {
            Value::String(_, text) => Some(text),
            _ => None,
        }
    }

    fn bool(self, key: &str) -> Option<bool> {
        match self.0.get(key)? {
            Value::Bool(_, truth) => Some(*truth),
            _ => None,
        }
    }

    fn texts(self, key: &str) -> Option<Vec<&'a str>> {
        match self.0.get(key)? {
            Value::Array(_, items) => Some(items.iter().filter_map(Value::as_str).collect()),
            _ => None,
        }
    }

    fn integer<T: TryFrom<u128>>(self, key: &str) -> Option<T> {
        match self.0.get(key)? {
            Value::Num(_, number) => T::try_from(number.to_u128()?).ok(),
            _ => None,
        }
    }

    /// The name in `{ credential = "NAME" }`.
    fn credential(self, key: &str) -> Option<Name> {
        match self.0.get(key)? {
            Value::Dict(_, secret) => Fields(secret).text("credential")?.parse().ok(),
            _ => None,
        }
    }

    fn owned(self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }
}

/// Where several things were written, for a mistake that takes two.
type Places<K> = BTreeMap<K, (String, Place)>;
