//! `resolve get NAME|URI`

use std::io::IsTerminal as _;
use std::process::ExitCode;

use base64::Engine as _;
use credchain::{Credchain, Error, Kind, Resolution, Secret, Version};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;

/// Arguments of `get`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve get api_key\n  \
    resolve get api_key@previous          an earlier version\n  \
    resolve get vault://prod/db#password  one place at one provider\n  \
    API_KEY=$(resolve get api_key)        in a script")]
pub(crate) struct Args {
    /// A credential's name, `NAME@VERSION`, or an address `LINK://PATH[#FIELD][?version=V]`
    #[arg(value_name = "NAME|URI")]
    pub(crate) name: String,
}

/// `get --json`
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u8,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    link: Option<String>,
    reference: Option<String>,
    secret_version: Option<String>,
    stale: bool,
}

/// Prints the exact bytes; a newline is added only for a person to see the prompt again.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let secret = resolve(&args.name, &credchain, app)?;
    let output = app.output();
    if output.is_json() {
        output.json(&Document::new(&args.name, &secret))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&secret, app)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a value as it is.
pub(crate) fn print(secret: &Secret, app: &App) -> Result<(), Failure> {
    let output = app.output();
    output.data(secret.expose())?;
    if std::io::stdout().is_terminal() && !secret.expose().ends_with(b"\n") {
        output.data(b"\n")?;
    }
    Ok(())
}

fn resolve(asked: &str, credchain: &Credchain, app: &App) -> Result<Secret, Failure> {
    let resolver = credchain.resolver();
    let resolution: Resolution = if asked.contains("://") {
        let address = asked.parse().map_err(|error: Error| malformed(&error))?;
        app.wait(resolver.resolve_address(&address))?
    } else if let Some((name, version)) = asked.split_once('@') {
        let name = App::name(name)?;
        if version == "previous" && credchain.rotatable().any(|one| *one == name) {
            return Ok(app.wait(credchain.previous(&name))??);
        }
        let version = Version::new(version);
        let version = version.map_err(|error| malformed(&error))?;
        app.wait(resolver.resolve_version(&name, &version))?
    } else {
        let name = App::name(asked)?;
        let answer = resolver.resolve(&name);
        if credchain.is_at_hand(&name) {
            app.wait_at_hand(answer)?
        } else {
            app.wait(answer)?
        }
    };
    resolution
        .result
        .map_err(|error| suggest(error, credchain).into())
}

fn malformed(error: &Error) -> Failure {
    Failure::Usage {
        message: error.message().to_owned(),
        hint: error.hint().map(str::to_owned),
    }
}

/// Adds the nearest declared name to a miss of an undeclared one, or else how to supply it.
fn suggest(error: Error, credchain: &Credchain) -> Error {
    let Some(name) = error.credential().cloned() else {
        return error;
    };
    if error.kind() != Kind::NotFound || error.hint().is_some() {
        return error;
    }
    let resolver = credchain.resolver();
    if resolver.credential(&name).is_some() {
        return super::check::with_advice(credchain, &name, error);
    }
    let declared = credchain.declared().unwrap_or_default();
    match crate::app::nearest(&name, &declared) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!(
            "`resolve explain {name}` shows every link that was asked"
        )),
    }
}

impl<'a> Document<'a> {
    fn new(asked: &'a str, secret: &'a Secret) -> Self {
        let meta = secret.meta();
        let value = secret.expose_text();
        let encoded = || base64::engine::general_purpose::STANDARD.encode(secret.expose());
        Self {
            version: 1,
            name: asked,
            value,
            value_base64: value.is_none().then(encoded),
            link: meta.link.as_ref().map(ToString::to_string),
            reference: meta.reference.as_ref().map(ToString::to_string),
            secret_version: meta.version.as_ref().map(ToString::to_string),
            stale: meta.stale.is_some(),
        }
    }
}
