//! `resolve trust`

use std::process::ExitCode;

use crate::app::App;
use crate::failure::Failure;

/// Arguments of `trust`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {}

/// Opens the project.
pub(crate) fn run(_: &Args, app: &App) -> Result<ExitCode, Failure> {
    app.open()?;
    Ok(ExitCode::SUCCESS)
}
