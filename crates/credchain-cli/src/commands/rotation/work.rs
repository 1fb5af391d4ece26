//! `resolve rotation run|resume|abort|history`

use std::process::ExitCode;
use std::sync::Arc;

use credchain::rotate::{
    Action, How, Observer, Progress, Rotation, State, Step, Strategy, Zone, rfc3339,
};
use credchain::{Context, Credchain, Due, Error, Kind, Name, Verb};
use serde::Serialize;

use super::named;
use super::status::{UnderWay, sentence};
use crate::app::App;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve rotation run db_password --dry-run    checks everything, changes nothing\n  \
    resolve rotation run db_password\n  \
    resolve rotation run --due                    what it is time for, for a timer\n  \
    resolve rotation run api_key --compromised    after a leak: no overlap\n\n\
    After a failure, or a kill at any moment, `resolve rotation resume` goes on. Where the old value\n\
    stays valid for a while, the command ends, and `resume` or `run --due` retires it later.")]
pub(crate) struct RunArgs {
    /// The credentials, as in `[rotation.targets]`
    #[arg(
        value_name = "NAME",
        required_unless_present = "due",
        conflicts_with = "due"
    )]
    names: Vec<String>,
    /// All for which it is time, and those under way
    #[arg(long)]
    due: bool,
    /// Show what would be done, after every check that changes nothing
    #[arg(long)]
    dry_run: bool,
    /// The old value leaked: cut it off at once, whoever still uses it
    #[arg(long, requires = "names")]
    compromised: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// The credentials [default: all with a rotation under way]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AbortArgs {
    /// The credentials
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HistoryArgs {
    /// The credentials [default: all of `[rotation.targets]`]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// `rotation run|resume|abort --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    rotations: Vec<UnderWay>,
}

/// `rotation run --dry-run --json`
#[derive(Debug, Serialize)]
struct PlanDocument {
    version: u8,
    plan: Vec<PlanRow>,
}

#[derive(Debug, Serialize)]
struct PlanRow {
    name: String,
    strategy: &'static str,
    stores: Vec<String>,
    overlap_seconds: u64,
    soak_seconds: u64,
}

/// `rotation history --json`
#[derive(Debug, Serialize)]
struct HistoryDocument {
    version: u8,
    rotations: Vec<PastRow>,
}

#[derive(Debug, Serialize)]
struct PastRow {
    name: String,
    id: String,
    strategy: &'static str,
    started: String,
    finished: String,
    completed: bool,
    compromised: bool,
}

/// Starts rotations, or goes on with them.
pub(super) fn run(args: &RunArgs, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let names = if args.due {
        due(&credchain, app)?
    } else {
        named(&args.names, &credchain)?
    };
    let output = app.output();
    if names.is_empty() {
        output.note("nothing is due");
        if output.is_json() {
            output.json(&Document {
                version: 1,
                rotations: Vec::new(),
            })?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rotations = names.iter().map(|name| credchain.rotation(name));
    let rotations: Vec<Rotation> = rotations.collect::<Result<_, Error>>()?;
    for rotation in &rotations {
        output.note(&plan(rotation, args.compromised));
    }
    if args.dry_run {
        return dry_run(&credchain, &rotations, app);
    }
    let how = if args.compromised {
        How::Compromised
    } else {
        How::Planned
    };
    work(&credchain, &names, Verb::Run(how), app)
}

/// Goes on with what is under way.
pub(super) fn resume(args: &ResumeArgs, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let names = named(&args.names, &credchain)?;
    let names = if args.names.is_empty() {
        under_way(&credchain, names, app)?
    } else {
        names
    };
    if names.is_empty() {
        app.output().note("no rotation is under way");
    }
    work(&credchain, &names, Verb::Resume, app)
}

/// Undoes what readers have not seen yet.
pub(super) fn abort(args: &AbortArgs, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let names = named(&args.names, &credchain)?;
    work(&credchain, &names, Verb::Abort, app)
}

/// Shows what is over, the newest first.
pub(super) fn history(args: &HistoryArgs, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let zone = credchain.zone()?;
    let names = named(&args.names, &credchain)?;
    let looks = app.wait(credchain.looks(&names))?;
    let mut rows: Vec<PastRow> = Vec::new();
    let mut lines: Vec<(u64, String)> = Vec::new();
    for (name, look) in names.into_iter().zip(looks) {
        for past in look?.history {
            let moment = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            let word = match (past.completed, past.compromised) {
                (false, _) => "undone",
                (true, true) => "rotated after a leak",
                (true, false) => "rotated",
            };
            lines.push((
                past.finished,
                format!(
                    "{}  {name}  {}  {word}\n",
                    zone.minute(moment(past.finished)),
                    past.strategy
                ),
            ));
            rows.push(PastRow {
                name: name.to_string(),
                id: past.id,
                strategy: past.strategy.as_str(),
                started: rfc3339(moment(past.started)),
                finished: rfc3339(moment(past.finished)),
                completed: past.completed,
                compromised: past.compromised,
            });
        }
    }
    rows.sort_by(|one, two| two.finished.cmp(&one.finished));
    lines.sort_by(|one, two| two.cmp(one));
    let output = app.output();
    if output.is_json() {
        output.json(&HistoryDocument {
            version: 1,
            rotations: rows,
        })?;
    } else if lines.is_empty() {
        output.note("no rotation is over");
    } else {
        let text: String = lines.into_iter().map(|(_, line)| line).collect();
        output.data(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What it is time for. Where nobody knows the age, a person decides.
fn due(credchain: &Credchain, app: &App) -> Result<Vec<Name>, Failure> {
    let now = credchain.resolver().context().clock().now();
    let names: Vec<Name> = credchain.rotatable().cloned().collect();
    let looks = app.wait(credchain.looks(&names))?;
    let mut due = Vec::new();
    for (name, look) in names.iter().zip(looks) {
        match app.wait(credchain.due(name, look?, now))?? {
            Due::Old | Due::UnderWay => due.push(name.clone()),
            Due::Unknown => app.output().warn(&format!(
                "nobody knows how old `{name}` is: `resolve rotation register {name} --created DATE`, \
                 or `resolve rotation run {name}` once"
            )),
            _ => {}
        }
    }
    Ok(due)
}

fn under_way(credchain: &Credchain, names: Vec<Name>, app: &App) -> Result<Vec<Name>, Failure> {
    let looks = app.wait(credchain.looks(&names))?;
    let mut found = Vec::new();
    for (name, look) in names.into_iter().zip(looks) {
        if look?.run.is_some() {
            found.push(name);
        }
    }
    Ok(found)
}

/// What a rotation would do, in words.
fn plan(rotation: &Rotation, compromised: bool) -> String {
    let how = match rotation.strategy() {
        Strategy::Swap => "the account gets a new value; for a moment neither works for readers",
        Strategy::Alternate => {
            "the other account gets a new value, readers move over, this one retires"
        }
        Strategy::Issue => "the issuer makes a second key, readers move over, the first is revoked",
        Strategy::Versioned => "a new key is made; the one before stays readable as `@previous`",
        _ => "the backend rotates what it owns",
    };
    let stores = rotation
        .stores()
        .iter()
        .map(|store| format!("{}://{}", store.link, store.place));
    let stores: Vec<_> = stores.collect();
    let mut text = format!("{}: {how}", rotation.name());
    if !stores.is_empty() {
        text += &format!("; stored at {}", stores.join(", "));
    }
    let waits = matches!(
        rotation.strategy(),
        Strategy::Alternate | Strategy::Issue | Strategy::Versioned
    );
    if waits && compromised {
        text += "; the old value is cut off at once: whoever still has it fails";
    } else if waits {
        text += &format!(
            "; the old value stays valid for {}",
            credchain::format_duration(rotation.overlap())
        );
    }
    text
}

fn dry_run(credchain: &Credchain, rotations: &[Rotation], app: &App) -> Result<ExitCode, Failure> {
    let cx: Context = credchain.resolver().context();
    let mut errors = Vec::new();
    for rotation in rotations {
        if let Err(error) = app.wait(rotation.check(&cx))? {
            errors.push(error.for_credential(rotation.name()));
        }
    }
    if !errors.is_empty() {
        return Err(Failure::Credentials(errors));
    }
    let output = app.output();
    if output.is_json() {
        let row = |rotation: &Rotation| PlanRow {
            name: rotation.name().to_string(),
            strategy: rotation.strategy().as_str(),
            stores: rotation
                .stores()
                .iter()
                .map(|store| format!("{}://{}", store.link, store.place))
                .collect(),
            overlap_seconds: rotation.overlap().as_secs(),
            soak_seconds: rotation.soak().as_secs(),
        };
        output.json(&PlanDocument {
            version: 1,
            plan: rotations.iter().map(row).collect(),
        })?;
    }
    output.note("everything is as it must be; nothing was changed");
    Ok(ExitCode::SUCCESS)
}

fn work(credchain: &Credchain, names: &[Name], verb: Verb, app: &App) -> Result<ExitCode, Failure> {
    let zone = credchain.zone()?;
    let observer = Arc::new(Telling(app.output().clone()));
    let results = app.wait(credchain.rotate(names, verb, observer))?;
    let mut errors = Vec::new();
    let mut done: Vec<Progress> = Vec::new();
    for result in results {
        match result {
            Ok(progress) => done.push(progress),
            Err(error) => errors.push(error),
        }
    }
    let output = app.output();
    for progress in &done {
        output.note(&words(progress, verb, &zone));
    }
    if output.is_json() && errors.is_empty() {
        output.json(&Document {
            version: 1,
            rotations: done.iter().map(UnderWay::new).collect(),
        })?;
    }
    if errors.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::Credentials(
        errors.into_iter().map(next_step).collect(),
    ))
}

fn words(progress: &Progress, verb: Verb, zone: &Zone) -> String {
    if verb == Verb::Abort || progress.state == State::Aborting {
        return format!(
            "{}: undone; the old value is current, as before",
            progress.name
        );
    }
    sentence(progress, zone)
}

/// Whoever sees the error may not know that nothing is lost.
fn next_step(error: Error) -> Error {
    match (error.kind(), error.credential()) {
        (Kind::Unavailable | Kind::Throttled, Some(name)) if error.hint().is_none() => {
            let hint = format!("nothing is lost: `resolve rotation resume {name}` goes on");
            error.with_hint(hint)
        }
        _ => error,
    }
}

/// Tells the person who waits what was done.
struct Telling(Output);

impl Observer for Telling {
    fn after(&self, step: &Step<'_>, outcome: Result<(), &Error>) {
        let name = step.name;
        let object = step
            .object
            .map(|object| format!(" `{object}`"))
            .unwrap_or_default();
        let text = match (step.action, outcome.is_ok()) {
            (Action::Issue, true) => "the issuer made a new key".to_owned(),
            (Action::Apply, true) => format!("the target took the new value of{object}"),
            (Action::Verify, true) => format!("a login with it works{object}"),
            (Action::Promote, true) => format!("readers of{object} get it"),
            (Action::Disable, true) => format!("the old value is disabled{object}"),
            (Action::Revoke, true) => format!("the old value is revoked{object}"),
            _ => return,
        };
        self.0.note(&format!("  {name}: {text}"));
    }
}
