//! A `.env` file into a store.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use credchain::{Address, At, Credchain, Error, Kind, LinkName, Name, Secret, config, dotenv};
use serde::Serialize;

use super::{Args, config_file, keep_trust};
use crate::app::App;
use crate::commands::copy::{self, Done, Move};
use crate::declare::{self, Declaration};
use crate::failure::Failure;
use crate::files;
use crate::output::printable;
use crate::target::Place;

/// The longest file that is read, as the provider reads it.
const MAX_FILE: u64 = 16 << 20;

/// `import --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    file: String,
    imported: Vec<Row>,
    declared: Vec<String>,
    skipped: Vec<Skipped>,
}

#[derive(Debug, Serialize)]
struct Row {
    key: String,
    name: String,
    #[serde(flatten)]
    place: Place,
    status: Done,
}

/// A key that was left where it is.
#[derive(Debug, Serialize)]
struct Skipped {
    key: String,
    reason: &'static str,
}

/// What is in the file.
#[derive(Default)]
struct Plan {
    entries: Vec<Planned>,
    skipped: Vec<Skipped>,
    /// Variables of the environment that were written into values.
    expanded: BTreeSet<String>,
}

struct Planned {
    key: String,
    value: Secret,
    declaration: Declaration,
    /// It is in the configuration already.
    known: bool,
}

/// Stores every value, reads each back, then declares the keys.
pub(super) fn import(
    credchain: &Credchain,
    file: &Path,
    args: &Args,
    app: &App,
) -> Result<(), Failure> {
    let config = config_file(credchain.loaded())?;
    let plan = Plan::read(credchain, file, app)?;
    let moves = plan.moves(credchain, args)?;
    refuse_itself(credchain, &moves, file)?;
    let new: Vec<Declaration> = plan
        .entries
        .iter()
        .filter(|one| !one.known)
        .map(|one| one.declaration.clone())
        .collect();
    declare::check(&config, &new)?;
    let done = copy::write(credchain, &moves, args.overwrite, app)?;
    declare::append(&config, &new)?;
    let after = app.open()?;
    keep_trust(credchain, &after)?;
    verify(&after, &moves)?;
    plan.tell(&moves, &done, &new, file, app)
}

impl Plan {
    fn read(credchain: &Credchain, file: &Path, app: &App) -> Result<Self, Failure> {
        let bytes = files::read(file, MAX_FILE)?;
        let env = app.env();
        let expanded = RefCell::new(BTreeSet::new());
        let lookup = |name: &str| {
            let value = env.get(name)?;
            expanded.borrow_mut().insert(name.to_owned());
            Some(value.into_encoded_bytes())
        };
        let parsed = dotenv::parse(&bytes, &lookup)?;
        if let Some(warning) = parsed.warnings.first() {
            let others = parsed.warnings.len() - 1;
            let more = if others > 0 {
                format!(", and {others} more")
            } else {
                String::new()
            };
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "{warning} in `{}`{more}; nothing was imported",
                    file.display()
                ),
            )
            .with_hint("correct or remove the line, so that no value is lost")
            .into());
        }
        let mut plan = Self::default();
        for entry in parsed.entries {
            match entry.value {
                None => plan.skip(entry.key, "it has no value"),
                Some(value) if value.is_empty() => plan.skip(entry.key, "it is empty"),
                Some(_) if config::is_loader_variable(&entry.key) => {
                    plan.skip(
                        entry.key,
                        "programs obey this variable, so it is no credential",
                    );
                }
                Some(value) => plan.add(credchain, entry.key, value),
            }
        }
        plan.name(credchain);
        plan.expanded = expanded.into_inner();
        Ok(plan)
    }

    fn skip(&mut self, key: String, reason: &'static str) {
        self.skipped.push(Skipped { key, reason });
    }

    fn add(&mut self, credchain: &Credchain, key: String, value: Secret) {
        let project = credchain.project();
        let declared = project.credentials.values().find(|spec| {
            let here = |place: &At| matches!(place, At::Here(place) if place.path() == key);
            spec.variable() == key || spec.at.get(&LinkName::literal("dotenv")).is_some_and(here)
        });
        let declaration = match declared {
            Some(spec) => Declaration {
                name: spec.name.to_string(),
                ..Declaration::default()
            },
            None => Declaration::for_variable(&key),
        };
        self.entries.push(Planned {
            key,
            value,
            declaration,
            known: declared.is_some(),
        });
    }

    /// Gives every new key a name of its own.
    fn name(&mut self, credchain: &Credchain) {
        let project = credchain.project();
        let taken = |text: &str| {
            text.parse::<Name>()
                .is_ok_and(|name| project.declares(&name))
        };
        let mut new: Vec<Declaration> = self
            .entries
            .iter()
            .filter(|one| !one.known)
            .map(|one| one.declaration.clone())
            .collect();
        declare::make_unique(&mut new, taken);
        let open = self.entries.iter_mut().filter(|one| !one.known);
        for (one, declaration) in open.zip(new) {
            one.declaration = declaration;
        }
    }

    fn moves(&self, credchain: &Credchain, args: &Args) -> Result<Vec<Move>, Failure> {
        let mut moves = Vec::with_capacity(self.entries.len());
        let mut errors = Vec::new();
        for one in &self.entries {
            let name = App::name(&one.declaration.name)?;
            let place = credchain
                .write_link(&name, args.to.as_ref())
                .and_then(|link| {
                    let reference = credchain.resolver().place(&name, link)?;
                    Ok(Address {
                        link: link.name().clone(),
                        reference,
                    })
                });
            match place {
                Ok(to) => moves.push(Move {
                    name,
                    value: one.value.clone(),
                    to,
                }),
                Err(error) => errors.push(error.for_credential(&name)),
            }
        }
        if errors.is_empty() {
            Ok(moves)
        } else {
            Err(Failure::Credentials(errors))
        }
    }

    fn tell(
        &self,
        moves: &[Move],
        done: &[Done],
        new: &[Declaration],
        file: &Path,
        app: &App,
    ) -> Result<(), Failure> {
        let output = app.output();
        for name in &self.expanded {
            let name = printable(name);
            output.warn(&format!(
                "`${{{name}}}` was replaced by its value in this environment"
            ));
        }
        if output.is_json() {
            let rows = self.entries.iter().zip(moves).zip(done);
            return output.json(&Document {
                version: 1,
                file: file.display().to_string(),
                imported: rows
                    .map(|((entry, one), status)| Row {
                        key: entry.key.clone(),
                        name: one.name.to_string(),
                        place: Place::of(&one.to),
                        status: *status,
                    })
                    .collect(),
                declared: new.iter().map(|one| one.name.clone()).collect(),
                skipped: self
                    .skipped
                    .iter()
                    .map(|one| Skipped {
                        key: one.key.clone(),
                        reason: one.reason,
                    })
                    .collect(),
            });
        }
        for ((entry, one), done) in self.entries.iter().zip(moves).zip(done) {
            let what = if *done == Done::Same {
                "already at"
            } else {
                "stored at"
            };
            output.note(&printable(&format!("{} {what} `{}`", entry.key, one.to)));
        }
        for entry in self
            .entries
            .iter()
            .filter(|one| !declare::is_variable(&one.key))
        {
            let variable = entry.declaration.name.to_ascii_uppercase();
            output.note(&printable(&format!(
                "{} is no variable's name: programs get it as `{variable}`",
                entry.key
            )));
        }
        for one in &self.skipped {
            output.note(&printable(&format!("{} left out: {}", one.key, one.reason)));
        }
        if !new.is_empty() {
            output.note(&format!(
                "declared {} in `credchain.toml`",
                count(new.len())
            ));
        }
        if !moves.is_empty() {
            output.note(&advice(file, moves.len(), self.skipped.is_empty()));
        }
        Ok(())
    }
}

fn count(number: usize) -> String {
    if number == 1 {
        "1 credential".to_owned()
    } else {
        format!("{number} credentials")
    }
}

fn advice(file: &Path, moved: usize, all: bool) -> String {
    let file = file.display();
    let delete = if all {
        format!("`{file}` can go now: rm {file}")
    } else {
        format!("All but what was left out can go from `{file}` now")
    };
    format!(
        "\nEvery value was read back and compared: {} can be read from the store.\n{delete}\n\
         If it was ever committed or shared, its values are known to others: replace them",
        count(moved)
    )
}

/// The file's own provider is no place to move it to.
fn refuse_itself(credchain: &Credchain, moves: &[Move], file: &Path) -> Result<(), Failure> {
    let Some(first) = moves.first() else {
        return Ok(());
    };
    let spec = credchain.project().providers.get(&first.to.link);
    if spec.is_some_and(|spec| spec.type_name == "dotenv") {
        return Err(Failure::usage_with(
            format!(
                "`{}` would go to `{}`, which is `.env` files again",
                file.display(),
                first.to.link
            ),
            "name an encrypted provider with `--to`, such as `--to age`",
        ));
    }
    Ok(())
}

/// What a program is going to get is what was in the file, whichever link serves it.
fn verify(credchain: &Credchain, moves: &[Move]) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for one in moves {
        let resolution = credchain::block_on(credchain.resolver().resolve_address(&one.to))?;
        match resolution.result {
            Ok(back) if back.same_value(&one.value) => {}
            Ok(_) => errors.push(
                Error::new(Kind::Internal, "what was read back is not what was stored")
                    .for_credential(&one.name)
                    .at(one.to.link.clone()),
            ),
            Err(error) => errors.push(error.for_credential(&one.name)),
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::Credentials(errors))
    }
}
