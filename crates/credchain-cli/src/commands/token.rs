//! `resolve token NAME`, and logging in for a token.

use std::io::Write as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use credchain::audit_log::Action;
use credchain::oauth2::{LoggedOut, Show, Step, TokenSource};
use credchain::{Context, Credchain, Error, Kind, Name};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::output::printable_line;

/// Arguments of `token`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    curl -H \"$(resolve token crm --header)\" https://api.example.com/items\n  \
    resolve token crm --json             also when it ends, and what it may do\n\n\
    A token is requested once for all programs of this user and replaced a minute before its end.")]
pub(crate) struct Args {
    /// A token's name, as in `[oauth2.NAME]`
    #[arg(value_name = "NAME")]
    pub(crate) name: Name,
    /// Print the whole header, `Authorization: Bearer ...`
    #[arg(long)]
    pub(crate) header: bool,
}

/// `token --json`
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u8,
    name: &'a str,
    token: &'a str,
    expires_in: u64,
    scopes: &'a [String],
}

/// Prints a token that is good for a while.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let cx = credchain.resolver().context();
    let source = source(&credchain, &args.name)?;
    let token = if let Some(token) = source.kept(&cx) {
        token
    } else {
        let token = app.wait(source.token(&cx))?;
        credchain.audit_after(Action::TokenAcquire, None, Some(&args.name), &token);
        token?
    };
    let output = app.output();
    if output.is_json() {
        output.json(&Document {
            version: 1,
            name: args.name.as_str(),
            token: token.secret().expose_text().unwrap_or_default(),
            expires_in: left(token.expires(), &cx).as_secs(),
            scopes: token.scopes(),
        })?;
    } else if args.header {
        output.data(b"Authorization: ")?;
        output.data(token.authorization().expose())?;
        output.data(b"\n")?;
    } else {
        super::get::print(token.secret(), app)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The source of a token; the nearest name where there is none of this.
fn source<'a>(credchain: &'a Credchain, name: &Name) -> Result<&'a TokenSource, Failure> {
    credchain.token_source(name).map_err(|error| {
        let declared: Vec<Name> = credchain.project().oauth2.keys().cloned().collect();
        let unknown = !credchain.project().oauth2.contains_key(name);
        match crate::app::nearest(name, &declared).filter(|_| unknown) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")).into(),
            None => error.into(),
        }
    })
}

/// What is known of a token without asking for it, in words.
pub(crate) fn state(
    credchain: &Credchain,
    name: &Name,
    app: &App,
) -> Result<Result<String, Error>, Failure> {
    let cx = credchain.resolver().context();
    let source = match credchain.token_source(name) {
        Ok(source) => source,
        Err(error) => return Ok(Err(error.for_credential(name))),
    };
    Ok(app.wait(source.status(&cx))?.and_then(|status| {
        if let Some(end) = status.expires {
            let left = credchain::format_duration(left(end, &cx));
            return Ok(format!("a token for another {left}"));
        }
        if status.needs_login {
            let error = Error::new(Kind::Unauthenticated, "nobody is logged in");
            return Err(error
                .for_credential(name)
                .with_hint(format!("`resolve login {name}`")));
        }
        Ok("no token yet; `--online` requests one".to_owned())
    }))
}

/// Logs a person in, so that there are tokens from now on.
pub(crate) fn log_in(credchain: &Credchain, name: &Name, app: &App) -> Result<ExitCode, Failure> {
    let cx = credchain.resolver().context();
    let source = source(credchain, name)?;
    let browser = app.interactive() && app.env().text("SSH_CONNECTION").is_none();
    // It takes as long as it takes: nothing is to be drawn over what the person has to do.
    let token = credchain::block_on(source.log_in(Arc::new(Shown { browser }), &cx))?;
    credchain.audit_after(Action::Login, None, Some(name), &token);
    let token = token.map_err(|error| match error.kind() {
        Kind::Unsupported => error.with_hint(format!(
            "nobody logs in for `{name}`; `grant = \"device_code\"` or `\"authorization_code\"` leaves \
             it to a person"
        )),
        _ => error,
    })?;
    let left = credchain::format_duration(left(token.expires(), &cx));
    let output = app.output();
    if output.is_json() {
        let document =
            serde_json::json!({ "version": 1, "name": name.as_str(), "logged_in": true });
        output.json(&document)?;
    } else {
        output.note(&format!(
            "logged in for `{name}`; the first token holds for {left}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives up what is kept of a token.
pub(crate) fn log_out(credchain: &Credchain, name: &Name, app: &App) -> Result<ExitCode, Failure> {
    let cx = credchain.resolver().context();
    let source = source(credchain, name)?;
    let done = app.wait(source.log_out(&cx))?;
    credchain.audit_after(Action::Logout, None, Some(name), &done);
    let done = done.map_err(|error| match error.kind() {
        Kind::NotFound => {
            Error::new(Kind::NotFound, "no token and no login is kept").for_credential(name)
        }
        _ => error,
    })?;
    let (revoked, text) = match &done {
        LoggedOut::Revoked => (
            true,
            "the server has revoked it, and it is gone from here".into(),
        ),
        LoggedOut::NotRevoked(error) => (
            false,
            format!("gone from here, but not revoked: {}", error.message()),
        ),
        _ => (
            false,
            "gone from here; as far as is known, the server revokes nothing".into(),
        ),
    };
    let output = app.output();
    if output.is_json() {
        output.json(
            &serde_json::json!({ "version": 1, "name": name.as_str(), "revoked": revoked }),
        )?;
    } else {
        output.note(&format!("logged out of `{name}`: {text}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn left(end: SystemTime, cx: &Context) -> Duration {
    let left = end.duration_since(cx.clock().now()).unwrap_or_default();
    Duration::from_secs(left.as_secs())
}

/// Tells on standard error, and opens a browser where somebody sits before one.
#[derive(Debug)]
struct Shown {
    browser: bool,
}

impl Show for Shown {
    fn show(&self, step: &Step) -> Result<(), Error> {
        let (text, page) = match step {
            Step::Device {
                url,
                code,
                complete,
                left,
                ..
            } => {
                let (url, code) = (printable_line(url), printable_line(code));
                let left = credchain::format_duration(*left);
                (
                    format!("Open {url} on any device and enter the code {code} (within {left})."),
                    complete.as_ref(),
                )
            }
            Step::Browser { url, left, .. } => {
                let left = credchain::format_duration(*left);
                (
                    format!("Log in here (within {left}):\n{}", printable_line(url)),
                    Some(url),
                )
            }
            _ => return Err(Error::unsupported("this way of logging in")),
        };
        let told = writeln!(std::io::stderr().lock(), "{text}");
        if let Some(page) = page.filter(|_| self.browser) {
            open(page);
        }
        told.map_err(|error| {
            Error::new(Kind::Internal, "what to do cannot be shown").with_source(error)
        })
    }
}

/// Opens a page in the person's browser, if there is one; the address has been shown in any case.
fn open(page: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let mut command = Command::new(opener);
    command
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    drop(command.spawn());
}
