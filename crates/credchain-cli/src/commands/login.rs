//! `resolve login NAME`, `resolve logout NAME`

use std::io::IsTerminal as _;
use std::process::ExitCode;

use credchain::audit_log::Action;
use credchain::{Address, Credchain, Interactive, Kept, Link, LinkName, Secret};
use serde::Serialize;

use super::providers::IdentityRow;
use super::set;
use crate::app::App;
use crate::failure::Failure;
use crate::files;
use crate::output::printable_line;
use crate::target::Target;
use crate::terminal;

/// More than any password has.
const MAX_ANSWER: u64 = 64 << 10;

/// Arguments of `login`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve login vault              asks for the password, without showing it\n  \
    pass show vault | resolve login vault\n  \
    resolve login crm                a token of `[oauth2.crm]`: on another device, or in a browser\n\n\
    Vault's token is kept where the link's `auth` says, else where the backend's own tool keeps it\n\
    (`~/.vault-token`), so that what runs later needs no password.")]
pub(crate) struct Args {
    /// The link of the chain to log in to, or the token of `[oauth2]` to log in for
    #[arg(value_name = "NAME")]
    name: String,
}

/// Arguments of `logout`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  resolve logout vault    revokes the token and deletes it")]
pub(crate) struct LogoutArgs {
    /// The link of the chain to log out of, or the token of `[oauth2]`
    #[arg(value_name = "NAME")]
    name: String,
}

/// `login --json`, `logout --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    link: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityRow>,
    kept: String,
}

/// Asks, logs in, and says as whom and where the token is kept.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    #[cfg(feature = "oauth2")]
    if let Some(token) = token(&credchain, &args.name) {
        return super::token::log_in(&credchain, &token, app);
    }
    let (link, login) = interactive(&credchain, &args.name)?;
    let answer = answer(&login.question(), app)?;
    let cx = credchain.resolver().context();
    let done = app.wait(login.log_in(&answer, &cx))?;
    let done = done.map_err(|error| error.at(link.name().clone()));
    credchain.audit_after(Action::Login, Some(link.name()), None, &done);
    let done = done?;
    let kept = keep(&done.kept, &credchain, app)?;
    let identity = IdentityRow::new(done.identity, &cx);
    let output = app.output();
    if output.is_json() {
        output.json(&Document::new(link, Some(identity), kept))?;
    } else {
        output.note(&format!(
            "logged in to `{}` {}; the token is kept in `{}`",
            link.name(),
            identity.text(),
            printable_line(&kept)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends the login that is kept.
pub(crate) fn log_out(args: &LogoutArgs, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    #[cfg(feature = "oauth2")]
    if let Some(token) = token(&credchain, &args.name) {
        return super::token::log_out(&credchain, &token, app);
    }
    let (link, login) = interactive(&credchain, &args.name)?;
    let cx = credchain.resolver().context();
    let kept = app.wait(login.log_out(&cx))?;
    let kept = kept.map_err(|error| error.at(link.name().clone()));
    credchain.audit_after(Action::Logout, Some(link.name()), None, &kept);
    let kept = kept?;
    let place = match &kept {
        Kept::Credential(name, _) => {
            let target = Target::Named(name.clone());
            let address = target.address(&credchain, None)?;
            app.wait(credchain.delete_at(&address))??;
            address.to_string()
        }
        other => shown(other),
    };
    let output = app.output();
    if output.is_json() {
        output.json(&Document::new(link, None, place))?;
    } else {
        output.note(&format!(
            "logged out of `{}`: the token is revoked and gone from `{}`",
            link.name(),
            printable_line(&place)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The token of this name. Links and tokens have one name space.
#[cfg(feature = "oauth2")]
fn token(credchain: &Credchain, name: &str) -> Option<credchain::Name> {
    let name = name.parse().ok()?;
    credchain
        .project()
        .oauth2
        .contains_key(&name)
        .then_some(name)
}

fn interactive<'a>(
    credchain: &'a Credchain,
    name: &str,
) -> Result<(&'a Link, &'a dyn Interactive), Failure> {
    let name: &LinkName = &name
        .parse()
        .map_err(|error: credchain::NameError| Failure::usage(error.to_string()))?;
    let link = credchain.link(name)?;
    if let Some(untrusted) = credchain.verdict().link(name) {
        return Err(untrusted.error().into());
    }
    let login = link.provider().as_interactive().ok_or_else(|| {
        Failure::usage_with(
            format!("nobody logs in to `{name}` by hand: its settings say how it logs in"),
            "`auth = { method = \"userpass\", username = \"…\" }` without `password` leaves it to you, at Vault; \
             cloud providers are logged in to with their own tools",
        )
    })?;
    Ok((link, login))
}

fn answer(question: &str, app: &App) -> Result<Secret, Failure> {
    if !std::io::stdin().is_terminal() {
        let bytes = files::limited(std::io::stdin().lock(), MAX_ANSWER)
            .map_err(|error| Failure::io("reading the answer from standard input", error))?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        return given(Secret::new(line.to_vec()));
    }
    if !app.interactive() {
        return Err(Failure::usage_with(
            "there is nobody to ask",
            "pass the answer on standard input",
        ));
    }
    let mut prompt = printable_line(question);
    if let Some(first) = prompt.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    given(terminal::ask_secret(&format!("{prompt} (not shown): "))?)
}

fn given(answer: Secret) -> Result<Secret, Failure> {
    if answer.is_empty() {
        return Err(Failure::usage("nothing was typed; nobody was logged in"));
    }
    Ok(answer)
}

/// Stores a token that belongs into a credential; tells where it is.
fn keep(kept: &Kept, credchain: &Credchain, app: &App) -> Result<String, Failure> {
    let Kept::Credential(name, Some(token)) = kept else {
        return Ok(shown(kept));
    };
    let target = Target::Named(name.clone());
    let address: Address = target.address(credchain, None)?;
    set::warn_of_clear_text(credchain, &address.link, app);
    let options = credchain::SetOptions::default();
    let written = app.wait(credchain.set(name, token, None, &options))??;
    if let Some(earlier) = &written.shadowed_by {
        set::warn_shadowed(name, earlier, app);
    }
    Ok(address.to_string())
}

fn shown(kept: &Kept) -> String {
    match kept {
        Kept::File(file) => file.display().to_string(),
        Kept::Credential(name, _) => name.to_string(),
        _ => String::new(),
    }
}

impl Document {
    fn new(link: &Link, identity: Option<IdentityRow>, kept: String) -> Self {
        Self {
            version: 1,
            link: link.name().to_string(),
            identity,
            kept,
        }
    }
}
