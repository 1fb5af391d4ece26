//! The layers of a configuration, and what they come to together.

use std::sync::Arc;

use figment::value::{Dict, Map, Value as Merging};
use figment::{Figment, Metadata, Profile};

use crate::source::{Place, SourceFile};
use crate::tree::{self, Node, Table, Value};

/// One source of settings. Later layers win; tables merge, everything else replaces.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) source: LayerSource,
    /// The profile whose table this is; nothing for the root of a file.
    pub(crate) profile: Option<String>,
    pub(crate) table: Table,
}

#[derive(Clone, Debug)]
pub(crate) enum LayerSource {
    File {
        file: Arc<SourceFile>,
        /// Whether it belongs to the project and not to the user.
        project: bool,
    },
    /// The variables, by the number that spans hold.
    Environment(Vec<String>),
    /// The keys given on the command line, by the number that spans hold.
    Arguments(Vec<String>),
}

impl Layer {
    pub(crate) fn place(&self, span: &std::ops::Range<usize>) -> Place {
        match &self.source {
            LayerSource::File { file, .. } => Place::File(file.clone(), span.clone()),
            LayerSource::Environment(names) => names
                .get(span.start)
                .cloned()
                .map_or(Place::Default, Place::Variable),
            LayerSource::Arguments(keys) => keys
                .get(span.start)
                .cloned()
                .map_or(Place::Default, Place::Argument),
        }
    }

    pub(crate) fn file(&self) -> Option<&Arc<SourceFile>> {
        match &self.source {
            LayerSource::File { file, .. } => Some(file),
            _ => None,
        }
    }

    /// Whether a cloned repository could have written it.
    pub(crate) fn of_project(&self) -> bool {
        matches!(self.source, LayerSource::File { project: true, .. })
    }
}

/// A layer as figment takes it; its number is the name of its metadata.
struct Numbered<'a>(usize, &'a Layer);

impl figment::Provider for Numbered<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.to_string())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(
            Profile::Default,
            tree::merging(&self.1.table),
        )]))
    }
}

/// All layers and the values that won.
#[derive(Debug)]
pub(crate) struct Merged {
    layers: Vec<Layer>,
    figment: Figment,
    root: Merging,
}

impl Merged {
    pub(crate) fn new(layers: Vec<Layer>) -> Self {
        let figment = merge(layers.iter().enumerate());
        let root = figment
            .find_value("")
            .unwrap_or_else(|_| Merging::Dict(figment::value::Tag::Default, Dict::new()));
        Self {
            layers,
            figment,
            root,
        }
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    pub(crate) fn root(&self) -> &Merging {
        &self.root
    }

    /// The value at a path of keys; list items by their number.
    pub(crate) fn find(&self, path: &[&str]) -> Option<&Merging> {
        path.iter().try_fold(&self.root, |value, key| match value {
            Merging::Dict(_, dict) => dict.get(*key),
            Merging::Array(_, items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Where the value at a path was written.
    pub(crate) fn value_place(&self, path: &[&str]) -> Place {
        self.locate(path)
            .map_or(Place::Default, |(layer, _, node)| layer.place(&node.span))
    }

    /// Where the last key of a path was written.
    pub(crate) fn key_place(&self, path: &[&str]) -> Place {
        self.locate(path)
            .map_or(Place::Default, |(layer, key, node)| {
                layer.place(key.unwrap_or(&node.span))
            })
    }

    fn locate<'a>(
        &'a self,
        path: &[&str],
    ) -> Option<(&'a Layer, Option<&'a std::ops::Range<usize>>, &'a Node)> {
        let number = self
            .find(path)
            .and_then(|value| self.figment.get_metadata(value.tag()))
            .and_then(|metadata| metadata.name.parse::<usize>().ok());
        // A merged table bears the tag of one of its layers, which may lack a key on the way.
        let winner = number.and_then(|number| self.layers.get(number));
        winner
            .into_iter()
            .chain(self.layers.iter().rev())
            .find_map(|layer| {
                let (key, node) = descend(&layer.table, path)?;
                Some((layer, key, node))
            })
    }
}

/// Only the layers that a cloned repository could have written, for one profile.
pub(crate) fn merge<'a>(layers: impl Iterator<Item = (usize, &'a Layer)>) -> Figment {
    layers.fold(Figment::new(), |figment, (number, layer)| {
        figment.merge(Numbered(number, layer))
    })
}

fn descend<'a>(
    table: &'a Table,
    path: &[&str],
) -> Option<(Option<&'a std::ops::Range<usize>>, &'a Node)> {
    let (first, rest) = path.split_first()?;
    let entry = table.get(*first)?;
    rest.iter().try_fold(
        (Some(&entry.key), &entry.node),
        |(_, node), key| match &node.value {
            Value::Table(table) => table.get(*key).map(|entry| (Some(&entry.key), &entry.node)),
            Value::List(items) => items
                .get(key.parse::<usize>().ok()?)
                .map(|item| (None, item)),
            _ => None,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, text: &str) -> Layer {
        let file = SourceFile::new(name.into(), name.into(), text.into());
        Layer {
            source: LayerSource::File {
                file,
                project: true,
            },
            profile: None,
            table: tree::parse(text).0,
        }
    }

    #[test]
    fn tables_merge_lists_replace_and_each_value_knows_its_file() {
        let merged = Merged::new(vec![
            layer(
                "a.toml",
                "[chain]\ndefault = ['env', 'vault']\n[providers.vault]\nmount = 'a'\n",
            ),
            layer(
                "b.toml",
                "[chain]\ndefault = ['env']\n[providers.vault]\npath = 'p'\n",
            ),
        ]);
        let Some(Merging::Array(_, chain)) = merged.find(&["chain", "default"]) else {
            panic!("no chain")
        };
        assert_eq!(chain.len(), 1);
        let at = |path: &[&str]| merged.value_place(path).origin().to_string();
        assert_eq!(at(&["providers", "vault", "mount"]), "a.toml:4:9");
        assert_eq!(at(&["providers", "vault", "path"]), "b.toml:4:8");
        assert_eq!(at(&["chain", "default", "0"]), "b.toml:2:12");
        assert_eq!(at(&["nowhere"]), "default");
    }
}
