//! One file for each command: its arguments, and `run`.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inject;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod man;
pub(crate) mod providers;
pub(crate) mod recipients;
pub(crate) mod redact;
pub(crate) mod rotation;
pub(crate) mod scan;
pub(crate) mod set;
#[cfg(feature = "oauth2")]
pub(crate) mod token;
pub(crate) mod trust;

use std::process::ExitCode;

use crate::app::App;
use crate::cli::Command;
use crate::failure::Failure;

/// Runs a command to its exit code.
pub(crate) fn run(command: Command, app: &App) -> Result<ExitCode, Failure> {
    match command {
        Command::Get(args) => get::run(&args, app),
        Command::Exec(args) => exec::run(&args, app),
        Command::Export(args) => export::run(&args, app),
        Command::Check(args) => check::run(&args, app),
        Command::Explain(args) => explain::run(&args, app),
        Command::Set(args) => set::run(&args, app),
        Command::Delete(args) => delete::run(&args, app),
        Command::List(args) => list::run(&args, app),
        Command::Import(args) => import::run(&args, app),
        #[cfg(feature = "oauth2")]
        Command::Token(args) => token::run(&args, app),
        Command::Audit(args) => audit::run(&args, app),
        Command::Rotation(args) => rotation::run(&args, app),
        Command::Login(args) => login::run(&args, app),
        Command::Logout(args) => login::log_out(&args, app),
        Command::Copy(args) => copy::run(&args, app),
        Command::Edit(args) => edit::run(&args, app),
        Command::Generate(args) => generate::run(&args, app),
        Command::Inject(args) => inject::run(&args, app),
        Command::Doctor(args) => doctor::run(&args, app),
        Command::Redact(args) => redact::run(&args, app),
        Command::Scan(args) => scan::run(&args, app),
        Command::Recipients(args) => recipients::run(&args, app),
        Command::Config(args) => config::run(&args, app),
        Command::Init(args) => init::run(&args, app),
        Command::Trust(args) => trust::run(&args, app),
        Command::Providers(args) => providers::run(&args, app),
        Command::Completions(args) => completions::run(&args, app),
        Command::Man(args) => man::run(&args, app),
    }
}
