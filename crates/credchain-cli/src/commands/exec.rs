//! `resolve exec -- CMD…`

use std::ffi::OsString;
use std::process::ExitCode;

use crate::app::App;
use crate::failure::Failure;

/// Arguments of `exec`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    override_usage = "resolve exec [OPTIONS] -- COMMAND [ARGUMENT]...",
    after_help = "Examples:\n  \
    resolve exec -- python pipeline.py\n  \
    resolve exec --only api_key,db_password -- ./fetch.sh\n\n\
    The exit code is the program's own; 125 if it could not be started because a\n\
    credential is missing or refused, 126 if it cannot be executed, 127 if it does\n\
    not exist."
)]
pub(crate) struct Args {
    /// Inject only these credentials
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Start from a minimal environment instead of the caller's
    #[arg(long)]
    clean_env: bool,
    /// Replace this process with the program, which is what happens today in any case
    #[arg(long)]
    no_mask: bool,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Becomes the program, or waits for it where a file has to be removed or a lease to be renewed.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let (credchain, names) = app.open_injected(&args.only)?;
    let injection = crate::injection::Injection::prepare(&credchain, &names, app)?;
    let environment = injection.environment(&app.env(), args.clean_env, &credchain);
    injection.launch(&args.command, &environment, credchain)
}
