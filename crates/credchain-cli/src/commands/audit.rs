//! `resolve audit show|verify`

use std::io::Write as _;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use credchain::audit_log::{
    Entry, Filter, FollowFrom, Follower, Outcome, Record, Settings, Verdict, read, verify,
};
use credchain::rotate::{Zone, rfc3339};
use credchain::{Credchain, Error, Kind};
use serde::Serialize;

use crate::app::App;
use crate::failure::{FINDINGS, Failure};
use crate::output::{Output, Style, printable_line};

/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// Arguments of `audit`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve audit show --credential api_key --since 2026-01-01\n  \
    resolve audit show --outcome denied --follow\n  \
    resolve audit verify                    exit 8 if somebody changed it, 6 if nobody can tell\n\n\
    The log holds no value. `[audit]` in the configuration turns it on.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Sub {
    /// Show who used which credential, when, from where, and how it ended
    Show(ShowArgs),
    /// Check that no record was changed, removed, moved or cut off
    Verify,
}

#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// Only this credential
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// Only this: resolve, set, delete, export, exec, login, rotate, trust, audit, …
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what ended so: success, failure, denied, unknown
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    outcome: Option<Outcome>,
    /// Only what this user did
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only from this date or moment on
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Only before this date or moment
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Only the last ones
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "follow")]
    lines: Option<usize>,
    /// Go on with what is recorded from now on
    #[arg(short, long)]
    follow: bool,
}

fn outcome(text: &str) -> Result<Outcome, String> {
    Outcome::from_token(text).ok_or_else(|| "success, failure, denied or unknown".to_owned())
}

/// `audit verify --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    verdict: &'static str,
    records: u64,
    files: usize,
    bytes: u64,
    first: Option<String>,
    last: Option<String>,
    anchored: Option<u64>,
    findings: Vec<Row>,
    more: u64,
}

#[derive(Debug, Serialize)]
struct Row {
    severity: String,
    place: Option<String>,
    seq: Option<u64>,
    message: String,
}

/// Shows the log, or verifies it.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let settings = settings(&credchain)?;
    match &args.command {
        Sub::Show(args) => show(args, &settings, &credchain, app),
        Sub::Verify => check(&settings, &credchain, app),
    }
}

fn settings(credchain: &Credchain) -> Result<Settings, Failure> {
    credchain.audit_settings()?.ok_or_else(|| {
        Error::new(Kind::Misconfigured, "there is no access log here")
            .with_hint("`[audit]` in the configuration turns it on, for what happens from then on")
            .into()
    })
}

fn show(
    args: &ShowArgs,
    settings: &Settings,
    credchain: &Credchain,
    app: &App,
) -> Result<ExitCode, Failure> {
    let zone = credchain.zone()?;
    let filter = filter(args, &zone)?;
    let output = app.output();
    if args.follow {
        let mut follower = Follower::new(settings, filter, FollowFrom::Start)?;
        let mut stopped = None;
        follower.run(PAUSE, |entry| {
            let Some(entry) = entry else {
                return ControlFlow::Continue(());
            };
            match output.data(line(&entry, &zone, output).as_bytes()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(failure) => {
                    stopped = Some(failure);
                    ControlFlow::Break(())
                }
            }
        })?;
        return stopped.map_or(Ok(ExitCode::SUCCESS), Err);
    }
    let mut last = std::collections::VecDeque::new();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let writing = |error| Failure::io("writing to standard output", error);
    for entry in read(settings, filter)? {
        let text = line(&entry?, &zone, output);
        match args.lines {
            None => out.write_all(text.as_bytes()).map_err(writing)?,
            Some(lines) => {
                last.push_back(text);
                if last.len() > lines {
                    last.pop_front();
                }
            }
        }
    }
    for text in last {
        out.write_all(text.as_bytes()).map_err(writing)?;
    }
    out.flush().map_err(writing)?;
    Ok(ExitCode::SUCCESS)
}

fn filter(args: &ShowArgs, zone: &Zone) -> Result<Filter, Failure> {
    let mut filter = Filter::new();
    if let Some(credential) = &args.credential {
        filter = filter.credential(credential);
    }
    if let Some(action) = &args.action {
        filter = filter.action(action);
    }
    if let Some(outcome) = args.outcome {
        filter = filter.outcome(outcome);
    }
    if let Some(user) = &args.user {
        filter = filter.user(user);
    }
    if let Some(since) = &args.since {
        filter = filter.since(zone.parse(since)?);
    }
    if let Some(until) = &args.until {
        filter = filter.until(zone.parse(until)?);
    }
    Ok(filter)
}

/// One record for a person, or as it stands in the log.
fn line(entry: &Entry, zone: &Zone, output: &Output) -> String {
    let record = match &entry.content {
        Ok(record) => record,
        Err(problem) if output.is_json() => {
            let problem = serde_json::json!({ "place": entry.place.to_string(), "problem": problem.to_string() });
            return format!("{problem}\n");
        }
        Err(problem) => {
            let text = format!("{}: {problem}", entry.place);
            return output.style(Style::Bad, &printable_line(&text)) + "\n";
        }
    };
    if output.is_json() {
        return format!("{}\n", record.line());
    }
    let when = record
        .time()
        .map_or_else(|| record.ts.clone(), |time| zone.minute(time));
    let outcome = record.outcome.as_deref().unwrap_or("-");
    let style = match outcome {
        "success" => Style::Good,
        "unknown" => Style::Dim,
        _ => Style::Bad,
    };
    let text = |value: &str| printable_line(value).clone();
    format!(
        "{}  {}  {}  {}\n",
        text(&when),
        output.style(style, &format!("{:7}", text(outcome))),
        text(&record.action),
        text(&details(record))
    )
}

/// What was done to what, by whom, as far as the record says so.
fn details(record: &Record) -> String {
    let mut words = Vec::new();
    words.extend(record.credential.clone());
    match (&record.link, &record.reference) {
        (Some(link), Some(reference)) => words.push(format!("{link}://{reference}")),
        (Some(link), None) => words.push(link.clone()),
        _ => {}
    }
    words.extend(record.kind.as_ref().map(|kind| format!("({kind})")));
    words.extend(record.dest.as_ref().map(|dest| format!("to {dest}")));
    words.extend(record.stale.then(|| "stale".to_owned()));
    words.extend(record.cached.then(|| "cached".to_owned()));
    words.extend(record.count.map(|count| format!("{count} times")));
    words.extend(record.gap.as_ref().map(|gap| format!("gap: {gap}")));
    words.extend(record.reason.as_ref().map(|reason| format!("for {reason}")));
    let actor = &record.actor;
    words.extend(actor.user.as_ref().map(|user| format!("by {user}")));
    words.extend(actor.ci.as_ref().map(|ci| format!("in {ci}")));
    words.extend(actor.host.as_ref().map(|host| format!("on {host}")));
    words.join(" ")
}

fn check(settings: &Settings, credchain: &Credchain, app: &App) -> Result<ExitCode, Failure> {
    let zone = credchain.zone()?;
    let report = verify(settings)?;
    let verdict = report.verdict();
    let output = app.output();
    let rows = report.findings.iter().map(|finding| Row {
        severity: format!("{:?}", finding.severity()).to_lowercase(),
        place: finding.place().map(ToString::to_string),
        seq: finding.seq(),
        message: finding.to_string(),
    });
    if output.is_json() {
        output.json(&Document {
            version: 1,
            verdict: match verdict {
                Verdict::Intact => "intact",
                Verdict::Broken => "broken",
                Verdict::Unverifiable => "unverifiable",
            },
            records: report.records,
            files: report.files,
            bytes: report.bytes,
            first: report.first.map(rfc3339),
            last: report.last.map(rfc3339),
            anchored: report.anchored,
            findings: rows.collect(),
            more: report.more,
        })?;
    } else {
        for row in rows {
            output.data(format!("{}\n", printable_line(&row.message)).as_bytes())?;
        }
        if report.more > 0 {
            output.data(format!("… and {} more\n", report.more).as_bytes())?;
        }
        let span = match (report.first, report.last) {
            (Some(first), Some(last)) => {
                format!(" from {} to {}", zone.minute(first), zone.minute(last))
            }
            _ => String::new(),
        };
        let text = match verdict {
            Verdict::Intact => {
                "intact: nobody without the key has changed it, and nothing is missing"
            }
            Verdict::Broken => "broken: records were changed, or are missing",
            Verdict::Unverifiable => "not proven: the key or the anchor is missing",
        };
        output.note(&format!(
            "{} records in {} files{span}: {text}",
            report.records, report.files
        ));
    }
    Ok(ExitCode::from(match verdict {
        Verdict::Intact => 0,
        Verdict::Broken => FINDINGS,
        Verdict::Unverifiable => Kind::Misconfigured.exit_code(),
    }))
}
