//! `resolve rotation status`

use std::process::ExitCode;

use credchain::rotate::{Level, Look, Progress, Row, State, Status, Zone, prometheus, rfc3339};
use credchain::{Age, Credchain, Error, Name, Told};
use serde::Serialize;

use crate::app::App;
use crate::failure::{FINDINGS, Failure};
use crate::output::{Output, Style, printable_line};

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve rotation status\n  \
    resolve rotation status --now 2026-12-31       what it will be like\n  \
    resolve rotation status --fail-on warning      exit 8 if something is, or its age is not known\n  \
    resolve rotation status --prometheus > /var/lib/node_exporter/credchain.prom\n\n\
    EXPIRED: no day is left. URGENT: less than 7 days, or a twelfth of a short period. WARNING:\n\
    less than 30 days, or a third of it. UNKNOWN: nobody says when the value was made.\n\
    CLOCK_SUSPECT: it was made in the future.")]
pub(crate) struct Args {
    /// Only these credentials
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// As of this date in `rotation.timezone`, or this moment
    #[arg(long, value_name = "DATE")]
    now: Option<String>,
    /// Exit with 8 from this status on; UNKNOWN and `CLOCK_SUSPECT` always count
    #[arg(long, value_name = "STATUS")]
    fail_on: Option<Fail>,
    /// Print metrics for Prometheus instead
    #[arg(long, conflicts_with = "json")]
    prometheus: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Fail {
    /// Only where the age is not known
    Unknown,
    /// From WARNING on
    Warning,
    /// From URGENT on
    Urgent,
    /// At EXPIRED
    Expired,
}

impl From<Fail> for Level {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Unknown => Self::Unknown,
            Fail::Warning => Self::Warning,
            Fail::Urgent => Self::Urgent,
            Fail::Expired => Self::Expired,
        }
    }
}

/// `rotation status --json`
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u8,
    now: String,
    credentials: Vec<Line<'a>>,
    rotations: Vec<UnderWay>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    name: &'a str,
    description: Option<&'a str>,
    created: Option<String>,
    expires: Option<String>,
    days_left: Option<i64>,
    status: &'static str,
    /// Who says when it was made: `register`, a link, or nobody.
    source: Option<&'a str>,
    /// The kind of the failure that kept its link from saying it.
    kind: Option<&'static str>,
}

/// A rotation in JSON.
#[derive(Debug, Serialize)]
pub(super) struct UnderWay {
    name: String,
    id: String,
    strategy: &'static str,
    state: &'static str,
    started: String,
    until: Option<String>,
    problem: Option<String>,
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
}

impl UnderWay {
    pub(super) fn new(progress: &Progress) -> Self {
        Self {
            name: progress.name.to_string(),
            id: progress.id.clone(),
            strategy: progress.strategy.as_str(),
            state: progress.state.as_str(),
            started: rfc3339(progress.started),
            until: progress.until.map(rfc3339),
            problem: progress.problem.clone(),
            not_before: progress.not_before.map(rfc3339),
            holder: None,
        }
    }
}

/// Prints the table of ages, and what is under way.
pub(super) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let zone = credchain.zone()?;
    let now = match &args.now {
        Some(date) => zone.parse(date)?,
        None => credchain.resolver().context().clock().now(),
    };
    let mut ages = app.wait(credchain.ages(now))??;
    if !args.names.is_empty() {
        for name in &args.names {
            if !ages.iter().any(|age| age.row.name == *name) {
                let hint = format!(
                    "`rotate = \"90d\"` in `[credentials.{name}]` says how old it may become, `resolve rotation register` when it was made"
                );
                return Err(Failure::usage_with(
                    format!("nothing is known about the age of `{name}`"),
                    hint,
                ));
            }
        }
        ages.retain(|age| args.names.contains(&age.row.name));
    }
    let looks = looks(&credchain, args, app)?;
    let output = app.output();
    if args.prometheus {
        let rows: Vec<Row> = ages.iter().map(|age| age.row.clone()).collect();
        output.data(prometheus(&rows).as_bytes())?;
    } else if output.is_json() {
        output.json(&document(now, &ages, &looks))?;
    } else {
        output.data(table(&ages, &zone, output).as_bytes())?;
        remarks(&ages, &looks, &zone, output);
    }
    let orphaned = looks.iter().any(|(_, look)| {
        look.as_ref().is_ok_and(|look| {
            look.run
                .as_ref()
                .is_some_and(|run| run.state == State::Orphaned)
        })
    });
    let failing = args
        .fail_on
        .is_some_and(|level| orphaned || ages.iter().any(|age| age.row.status.fails(level.into())));
    Ok(ExitCode::from(if failing { FINDINGS } else { 0 }))
}

type Looks = Vec<(Name, Result<Look, Error>)>;

/// What is under way. A store that does not answer is no reason to show no ages.
fn looks(credchain: &Credchain, args: &Args, app: &App) -> Result<Looks, Failure> {
    let wanted =
        |name: &&Name| args.names.is_empty() || args.names.iter().any(|one| one == name.as_str());
    let names: Vec<Name> = credchain.rotatable().filter(wanted).cloned().collect();
    if names.is_empty() || args.prometheus {
        return Ok(Vec::new());
    }
    let looks = app.wait(credchain.looks(&names))?;
    Ok(names.into_iter().zip(looks).collect())
}

fn document<'a>(now: std::time::SystemTime, ages: &'a [Age], looks: &Looks) -> Document<'a> {
    let credentials = ages.iter().map(|age| Line {
        name: &age.row.name,
        description: age.description.as_deref(),
        created: age.row.created.map(rfc3339),
        expires: age.row.expires.map(rfc3339),
        days_left: age.row.days_left,
        status: age.row.status.as_str(),
        source: match &age.told {
            Told::Register => Some("register"),
            Told::Link(link) => Some(link),
            _ => None,
        },
        kind: match &age.told {
            Told::Failed(error) => Some(error.kind().as_str()),
            _ => None,
        },
    });
    let rotations = looks.iter().filter_map(|(_, look)| {
        let look = look.as_ref().ok()?;
        let mut row = UnderWay::new(look.run.as_ref()?);
        row.holder.clone_from(&look.holder);
        Some(row)
    });
    Document {
        version: 1,
        now: rfc3339(now),
        credentials: credentials.collect(),
        rotations: rotations.collect(),
    }
}

/// The classic table: everything in columns, aligned, the most urgent first.
fn table(ages: &[Age], zone: &Zone, output: &Output) -> String {
    let names: Vec<_> = ages
        .iter()
        .map(|age| printable_line(&age.row.name))
        .collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .max(10);
    let mut text = output.style(
        Style::Bold,
        &format!(
            "{:width$}  {:10}  {:10}  {:>9}  Status",
            "Credential", "Created", "Expires", "Days Left"
        ),
    );
    text.push('\n');
    let date = |moment: Option<std::time::SystemTime>| {
        moment.map_or_else(|| "-".into(), |it| zone.date(it))
    };
    for (age, name) in ages.iter().zip(names) {
        let row = &age.row;
        let days = row
            .days_left
            .map_or_else(|| "-".into(), |days| days.to_string());
        let style = match row.status {
            Status::Expired | Status::Urgent | Status::ClockSuspect => Style::Bad,
            Status::Warning | Status::Unknown => Style::Warning,
            _ => Style::Good,
        };
        text.push_str(&format!(
            "{name:width$}  {:10}  {:10}  {days:>9}  {}\n",
            date(row.created),
            date(row.expires),
            output.style(style, row.status.as_str())
        ));
    }
    text
}

/// What does not fit into the table, on standard error.
fn remarks(ages: &[Age], looks: &Looks, zone: &Zone, output: &Output) {
    if ages.is_empty() {
        output.note(
            "nothing is tracked: `rotate = \"90d\"` of a credential says how old it may become, \
             `resolve rotation register NAME --created DATE` when it was made",
        );
    }
    for age in ages {
        if let Told::Failed(error) = &age.told {
            output.warn(&format!(
                "the age of `{}` could not be asked for: {}",
                age.row.name,
                error.message()
            ));
        }
    }
    for (name, look) in looks {
        match look {
            Ok(look) => {
                if let Some(run) = &look.run {
                    output.note(&sentence(run, zone));
                }
                if let Some(holder) = &look.holder {
                    output.note(&format!("{name}: {holder} is at work on it"));
                }
            }
            Err(error) => output.warn(&format!("{name}: {}", error.message())),
        }
    }
}

/// How far a rotation is, in words.
pub(super) fn sentence(run: &Progress, zone: &Zone) -> String {
    let name = &run.name;
    let until = |what: &str| match run.until {
        Some(until) => format!(
            "{name}: {what} until {}; then `resolve rotation resume {name}`",
            zone.minute(until)
        ),
        None => format!("{name}: {what}"),
    };
    let state = match run.state {
        State::OldRevoked => return format!("{name}: rotated, and the old value is gone"),
        State::Overlap => until("rotated; the old value stays valid"),
        State::Soak | State::OldDisabled => {
            until("rotated; the old value is disabled, and could be enabled again")
        }
        State::Orphaned => {
            return format!(
                "{name}: the target accepts neither the old nor the new value; make it accept one of \
             them, then `resolve rotation resume {name}`"
            );
        }
        State::Aborting => format!("{name}: is being undone"),
        state => format!("{name}: a rotation is under way ({state})"),
    };
    match &run.problem {
        Some(problem) => format!(
            "{state}; it stopped because something was {problem}: `resolve rotation resume {name}`"
        ),
        None => state,
    }
}
