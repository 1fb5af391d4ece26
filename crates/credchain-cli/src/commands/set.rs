//! `resolve set NAME`

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use credchain::{Expect, LinkName, Secret, SetOptions};

use crate::app::App;
use crate::failure::Failure;

/// Arguments of `set`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The credential's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Store it at this provider
    #[arg(long, value_name = "LINK")]
    to: Option<LinkName>,
    /// Read the value from this file
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

/// Reads the value and stores it.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io("reading standard input", error))?;
    let options = SetOptions::expecting(Expect::Any);
    store(
        &args.name,
        &Secret::new(bytes),
        args.to.as_ref(),
        &options,
        app,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Stores a value and says where it went.
pub(crate) fn store(
    name: &str,
    value: &Secret,
    to: Option<&LinkName>,
    options: &SetOptions,
    app: &App,
) -> Result<(), Failure> {
    let credchain = app.open()?;
    let name = App::name(name)?;
    let written = credchain::block_on(credchain.set(&name, value, to, options))??;
    app.output()
        .note(&format!("stored `{name}` at {}", written.address));
    Ok(())
}
