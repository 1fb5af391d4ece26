//! `resolve copy NAME… --from LINK --to LINK`

use std::process::ExitCode;

use credchain::{
    Address, Credchain, Error, Expect, Kind, Link, LinkName, Name, Secret, SetOptions,
};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;

/// Arguments of `copy`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve copy api_key --from dotenv --to age\n  \
    resolve copy --all --from age --to prod-vault\n\n\
    Every value is read back and compared. What is at `--from` stays there.")]
pub(crate) struct Args {
    /// The credentials to copy
    #[arg(
        value_name = "NAME",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    names: Vec<String>,
    /// The provider to read from
    #[arg(long, value_name = "LINK")]
    from: LinkName,
    /// The provider to write to
    #[arg(long, value_name = "LINK")]
    to: LinkName,
    /// Copy every declared credential that is at `--from`
    #[arg(long)]
    all: bool,
    /// Replace different values at `--to`
    #[arg(long)]
    overwrite: bool,
}

/// What became of one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Done {
    /// The value was written and read back.
    Stored,
    /// The same value was there already.
    Same,
}

/// `copy --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    copied: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    from: String,
    to: String,
    status: Done,
}

/// One value on its way.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) name: Name,
    pub(crate) value: Secret,
    pub(crate) to: Address,
}

/// Reads everything, looks for what is in the way, and only then writes.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    if args.from == args.to {
        return Err(Failure::usage("`--from` and `--to` are the same provider"));
    }
    let credchain = app.open()?;
    let from = credchain.link(&args.from)?.clone();
    let to = writable(&credchain, &args.to)?;
    let names = if args.all {
        credchain.declared()?
    } else {
        args.names
            .iter()
            .map(|text| App::name(text))
            .collect::<Result<_, _>>()?
    };
    let (moves, places) = read(&credchain, &names, &from, &to, args.all)?;
    let done = write(&credchain, &moves, args.overwrite, app)?;
    let rows = moves
        .iter()
        .zip(&places)
        .zip(&done)
        .map(|((one, from), status)| Row {
            name: one.name.to_string(),
            from: from.to_string(),
            to: one.to.to_string(),
            status: *status,
        });
    if app.output().is_json() {
        app.output().json(&Document {
            version: 1,
            copied: rows.collect(),
        })?;
    } else {
        for row in rows {
            let what = if row.status == Done::Same {
                "already the same at"
            } else {
                "copied to"
            };
            app.output()
                .note(&format!("`{}` {what} `{}`", row.name, row.to));
        }
        if moves.is_empty() {
            app.output()
                .note(&format!("nothing that is declared is at `{}`", args.from));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A link that can be written.
pub(crate) fn writable(credchain: &Credchain, name: &LinkName) -> Result<Link, Failure> {
    let link = credchain.link(name)?;
    credchain.check_writable(link)?;
    Ok(link.clone())
}

fn read(
    credchain: &Credchain,
    names: &[Name],
    from: &Link,
    to: &Link,
    all: bool,
) -> Result<(Vec<Move>, Vec<Address>), Failure> {
    let resolver = credchain.resolver();
    let mut errors = Vec::new();
    let mut moves = Vec::new();
    let mut places = Vec::new();
    for name in names {
        let value = resolver.place(name, from).and_then(|place| {
            let answer = credchain::block_on(from.provider().get(&place, &resolver.context()))?;
            let target = resolver.place(name, to)?;
            Ok((
                place,
                target,
                answer.map_err(|error| error.at(from.name().clone()))?,
            ))
        });
        match value {
            Ok((place, target, value)) => {
                places.push(Address {
                    link: from.name().clone(),
                    reference: place,
                });
                let to = Address {
                    link: to.name().clone(),
                    reference: target,
                };
                moves.push(Move {
                    name: name.clone(),
                    value,
                    to,
                });
            }
            Err(error) if all && error.kind().is_miss() => {}
            Err(error) => errors.push(error.for_credential(name)),
        }
    }
    if errors.is_empty() {
        Ok((moves, places))
    } else {
        Err(Failure::Credentials(errors))
    }
}

/// Writes values to their places. Nothing is written if any place holds a different value and
/// may not be overwritten; if a write fails, what was written before it is told.
pub(crate) fn write(
    credchain: &Credchain,
    moves: &[Move],
    overwrite: bool,
    app: &App,
) -> Result<Vec<Done>, Failure> {
    let present = present(credchain, moves)?;
    let in_the_way: Vec<Error> = moves
        .iter()
        .zip(&present)
        .filter(|(one, there)| {
            !overwrite
                && there
                    .as_ref()
                    .is_some_and(|there| !there.same_value(&one.value))
        })
        .map(|(one, _)| {
            Error::new(
                Kind::Conflict,
                "another value is there already; nothing was written",
            )
            .for_credential(&one.name)
            .at(one.to.link.clone())
            .with_hint("`--overwrite` replaces it")
        })
        .collect();
    if !in_the_way.is_empty() {
        return Err(Failure::Credentials(in_the_way));
    }
    let mut done = Vec::with_capacity(moves.len());
    for (one, there) in moves.iter().zip(&present) {
        if there
            .as_ref()
            .is_some_and(|there| there.same_value(&one.value))
        {
            done.push(Done::Same);
            continue;
        }
        let expect = if there.is_none() && compares(credchain, &one.to) {
            Expect::Absent
        } else {
            Expect::Any
        };
        let options = SetOptions::expecting(expect);
        // The provider itself says whether it can compare in the same step.
        if let Err(error) = credchain::block_on(credchain.set_at(&one.to, &one.value, &options))? {
            tell_written(&moves[..done.len()], &done, app);
            return Err(error.for_credential(&one.name).into());
        }
        done.push(Done::Stored);
    }
    Ok(done)
}

fn compares(credchain: &Credchain, address: &Address) -> bool {
    credchain
        .link(&address.link)
        .is_ok_and(|link| link.provider().capabilities().compare_and_set)
}

/// What is at the places now.
fn present(credchain: &Credchain, moves: &[Move]) -> Result<Vec<Option<Secret>>, Failure> {
    let Some(first) = moves.first() else {
        return Ok(Vec::new());
    };
    let link = credchain.link(&first.to.link)?;
    let places: Vec<_> = moves.iter().map(|one| one.to.reference.clone()).collect();
    let cx = credchain.resolver().context();
    let answers = credchain::block_on(link.provider().get_many(&places, &cx))?;
    let mut errors = Vec::new();
    let present = moves
        .iter()
        .zip(answers)
        .map(|(one, answer)| match answer {
            Ok(there) => Some(there),
            Err(error) if error.kind().is_miss() => None,
            Err(error) => {
                errors.push(error.for_credential(&one.name).at(one.to.link.clone()));
                None
            }
        })
        .collect();
    // One failure is enough to see when all have the same cause.
    errors.dedup_by(|a, b| a.kind() == b.kind() && a.message() == b.message());
    if errors.is_empty() {
        Ok(present)
    } else {
        Err(Failure::Credentials(errors))
    }
}

fn tell_written(moves: &[Move], done: &[Done], app: &App) {
    let written: Vec<String> = moves
        .iter()
        .zip(done)
        .filter(|(_, done)| **done == Done::Stored)
        .map(|(one, _)| format!("`{}`", one.name))
        .collect();
    app.output().warn(&if written.is_empty() {
        "nothing was written".to_owned()
    } else {
        format!(
            "written before it failed: {}; nothing else was changed",
            written.join(", ")
        )
    });
}
