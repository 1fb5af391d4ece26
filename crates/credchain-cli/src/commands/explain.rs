//! `resolve explain NAME`

use std::process::ExitCode;

use credchain::{Credchain, Outcome, Resolution, Step, format_duration};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Style, printable, printable_line};

/// Arguments of `explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve explain api_key\n  \
    resolve explain api_key --json\n\n\
    The value itself is never shown.")]
pub(crate) struct Args {
    /// A credential's name
    name: String,
}

/// `explain --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    name: String,
    links: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    link: String,
    outcome: &'static str,
    ms: f64,
    cached: bool,
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Shows the trace; the exit code is that of the resolution.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let name = App::name(&args.name)?;
    let resolution = app.wait(credchain.resolver().resolve(&name))?;
    if app.output().is_json() {
        let links = resolution.trace.steps.iter().map(Entry::new).collect();
        app.output().json(&Document {
            version: 1,
            name: name.to_string(),
            links,
        })?;
    } else {
        print(&args.name, &credchain, &resolution, app)?;
    }
    match resolution.result {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(super::check::with_advice(&credchain, &name, error).into()),
    }
}

impl Entry {
    fn new(step: &Step) -> Self {
        Self {
            link: step.link.to_string(),
            outcome: step.outcome.as_str(),
            ms: (step.elapsed.as_secs_f64() * 1e6).round() / 1e3,
            cached: step.cached,
            reference: step.reference.as_ref().map(ToString::to_string),
            stale_seconds: step.stale.map(|age| age.as_secs()),
            note: step.note.as_ref().map(ToString::to_string),
        }
    }
}

fn print(
    asked: &str,
    credchain: &Credchain,
    resolution: &Resolution,
    app: &App,
) -> Result<(), Failure> {
    let output = app.output();
    let steps = &resolution.trace.steps;
    let mut text = format!("{}\n", output.style(Style::Bold, asked));
    let description = asked
        .parse()
        .ok()
        .and_then(|name| credchain.description(&name));
    if let Some(description) = description {
        text += &format!(
            "{}\n",
            output.style(Style::Dim, &printable_line(&description))
        );
    }
    let width = steps
        .iter()
        .map(|step| step.link.as_str().len())
        .max()
        .unwrap_or(0);
    let wide = steps
        .iter()
        .map(|step| words(step.outcome).len())
        .max()
        .unwrap_or(0);
    for (at, step) in steps.iter().enumerate() {
        let style = match step.outcome {
            Outcome::Hit | Outcome::Default => Style::Good,
            Outcome::Failed(kind) if kind.is_miss() => Style::Dim,
            _ => Style::Bad,
        };
        let outcome = output.style(style, &format!("{:wide$}", words(step.outcome)));
        let line = format!(
            "  {}. {:width$}  {outcome}  {}",
            at + 1,
            step.link,
            about(step)
        );
        text += line.trim_end();
        text.push('\n');
    }
    let name = asked.parse().ok();
    let chain = name
        .as_ref()
        .map(|name| credchain.resolver().chain(name))
        .unwrap_or_default();
    let rest: Vec<String> = chain
        .iter()
        .filter(|link| steps.iter().all(|step| step.link != *link.name()))
        .map(|link| format!("`{}`", link.name()))
        .collect();
    if !rest.is_empty() {
        text += &output.style(Style::Dim, &format!("  not asked: {}\n", rest.join(", ")));
    }
    output.data(text.as_bytes())
}

fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Hit => "found",
        Outcome::Default => "default",
        other => other.as_str(),
    }
}

/// Where, how long, and what else there is to say.
fn about(step: &Step) -> String {
    let mut parts = Vec::new();
    if let Some(reference) = &step.reference {
        parts.push(printable(&reference.to_string()));
    }
    if step.elapsed.as_millis() > 0 {
        parts.push(format_duration(step.elapsed));
    }
    if step.cached {
        parts.push("from the cache".to_owned());
    }
    if let Some(age) = step.stale {
        parts.push(format!("stale by {}", format_duration(age)));
    }
    if let Some(note) = &step.note {
        parts.push(note.to_string());
    }
    parts.join(", ")
}
