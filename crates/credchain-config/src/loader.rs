//! From files to a checked project.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use credchain_core::{Error, Registry};

use crate::assemble::{self, Frame, is_segment};
use crate::check;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::discovery::{Discovery, Found, elsewhere};
use crate::environment;
use crate::layers::{Layer, LayerSource, Merged};
use crate::loaded::{ConfigFile, Loaded, Parts, Role};
use crate::model::{DEFAULT_PROFILE, Project};
use crate::source::{Place, SourceFile};
use crate::suggest::suggestion;
use crate::tree::{self, Table, Value};

/// Finds, reads, merges and checks the configuration.
///
/// Without any file the result is the project of the working directory: the default chain and no
/// declared credentials; see [`Loaded::configured`].
///
/// # Errors
/// All mistakes at once.
///
/// ```
/// use credchain_config::{Discovery, load};
/// use credchain_core::{Environment, Registry};
///
/// let directory = tempfile::tempdir()?;
/// std::fs::write(
///     directory.path().join("credchain.toml"),
///     "[project]\nname = 'pipeline'\n\n[credentials.api_key]\nchain = ['env']\n",
/// )?;
/// let discovery = Discovery::new(directory.path(), Environment::fixed::<&str, &str>([]));
/// let loaded = load(&discovery, &Registry::collect(&[])?)?;
/// assert_eq!(loaded.project.name, "pipeline");
/// assert_eq!(loaded.project.declared().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load(discovery: &Discovery, registry: &Registry) -> Result<Loaded, Diagnostics> {
    let mut problems = Vec::new();
    let found = match discovery.files() {
        Ok(found) => found,
        Err(found) => {
            return Err(Diagnostics::from_list(found)
                .err()
                .unwrap_or_else(unexplained));
        }
    };
    let mut parsed = Parsed::new(&found, &mut problems);
    let profile = discovery
        .profile
        .clone()
        .unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
    let profiles = parsed.profiles();
    let readable = problems.is_empty();
    if !profiles.contains(&profile) && readable {
        problems.push(unknown_profile(&profile, &profiles));
    }
    let (mut active, idle): (Vec<Layer>, Vec<Layer>) = parsed
        .layers
        .drain(..)
        .partition(|layer| layer.profile.as_ref().is_none_or(|name| *name == profile));
    // Stable: roots of all files first, then the profile's tables in the same order.
    active.sort_by_key(|layer| layer.profile.is_some());
    let variables = environment::variables(discovery, &active, registry, &mut problems);
    active.extend(variables);
    let arguments = environment::arguments(discovery, &active, registry, &mut problems);
    active.extend(arguments);
    let mut found_wrong = Vec::new();
    check::check(&active, &idle, registry, &mut found_wrong);
    // What was understood of a broken file is sound up to the break and guesswork after it.
    found_wrong.retain(|problem| !problem.is_after(&parsed.broken));
    problems.append(&mut found_wrong);

    let merged = Merged::new(active);
    let project = frame(discovery, &found, &profile, profiles);
    let mut later = Vec::new();
    let frame = Frame {
        project,
        shapes_fit: problems.iter().all(|one| one.severity == Severity::Warning),
    };
    let project = assemble::assemble(frame, &merged, registry, &mut later);
    // A file that could not be read in full lacks names that are not missing.
    if readable {
        problems.append(&mut later);
    }
    let warnings = Diagnostics::from_list(problems).map_err(|problems| match &found.elsewhere {
        Some(shown) => Diagnostics::single(elsewhere(shown)),
        None => problems,
    })?;
    let parts = Parts {
        project,
        warnings,
        files: files(&found, discovery),
        merged,
        idle,
    };
    Ok(Loaded::new(parts, discovery, registry))
}

/// Loads the configuration in every profile it has, for a check of the whole file: a mistake in a
/// profile's chain is otherwise seen only where that profile is in use.
///
/// # Errors
/// All mistakes of all profiles, each once.
pub fn check_profiles(
    discovery: &Discovery,
    registry: &Registry,
) -> Result<Vec<Diagnostic>, Diagnostics> {
    let profiles = {
        let found = discovery.files().map_err(|problems| {
            Diagnostics::from_list(problems)
                .err()
                .unwrap_or_else(unexplained)
        })?;
        Parsed::new(&found, &mut Vec::new()).profiles()
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut problems = Vec::new();
    for profile in profiles {
        let said = match load(&discovery.clone().with_profile(profile), registry) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems.iter().cloned().collect(),
        };
        problems.extend(
            said.into_iter()
                .filter(|one| seen.insert(one.to_json().to_string())),
        );
    }
    Diagnostics::from_list(problems)
}

/// The same bytes in another profile: what was parsed is not read again.
///
/// # Errors
/// The mistakes that are mistakes in that profile alone.
pub(crate) fn in_profile(
    loaded: &Loaded,
    profile: &str,
    registry: &Registry,
) -> Result<Loaded, Diagnostics> {
    let all = loaded.merged.layers().iter().chain(&loaded.idle).cloned();
    let (mut active, idle): (Vec<Layer>, Vec<Layer>) =
        all.partition(|layer| layer.profile.as_deref().is_none_or(|name| name == profile));
    // As when it was loaded: roots of files, tables of the profile, then what the user set.
    active.sort_by_key(|layer| (layer.file().is_none(), layer.profile.is_some()));
    let merged = Merged::new(active);
    let known = &loaded.project;
    let name = sanitised(directory_name(known.base()));
    let project = Project {
        profile: profile.to_owned(),
        profiles: known.profiles.clone(),
        root: known.root.clone(),
        working_directory: known.working_directory.clone(),
        config_home: known.config_home.clone(),
        state_home: known.state_home.clone(),
        ..Project::named(name)
    };
    let frame = Frame {
        project,
        shapes_fit: true,
    };
    let mut problems = Vec::new();
    let project = assemble::assemble(frame, &merged, registry, &mut problems);
    let warnings = Diagnostics::from_list(problems)?;
    Ok(Loaded {
        project,
        warnings,
        files: loaded.files.clone(),
        merged,
        idle,
        gentle_types: loaded.gentle_types.clone(),
        ..*loaded
    })
}

fn unexplained() -> Diagnostics {
    Diagnostics::single(Diagnostic::error(
        "config::unreadable",
        "the configuration cannot be read",
    ))
}

impl From<&Diagnostics> for Error {
    fn from(diagnostics: &Diagnostics) -> Self {
        diagnostics.clone().into()
    }
}

/// The layers of all files, profiles taken apart.
struct Parsed {
    layers: Vec<Layer>,
    /// Files that cannot be read in full, and where that begins.
    broken: Vec<(Arc<SourceFile>, usize)>,
}

impl Parsed {
    fn new(found: &Found, problems: &mut Vec<Diagnostic>) -> Self {
        let mut layers = Vec::new();
        let mut broken = Vec::new();
        for (file, project) in [
            (&found.user, false),
            (&found.main, true),
            (&found.local, true),
        ] {
            let Some(file) = file else { continue };
            let (mut table, errors) = tree::parse(file.text());
            problems.extend(
                errors
                    .iter()
                    .filter(|one| one.is_duplicate())
                    .map(|one| twice(file, one)),
            );
            if let Some(first) = errors.iter().find(|one| !one.is_duplicate()) {
                problems.push(syntax(file, first));
                broken.push((file.clone(), first.span.start));
            }
            let profiles = table.remove("profiles");
            let layer = |profile: Option<String>, table: Table| Layer {
                source: LayerSource::File {
                    file: file.clone(),
                    project,
                },
                profile,
                table,
            };
            layers.push(layer(None, table));
            let Some(profiles) = profiles else { continue };
            let Value::Table(profiles) = profiles.node.value else {
                problems.push(no_table(file, "profiles", profiles.node.span));
                continue;
            };
            for (name, entry) in profiles {
                if !is_segment(&name) {
                    let place = Place::File(file.clone(), entry.key);
                    problems.push(
                        Diagnostic::error("config::bad-profile-name", "this cannot be a profile's name")
                            .at(&place, "not a profile's name")
                            .help("up to 63 letters, digits, `_`, `-` and `.`, beginning with a letter or digit"),
                    );
                    continue;
                }
                match entry.node.value {
                    Value::Table(table) => layers.push(layer(Some(name), table)),
                    _ => {
                        problems.push(no_table(file, &format!("profiles.{name}"), entry.node.span));
                    }
                }
            }
        }
        Self { layers, broken }
    }

    fn profiles(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .layers
            .iter()
            .filter_map(|layer| layer.profile.clone())
            .collect();
        names.push(DEFAULT_PROFILE.to_owned());
        names.sort();
        names.dedup();
        names
    }
}

fn syntax(file: &Arc<SourceFile>, error: &tree::SyntaxError) -> Diagnostic {
    hide_unknown_lines(file, error);
    // A mistake at the end of a line is shown there and not on the next one.
    let text = file.text();
    let start = text.floor_char_boundary(error.span.start.min(text.len()));
    let line_end = text[start..]
        .find('\n')
        .map_or(text.len(), |newline| start + newline);
    let end = error.span.end.clamp(start, line_end);
    Diagnostic::error("config::syntax", "this is not TOML")
        .at(&Place::File(file.clone(), start..end), &error.message)
}

fn twice(file: &Arc<SourceFile>, error: &tree::SyntaxError) -> Diagnostic {
    hide_unknown_lines(file, error);
    Diagnostic::error("config::same-key", "a key or table is written twice")
        .at(&Place::File(file.clone(), error.span.clone()), "again here")
        .help("merge the two, or remove one")
}

/// A line that cannot be parsed may hold a secret at a key that nobody can tell: everything
/// after its `=` is kept out of the snippet, apart from the few bytes that are at fault.
fn hide_unknown_lines(file: &Arc<SourceFile>, error: &tree::SyntaxError) {
    let text = file.text();
    let at = text.floor_char_boundary(error.span.start.min(text.len()));
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline);
    let line = &text[start..end];
    let mut quoted = None;
    for (offset, c) in line.char_indices() {
        match quoted {
            None if matches!(c, '"' | '\'') => quoted = Some((offset, c)),
            Some((open, quote)) if c == quote => {
                if offset > open + 1 {
                    file.mask(start + open + 1..start + offset);
                }
                quoted = None;
            }
            _ => {}
        }
    }
    if let Some((open, _)) = quoted {
        if open + 1 < line.len() {
            file.mask(start + open + 1..end);
        }
    } else if let Some((_, value)) = line.split_once('=') {
        // `key = value` without quotes: the value itself is the mistake.
        let value_start = end - value.trim_start().len();
        let bare = !value.contains(['"', '\'']);
        if bare && value_start < end && !value.trim_start().starts_with(['[', '{']) {
            file.mask(value_start..end);
        }
    }
}

fn no_table(file: &Arc<SourceFile>, path: &str, span: std::ops::Range<usize>) -> Diagnostic {
    file.mask(span.clone());
    Diagnostic::error("config::wrong-type", format!("`{path}` must be a table"))
        .at(&Place::File(file.clone(), span), "this is none")
}

fn unknown_profile(profile: &str, profiles: &[String]) -> Diagnostic {
    Diagnostic::error(
        "config::unknown-profile",
        format!("there is no profile `{profile}`"),
    )
    .maybe_help(suggestion(profile, profiles.iter().map(String::as_str)))
    .help(format!(
        "`[profiles.{profile}]` in the configuration makes one"
    ))
}

fn frame(discovery: &Discovery, found: &Found, profile: &str, profiles: Vec<String>) -> Project {
    let main = found.main.as_ref();
    let root = main
        .and_then(|file| file.path().parent())
        .map(PathBuf::from);
    let directory = root.as_ref().unwrap_or(&discovery.working_directory);
    let name = sanitised(directory_name(directory));
    Project {
        profile: profile.to_owned(),
        profiles,
        root,
        working_directory: discovery.working_directory.clone(),
        config_home: discovery.config_home.clone(),
        state_home: discovery.state_home.clone(),
        ..Project::named(name)
    }
}

fn directory_name(directory: &Path) -> Option<&str> {
    directory.file_name()?.to_str()
}

/// A directory's name as a project's name: what could not be part of a path becomes `-`.
fn sanitised(name: Option<&str>) -> String {
    let name: String = name
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') {
                c
            } else {
                '-'
            }
        })
        .take(63)
        .collect();
    let name = name.trim_start_matches(['-', '.', '_']).replace("..", "-");
    if is_segment(&name) {
        name
    } else {
        "project".to_owned()
    }
}

fn files(found: &Found, discovery: &Discovery) -> Vec<ConfigFile> {
    let main = if discovery.explicit.is_some() {
        Role::Explicit
    } else {
        Role::Project
    };
    [
        (&found.user, Role::User),
        (&found.main, main),
        (&found.local, Role::Local),
    ]
    .into_iter()
    .filter_map(|(file, role)| Some(ConfigFile::new(file.clone()?, role)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_a_name_that_backends_take() {
        assert_eq!(sanitised(Some("My Pipeline")), "My-Pipeline");
        assert_eq!(sanitised(Some("..")), "project");
        assert_eq!(sanitised(Some(".hidden")), "hidden");
        assert_eq!(sanitised(None), "project");
        assert_eq!(sanitised(Some(&"x".repeat(200))).len(), 63);
    }
}
