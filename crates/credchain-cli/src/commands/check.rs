//! `resolve check`

use std::process::ExitCode;

use credchain::rotate::Status as Age;
use credchain::{Credchain, Error, Name, Outcome, Resolution};
use serde::Serialize;

use crate::app::{App, chosen};
use crate::failure::{self, FINDINGS, Failure};
use crate::output::{Output, Style, printable, printable_line};
use crate::shell::Shell;

/// Values shorter than this are easily guessed.
const SHORT: usize = 8;

/// Arguments of `check`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve check\n  \
    resolve check --strict --json\n\n\
    Exit codes: 0 all are there; 3 some are missing; 4, 5, 6, 7 something is denied,\n\
    unavailable, misconfigured or not trusted; 8 with --strict, only warnings.")]
pub(crate) struct Args {
    /// Also fail on warnings: empty, short or stale values, and those whose rotation is due
    #[arg(long)]
    strict: bool,
    /// Ask every backend, never a cache; request tokens too
    #[arg(long)]
    online: bool,
    /// Check only these credentials
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// `check --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    ok: bool,
    credentials: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    status: Status,
    link: Option<String>,
    kind: Option<&'static str>,
    fix: Option<String>,
    #[serde(skip)]
    detail: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Default,
    Warning,
    Missing,
    Failed,
}

/// Resolves everything and tells about each.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let (credchain, declared) = app.open_declared()?;
    let names = if args.names.is_empty() {
        declared
    } else {
        chosen(&args.names, &declared, &credchain)?
    };
    let (tokens, names) = if args.online {
        (Vec::new(), names)
    } else {
        names
            .into_iter()
            .partition(|name| is_token(&credchain, name))
    };
    // A fresh process has no cache of its own: values are asked for in any case.
    let mut resolutions = app.resolve(&credchain, &names)?;
    refuse(&credchain, &names, &mut resolutions);
    let mut rows: Vec<Row> = names
        .iter()
        .zip(&resolutions)
        .map(|(name, resolution)| Row::new(&credchain, name, resolution))
        .collect();
    warn_of_age(&credchain, &names, &resolutions, &mut rows)?;
    let mut errors: Vec<Error> = resolutions
        .into_iter()
        .filter_map(|r| r.result.err())
        .collect();
    for name in &tokens {
        match token_state(&credchain, name, app)? {
            Ok(state) => rows.push(Row::token(name, state)),
            Err(error) => {
                rows.push(Row::failed(&credchain, name, &error, None));
                errors.push(error);
            }
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let warned = rows.iter().any(|row| row.status == Status::Warning);
    let code = match (errors.is_empty(), args.strict && warned) {
        (false, _) => failure::kind(&errors).exit_code(),
        (true, true) => FINDINGS,
        (true, false) => 0,
    };
    if app.output().is_json() {
        app.output().json(&Document {
            version: 1,
            ok: code == 0,
            credentials: rows,
        })?;
    } else {
        print(&rows, &credchain, app)?;
    }
    Ok(ExitCode::from(code))
}

/// Whether it is a token, which is requested only when somebody wants it.
fn is_token(credchain: &Credchain, name: &Name) -> bool {
    cfg!(feature = "oauth2") && credchain.project().oauth2.contains_key(name)
}

/// What is known of a token without asking for it.
#[cfg(feature = "oauth2")]
fn token_state(
    credchain: &Credchain,
    name: &Name,
    app: &App,
) -> Result<Result<String, Error>, Failure> {
    super::token::state(credchain, name, app)
}

#[cfg(not(feature = "oauth2"))]
#[expect(clippy::unnecessary_wraps, reason = "the same face as with tokens")]
fn token_state(_: &Credchain, _: &Name, _: &App) -> Result<Result<String, Error>, Failure> {
    Ok(Ok(String::new()))
}

/// What is there and too old, or within days of it.
fn warn_of_age(
    credchain: &Credchain,
    names: &[Name],
    resolutions: &[Resolution],
    rows: &mut [Row],
) -> Result<(), Failure> {
    let created = resolutions
        .iter()
        .map(|one| one.result.as_ref().ok()?.meta().created);
    let now = credchain.resolver().context().clock().now();
    for age in credchain.judge_ages(names.iter().zip(created), now)? {
        let text = match age.status {
            Age::Expired => "its rotation is overdue",
            Age::Urgent => "its rotation is due",
            _ => continue,
        };
        let row = rows.iter_mut().find(|row| row.name == age.name);
        if let Some(row) = row.filter(|row| row.status == Status::Ok) {
            row.status = Status::Warning;
            row.detail = Some(format!("{text}: `resolve rotation status {}`", age.name));
        }
    }
    Ok(())
}

/// What resolves and must not be handed to a program is no more there than what does not resolve.
fn refuse(credchain: &Credchain, names: &[Name], resolutions: &mut [Resolution]) {
    for error in credchain.refused_injections(names) {
        let at = names
            .iter()
            .position(|name| error.credential() == Some(name));
        if let Some(at) = at
            && credchain.is_injected(&names[at])
        {
            resolutions[at].result = Err(error);
        }
    }
}

impl Row {
    fn new(credchain: &Credchain, name: &Name, resolution: &Resolution) -> Self {
        let link = resolution
            .trace
            .steps
            .last()
            .map(|step| step.link.to_string());
        let row = |status, detail| Self {
            name: name.to_string(),
            status,
            link: link.clone(),
            kind: None,
            fix: None,
            detail,
        };
        match &resolution.result {
            Ok(secret) => {
                let default = matches!(
                    resolution.trace.steps.last().map(|step| step.outcome),
                    Some(Outcome::Default)
                );
                // Without a configuration nobody has said that these are secrets worth a warning.
                let secrets = credchain.loaded().configured && credchain.is_secret(name);
                let warning = if default || !secrets {
                    None
                } else if secret.is_empty() {
                    Some("it is empty")
                } else if secret.expose().len() < SHORT {
                    Some("it is short enough to be guessed, and too short to be masked safely")
                } else if secret.meta().stale.is_some() {
                    Some("its backend is unavailable; this is an older value")
                } else {
                    None
                };
                match warning {
                    Some(text) => row(Status::Warning, Some(text.to_owned())),
                    None if default => row(Status::Default, None),
                    None => row(Status::Ok, None),
                }
            }
            Err(error) => Self::failed(credchain, name, error, link),
        }
    }

    /// One that cannot be resolved; `last` is the link that was asked last.
    fn failed(credchain: &Credchain, name: &Name, error: &Error, last: Option<String>) -> Self {
        let missing = error.kind().is_miss();
        let fix = match error.hint() {
            Some(hint) => Some(hint.to_owned()),
            None if missing => advice(credchain, name),
            None => Some(format!("`resolve explain {name}` shows every link")),
        };
        let link = error.link().map(ToString::to_string).or(last);
        Self {
            name: name.to_string(),
            status: if missing {
                Status::Missing
            } else {
                Status::Failed
            },
            link: link.filter(|_| !missing),
            kind: Some(error.kind().as_str()),
            fix,
            detail: Some(error.message().to_owned()),
        }
    }

    /// A token that was not asked for.
    fn token(name: &Name, state: String) -> Self {
        Self {
            name: name.to_string(),
            status: Status::Ok,
            link: None,
            kind: None,
            fix: None,
            detail: Some(state),
        }
    }
}

fn print(rows: &[Row], credchain: &Credchain, app: &App) -> Result<(), Failure> {
    let output = app.output();
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        text += &line(row, width, output);
    }
    let bad: Vec<&Row> = rows
        .iter()
        .filter(|r| matches!(r.status, Status::Missing | Status::Failed))
        .collect();
    if rows.is_empty() {
        text += "nothing is declared: name what this project needs under `[credentials]` in its \
                 `credchain.toml`\n";
    } else if bad.is_empty() {
        let all = if rows.len() == 1 {
            "credential is"
        } else {
            "credentials are"
        };
        text += &format!("\n{} {all} there\n", rows.len());
    } else {
        text += &format!(
            "\n{} of {} cannot be resolved. To supply:\n",
            bad.len(),
            rows.len()
        );
        for row in bad {
            let fix = row.fix.as_deref().unwrap_or_default();
            text += &format!("  {:width$}  {}\n", row.name, printable(fix));
            let described = row
                .name
                .parse()
                .ok()
                .and_then(|name| credchain.description(&name));
            if let Some(description) = described {
                let described = format!("  {:width$}  {}", "", printable_line(&description));
                text += &format!("{}\n", output.style(Style::Dim, described.trim_end()));
            }
        }
    }
    output.data(text.as_bytes())
}

fn line(row: &Row, width: usize, output: &Output) -> String {
    let (mark, style) = match row.status {
        Status::Ok | Status::Default => ("ok", Style::Good),
        Status::Warning => ("warning", Style::Warning),
        Status::Missing => ("missing", Style::Bad),
        Status::Failed => ("failed", Style::Bad),
    };
    let mark = output.style(style, &format!("{mark:7}"));
    let mut about = row.link.clone().unwrap_or_default();
    if let Some(detail) = &row.detail {
        let kind = row
            .kind
            .filter(|kind| *kind != "not_found")
            .map(|kind| format!("{kind}: "));
        let detail = format!("{}{}", kind.unwrap_or_default(), printable_line(detail));
        about = if about.is_empty() {
            detail
        } else {
            format!("{about}: {detail}")
        };
    }
    format!(
        "{mark}  {:width$}  {}\n",
        row.name,
        output.style(Style::Dim, &about)
    )
    .replace("  \n", "\n")
}

/// The advice of [`advice`], on an error that has none of its own.
pub(crate) fn with_advice(credchain: &Credchain, name: &Name, error: Error) -> Error {
    if !error.kind().is_miss() || error.hint().is_some() {
        return error;
    }
    match advice(credchain, name) {
        Some(advice) => error.with_hint(advice),
        None => error,
    }
}

/// How the user can supply a missing credential, in the words of the user's shell.
pub(crate) fn advice(credchain: &Credchain, name: &Name) -> Option<String> {
    let resolver = credchain.resolver();
    let env = resolver.context().env().clone();
    let chain = resolver.chain(name);
    let mut ways = Vec::new();
    if let Ok(link) = credchain.write_link(name, None)
        && chain.iter().any(|other| other.name() == link.name())
    {
        ways.push(format!("`resolve set {name}`"));
    }
    let of_type = |wanted: &str| {
        let providers = &credchain.project().providers;
        let mut names = chain.iter().map(credchain::Link::name);
        let found = names.find(|link| providers.get(*link).is_some_and(|s| s.type_name == wanted));
        found.and_then(|link| credchain.variable_at(name, link))
    };
    if let Some(variable) = of_type("env") {
        ways.push(if env.text("GITHUB_ACTIONS").is_some() {
            format!("`env: {{ {variable}: ${{{{ secrets.{variable} }}}} }}` in the step")
        } else if env.text("CI").is_some() {
            format!("the variable `{variable}` in the job's settings")
        } else {
            format!("`{}`", Shell::of_user(&env).set(&variable))
        });
    }
    if ways.is_empty()
        && let Some(key) = of_type("dotenv")
    {
        ways.push(format!("a line `{key}=…` in `.env`"));
    }
    (!ways.is_empty()).then(|| ways.join(", or "))
}
