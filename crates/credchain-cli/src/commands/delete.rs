//! `resolve delete NAME`

use std::process::ExitCode;

use credchain::LinkName;
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::target::{Place, Target};
use crate::terminal;

/// Arguments of `delete`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve delete api_key\n  \
    resolve delete api_key --from dotenv --yes\n  \
    resolve delete age://default/api_key")]
pub(crate) struct Args {
    /// A credential's name, or an address `LINK://PATH[#FIELD]`
    #[arg(value_name = "NAME|URI")]
    name: String,
    /// Delete it at this provider [default: where `resolve set` writes it]
    #[arg(long, value_name = "LINK")]
    from: Option<LinkName>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// `delete --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    name: String,
    #[serde(flatten)]
    place: Place,
    deleted: bool,
}

/// Asks, deletes, and says where it was.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let target = Target::parse(&args.name, args.from.as_ref())?;
    let credchain = app.open()?;
    let address = target.address(&credchain, args.from.as_ref())?;
    let shown = target.shown();
    if !args.yes && !confirmed(&format!("Delete `{shown}` at `{address}`?"), app)? {
        app.output().note("nothing was deleted");
        return Ok(ExitCode::SUCCESS);
    }
    match target.name() {
        Some(name) => drop(app.wait(credchain.delete(name, args.from.as_ref()))??),
        None => app.wait(credchain.delete_at(&address))??,
    }
    let output = app.output();
    if output.is_json() {
        let place = Place::of(&address);
        output.json(&Document {
            version: 1,
            name: shown,
            place,
            deleted: true,
        })?;
    } else {
        output.note(&format!("deleted `{shown}` at `{address}`"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks a person; without one, only `--yes` will do.
pub(crate) fn confirmed(question: &str, app: &App) -> Result<bool, Failure> {
    if app.interactive() {
        return terminal::ask_yes(question);
    }
    Err(Failure::usage_with(
        "there is nobody to ask",
        "`--yes` does it without a question",
    ))
}
