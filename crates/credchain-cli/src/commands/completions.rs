//! `resolve completions SHELL`

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::app::App;
use crate::cli::Cli;
use crate::failure::Failure;

/// Arguments of `completions`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve completions bash > ~/.local/share/bash-completion/completions/resolve\n  \
    resolve completions zsh > \"${fpath[1]}/_resolve\"\n  \
    resolve completions fish > ~/.config/fish/completions/resolve.fish\n  \
    resolve completions powershell | Out-String | Invoke-Expression")]
pub(crate) struct Args {
    /// The shell that the script is for
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script. It is made in memory first: the generator panics when it cannot write.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "resolve", &mut script);
    app.output().data(&script)?;
    Ok(ExitCode::SUCCESS)
}
