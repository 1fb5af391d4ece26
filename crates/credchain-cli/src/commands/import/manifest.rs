//! Another tool's declarations, as ours.

use std::path::Path;

use credchain::{Credchain, Name};
use serde::Serialize;
use toml::{Table, Value};

use super::{config_file, keep_trust};
use crate::app::App;
use crate::declare::{self, Declaration};
use crate::failure::Failure;
use crate::files;
use crate::output::printable;

/// The longest manifest that is read.
const MAX_FILE: u64 = 16 << 20;

/// What a manifest declares.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) declarations: Vec<Declaration>,
    /// What has no equivalent here, in words.
    pub(super) notes: Vec<String>,
    /// How to move one value, with `NAME` and `VARIABLE` to be filled in.
    pub(super) move_value: &'static str,
}

/// `import --from … --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    file: String,
    declared: Vec<String>,
    profiles: Vec<String>,
    kept: Vec<String>,
    notes: Vec<String>,
}

/// Reads a manifest and adds what it declares to the configuration.
pub(super) fn import(
    credchain: &Credchain,
    file: &Path,
    read: fn(&Table) -> Manifest,
    app: &App,
) -> Result<(), Failure> {
    let config = config_file(credchain.loaded())?;
    let bytes = files::read(file, MAX_FILE)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("`{}` is not UTF-8", file.display())))?;
    let table: Table = toml::from_str(text).map_err(|error| malformed(file, text, &error))?;
    let mut manifest = read(&table);
    manifest.leave_out_loader_variables();
    if manifest.declarations.is_empty() {
        return Err(Failure::usage(format!(
            "`{}` declares nothing",
            file.display()
        )));
    }
    let current = String::from_utf8_lossy(&files::read(&config, MAX_FILE)?).into_owned();
    let current: Table = toml::from_str(&current).unwrap_or_default();
    let (new, kept) = manifest.split(credchain, &current);
    declare::append(&config, &new)?;
    let after = app.open()?;
    keep_trust(credchain, &after)?;
    manifest.tell(&new, &kept, file, app)
}

/// Where a manifest is wrong; not what it says there, which may be a secret.
fn malformed(file: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let offset = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    Failure::usage(format!(
        "`{}` is no TOML: look at line {line}",
        file.display()
    ))
}

impl Manifest {
    /// SECURITY: the manifest may have come with the project, and what is declared is handed to
    /// programs.
    fn leave_out_loader_variables(&mut self) {
        let variable = |one: &Declaration| {
            one.env
                .clone()
                .unwrap_or_else(|| one.name.to_ascii_uppercase())
        };
        let obeyed = |one: &Declaration| credchain::config::is_loader_variable(&variable(one));
        for one in self.declarations.iter().filter(|one| obeyed(one)) {
            self.notes.push(format!(
                "`{}`: programs obey this variable, so it is no credential",
                variable(one)
            ));
        }
        self.declarations.retain(|one| !obeyed(one));
    }

    /// What is new here, and the names of what is declared already.
    fn split(&self, credchain: &Credchain, config: &Table) -> (Vec<Declaration>, Vec<String>) {
        let project = credchain.project();
        let in_file = |one: &Declaration| {
            let root = match &one.profile {
                Some(profile) => config.get("profiles").and_then(|all| all.get(profile)),
                None => return config.get("credentials").and_then(|all| all.get(&one.name)),
            };
            root.and_then(|root| root.get("credentials"))
                .and_then(|all| all.get(&one.name))
        };
        let declared = |one: &Declaration| {
            let elsewhere = one.profile.is_none()
                && one
                    .name
                    .parse::<Name>()
                    .is_ok_and(|name| project.declares(&name));
            elsewhere || in_file(one).is_some()
        };
        let (kept, new): (Vec<_>, Vec<_>) = self.declarations.iter().cloned().partition(declared);
        let kept = kept.into_iter().filter(|one| one.profile.is_none());
        (new, kept.map(|one| one.name).collect())
    }

    fn tell(
        &self,
        new: &[Declaration],
        kept: &[String],
        file: &Path,
        app: &App,
    ) -> Result<(), Failure> {
        let names: Vec<String> = new
            .iter()
            .filter(|one| one.profile.is_none())
            .map(|one| one.name.clone())
            .collect();
        let output = app.output();
        if output.is_json() {
            return output.json(&Document {
                version: 1,
                file: file.display().to_string(),
                declared: names,
                profiles: profiles(new),
                kept: kept.to_vec(),
                notes: self.notes.clone(),
            });
        }
        for one in new {
            let place = one
                .profile
                .as_ref()
                .map(|profile| format!(" for the profile `{profile}`"));
            output.note(&format!(
                "declared `{}`{}",
                one.name,
                place.unwrap_or_default()
            ));
        }
        for name in kept {
            output.note(&format!("`{name}` was declared already and stays as it is"));
        }
        if !self.notes.is_empty() {
            output.note("\nNot taken over:");
            for note in &self.notes {
                output.note(&format!("  {}", printable(note)));
            }
        }
        let stored = new
            .iter()
            .find(|one| one.template.is_none() && one.default.is_none());
        if let Some(one) = stored {
            let variable = one
                .env
                .clone()
                .unwrap_or_else(|| one.name.to_ascii_uppercase());
            let command = self
                .move_value
                .replace("VARIABLE", &variable)
                .replace("NAME", &one.name);
            output.note(&format!(
                "\nThe values are still where they were. To move one:\n  {command}"
            ));
        }
        Ok(())
    }
}

/// The profiles that got declarations of their own.
fn profiles(new: &[Declaration]) -> Vec<String> {
    let mut profiles: Vec<String> = new.iter().filter_map(|one| one.profile.clone()).collect();
    profiles.sort_unstable();
    profiles.dedup();
    profiles
}

/// The text at a key.
pub(super) fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// A default as text, however it was written.
pub(super) fn scalar(table: &Table, key: &str) -> Option<String> {
    match table.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}
