//! What a configuration that came with a project would use, and may not without trust.

use std::path::{Component, Path, PathBuf};

use credchain_core::{At, Name, TrustNeed, printable};

use super::variables::is_loader_variable;
use super::{Untrusted, What};
use crate::loaded::Loaded;
use crate::model::{CredentialSpec, ProviderSpec};
use crate::tree::Table;

/// How many entries of a directory of secrets are looked at before it counts as unsafe.
const MAX_ENTRIES: usize = 10_000;

/// Everything that needs trust, in the order of links, credentials and tables.
pub(super) fn all(loaded: &Loaded) -> Vec<Untrusted> {
    let project = &loaded.project;
    let root = Root::new(project.base());
    let mut found = Vec::new();
    for provider in project.providers.values() {
        if let Some(why) = link(provider, &root, &|text| {
            project.for_providers().expand(text)
        }) {
            found.push(Untrusted {
                what: What::Link(provider.name.clone()),
                origin: provider.origin(),
                why,
                since: None,
            });
        }
    }
    for spec in project.credentials.values() {
        reads(loaded, spec, &mut found);
        if spec.inject
            && is_loader_variable(&spec.variable())
            && ours(loaded, "credentials", &spec.name)
        {
            found.push(injected(loaded, "credentials", &spec.name, spec.variable()));
        }
    }
    for spec in project
        .oauth2
        .values()
        .filter(|spec| ours(loaded, "oauth2", &spec.name))
    {
        found.push(Untrusted {
            what: What::OAuth2(spec.name.clone()),
            origin: spec.origin(),
            why: "it sends a client's secret to a server".into(),
            since: None,
        });
        if spec.inject && is_loader_variable(&spec.variable()) {
            found.push(injected(loaded, "oauth2", &spec.name, spec.variable()));
        }
    }
    // SECURITY: a log in its usual place, which this user's state directory is, harms nobody.
    let tables: [(&[&str], _, _); 4] = [
        (
            &["audit", "path"],
            What::Audit,
            "it says where the access log is written",
        ),
        (
            &["audit", "anchor"],
            What::Audit,
            "it says where the access log is anchored",
        ),
        (&["redaction"], What::Redaction, "it decides what is masked"),
        (
            &["rotation", "targets"],
            What::Rotation,
            "it says where new values are sent, and which programs make them",
        ),
    ];
    for (path, what, why) in tables {
        let mut layers = loaded
            .merged
            .layers()
            .iter()
            .filter(|layer| layer.of_project());
        if layers.any(|layer| contains(&layer.table, path)) {
            let origin = loaded.merged.key_place(path).origin();
            found.push(Untrusted {
                what,
                origin,
                why: why.into(),
                since: None,
            });
        }
    }
    found
}

fn contains(table: &Table, path: &[&str]) -> bool {
    let Some((key, rest)) = path.split_first() else {
        return true;
    };
    let entry = table.get(*key);
    entry.is_some_and(|entry| {
        rest.is_empty()
            || entry
                .node
                .table()
                .is_some_and(|inner| contains(inner, rest))
    })
}

/// Whether the project's own files say anything about an entry; what only the user's files say
/// is the user's word.
fn ours(loaded: &Loaded, table: &str, name: &Name) -> bool {
    loaded
        .merged
        .layers()
        .iter()
        .filter(|layer| layer.of_project())
        .any(|layer| {
            let entries = layer.table.get(table).and_then(|entry| entry.node.table());
            entries.is_some_and(|entries| entries.contains_key(name.as_str()))
        })
}

fn injected(loaded: &Loaded, table: &str, name: &Name, variable: String) -> Untrusted {
    let env = [table, name.as_str(), "env"];
    let place = match loaded.merged.find(&env) {
        Some(_) => loaded.merged.value_place(&env),
        None => loaded.merged.key_place(&env[..2]),
    };
    Untrusted {
        why: format!("`{variable}` makes programs load or run something"),
        what: What::Injected {
            credential: name.clone(),
            variable,
        },
        origin: place.origin(),
        since: None,
    }
}

/// Why a whole link needs trust.
fn link(provider: &ProviderSpec, root: &Root, expand: &dyn Fn(&str) -> String) -> Option<String> {
    match provider.trust {
        TrustNeed::Never if provider.settings.keys().next().is_some() => {
            Some("its settings make it read other names than the conventional ones".into())
        }
        TrustNeed::Never => None,
        TrustNeed::OutsideProject => provider
            .paths
            .iter()
            .find(|path| !root.holds(&expand(path)))
            .map(|_| "it reads outside the project".into()),
        _ => Some(always(provider)),
    }
}

/// Names what matters for the decision: which program, which server.
fn always(provider: &ProviderSpec) -> String {
    let named = |key: &str| provider.settings.text(key).ok().flatten().map(printable);
    match provider.type_name.as_str() {
        "command" => match (named("program"), named("preset")) {
            (Some(program), _) => format!("it runs `{program}`"),
            (None, Some(preset)) => format!("it runs the program of the preset `{preset}`"),
            (None, None) => "it runs a program".into(),
        },
        "keyring" => "it can read what belongs to other projects".into(),
        // An address with an `@` may have a password before it.
        "vault" | "aws" | "gcp" | "azure" => match named("address") {
            Some(address) if !address.contains('@') => format!("it logs in to `{address}`"),
            _ => "it logs in to a server".into(),
        },
        other => format!("`{other}` may run programs or use the network"),
    }
}

/// Single reads that need trust although their link does not.
fn reads(loaded: &Loaded, spec: &CredentialSpec, found: &mut Vec<Untrusted>) {
    let conventional = spec
        .env
        .as_ref()
        .is_none_or(|variable| *variable == spec.name.to_env());
    if conventional && spec.at.is_empty() {
        return;
    }
    for name in spec.links.iter() {
        let Some(provider) = loaded.project.providers.get(name) else {
            continue;
        };
        let at = match spec.at.get(name) {
            Some(At::Here(reference)) => Some(reference),
            Some(At::Skip) => continue,
            _ => None,
        };
        let why = match (provider.trust, at) {
            (TrustNeed::Never, Some(_)) => "it reads another variable than the conventional one",
            (TrustNeed::Never, None) if !conventional => {
                "it reads another variable than the conventional one"
            }
            (TrustNeed::OutsideProject, Some(at)) if at.path().starts_with('/') => {
                "it reads at an absolute path"
            }
            _ => continue,
        };
        let place = if at.is_some() {
            loaded.origin(&["credentials", spec.name.as_str(), "at", name.as_str()])
        } else {
            loaded.origin(&["credentials", spec.name.as_str(), "env"])
        };
        found.push(Untrusted {
            what: What::Read {
                link: name.clone(),
                credential: spec.name.clone(),
            },
            origin: place,
            why: why.into(),
            since: None,
        });
    }
}

/// The project's directory, and what lies in it.
pub(super) struct Root {
    given: PathBuf,
    canonical: Option<PathBuf>,
}

impl Root {
    pub(super) fn new(base: &Path) -> Self {
        Self {
            given: base.to_owned(),
            canonical: base.canonicalize().ok(),
        }
    }

    /// The path as the system has it, if it lies in the project, links followed.
    pub(super) fn inside(&self, path: &Path) -> Option<PathBuf> {
        let canonical = canonical(&self.given.join(path))?;
        canonical
            .starts_with(self.canonical.as_ref()?)
            .then_some(canonical)
    }

    pub(super) fn join(&self, path: &Path) -> PathBuf {
        self.given.join(path)
    }

    pub(super) fn relative<'p>(&self, path: &'p Path) -> &'p Path {
        self.canonical
            .as_ref()
            .and_then(|root| path.strip_prefix(root).ok())
            .unwrap_or(path)
    }

    /// Whether a path of the configuration, and everything below it, lies in the project.
    fn holds(&self, path: &str) -> bool {
        let path = Path::new(path);
        let plain = !path.starts_with("~")
            && path.is_relative()
            && path
                .components()
                .all(|part| !matches!(part, Component::ParentDir));
        let Some(canonical) = plain.then(|| self.inside(path)).flatten() else {
            return false;
        };
        !canonical.is_dir() || self.holds_all_of(&canonical)
    }

    /// A directory of secrets may hold links that lead out of it, put there by whoever wrote the
    /// repository.
    fn holds_all_of(&self, directory: &Path) -> bool {
        let mut open = vec![directory.to_owned()];
        let mut seen = 0;
        while let Some(directory) = open.pop() {
            let Ok(entries) = std::fs::read_dir(&directory) else {
                return false;
            };
            for entry in entries {
                seen += 1;
                let Ok(entry) = entry else { return false };
                let Ok(kind) = entry.file_type() else {
                    return false;
                };
                let leaves = kind.is_symlink() && self.inside(&entry.path()).is_none();
                if leaves || seen > MAX_ENTRIES {
                    return false;
                }
                if kind.is_dir() {
                    open.push(entry.path());
                }
            }
        }
        true
    }
}

/// The canonical form of a path whose last parts may not exist yet.
fn canonical(path: &Path) -> Option<PathBuf> {
    // A link to something that does not exist could be completed later, so it is followed here.
    let mut path = path.to_owned();
    for _ in 0..40 {
        if let Ok(found) = path.canonicalize() {
            return Some(found);
        }
        if let Ok(target) = std::fs::read_link(&path) {
            path = path.parent()?.join(target);
            continue;
        }
        let name = path.file_name()?.to_owned();
        return Some(canonical(path.parent()?)?.join(name));
    }
    None
}
