//! `resolve config show|check|schema`

use std::process::ExitCode;

use credchain::config::Diagnostic;
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Style, printable};

/// Arguments of `config`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve config show                    every setting and where it was made\n  \
    resolve config check                   all mistakes at once\n  \
    resolve config schema > schema.json    for an editor")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Show every setting and where it was made
    Show,
    /// Show every mistake and every warning
    Check,
    /// Print the JSON schema of `credchain.toml`
    Schema,
}

/// `config show --json`
#[derive(Debug, Serialize)]
struct Shown {
    version: u8,
    project: String,
    profile: String,
    files: Vec<String>,
    settings: Vec<Setting>,
}

#[derive(Debug, Serialize)]
struct Setting {
    key: String,
    value: String,
    source: String,
}

/// `config check --json`
#[derive(Debug, Serialize)]
struct Checked {
    version: u8,
    ok: bool,
    diagnostics: Vec<Value>,
}

/// Does what was asked.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    match args.action {
        Action::Show => show(app),
        Action::Check => check(app),
        Action::Schema => schema(app),
    }
}

fn show(app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let loaded = credchain.loaded();
    let settings: Vec<Setting> = loaded
        .show()
        .into_iter()
        .map(|one| Setting {
            key: one.key,
            value: one.value,
            source: one.origin.to_string(),
        })
        .collect();
    let output = app.output();
    if output.is_json() {
        output.json(&Shown {
            version: 1,
            project: loaded.project.name.clone(),
            profile: loaded.project.profile.clone(),
            files: loaded
                .files
                .iter()
                .map(|file| file.path().display().to_string())
                .collect(),
            settings,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines: Vec<String> = settings
        .iter()
        .map(|one| format!("{} = {}", one.key, one.value))
        .collect();
    let width = lines
        .iter()
        .map(|line| line.chars().count())
        .filter(|n| *n <= 60)
        .max();
    let width = width.unwrap_or(0);
    let mut text = format!("# profile {}\n", printable(&loaded.project.profile));
    for (line, setting) in lines.iter().zip(&settings) {
        let source = output.style(Style::Dim, &format!("# {}", printable(&setting.source)));
        text += &format!("{:width$}  {source}\n", printable(line));
    }
    output.data(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn check(app: &App) -> Result<ExitCode, Failure> {
    let output = app.output();
    let credchain = match app.open() {
        Err(Failure::Config(diagnostics)) if output.is_json() => {
            let diagnostics = match diagnostics.to_json() {
                Value::Array(all) => all,
                one => vec![one],
            };
            output.json(&Checked {
                version: 1,
                ok: false,
                diagnostics,
            })?;
            return Ok(ExitCode::from(credchain::Kind::Misconfigured.exit_code()));
        }
        opened => opened?,
    };
    let loaded = credchain.loaded();
    if output.is_json() {
        let diagnostics = loaded.warnings.iter().map(Diagnostic::to_json).collect();
        output.json(&Checked {
            version: 1,
            ok: true,
            diagnostics,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let files: Vec<String> = loaded
        .files
        .iter()
        .map(|file| format!("`{}`", file.path().display()))
        .collect();
    let files = if files.is_empty() {
        "there is no configuration: `resolve init` writes one".to_owned()
    } else {
        files.join(", ")
    };
    let verdict = match loaded.warnings.len() {
        0 => "no mistakes".to_owned(),
        1 => "no mistakes, 1 warning".to_owned(),
        several => format!("no mistakes, {several} warnings"),
    };
    output.data(printable(&format!("{verdict}: {files}\n")).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn schema(app: &App) -> Result<ExitCode, Failure> {
    let registry = credchain::registry()?;
    app.output().json(&credchain::config::schema(&registry))?;
    Ok(ExitCode::SUCCESS)
}
