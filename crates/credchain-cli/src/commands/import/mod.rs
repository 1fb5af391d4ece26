//! `resolve import FILE`

mod dotenv;
mod fnox;
mod manifest;
mod secretspec;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use credchain::config::Loaded;
use credchain::{Credchain, LinkName};

use crate::app::App;
use crate::failure::Failure;

/// Arguments of `import`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve import .env --to age       move a `.env` file into the encrypted store\n  \
    resolve import --from secretspec   take over the declarations of `secretspec.toml`\n  \
    resolve import --from fnox         take over the declarations of `fnox.toml`\n\n\
    A `.env` file is stored value by value, each is read back and compared, and every key\n\
    is declared in `credchain.toml`. The file itself stays until you delete it.\n\
    From other tools' files only declarations are taken; nothing of theirs is run.")]
pub(crate) struct Args {
    /// The file [default with --from: the tool's usual one]
    #[arg(value_name = "FILE", required_unless_present = "from")]
    file: Option<PathBuf>,
    /// What kind of file it is [default: by its name]
    #[arg(long, value_enum, value_name = "FORMAT")]
    from: Option<Format>,
    /// Store the values at this provider
    #[arg(long, value_name = "LINK")]
    to: Option<LinkName>,
    /// Replace different values that are stored already
    #[arg(long)]
    overwrite: bool,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A `.env` file
    Dotenv,
    /// `secretspec.toml`
    Secretspec,
    /// `fnox.toml`
    Fnox,
}

impl Format {
    fn of(path: &Path) -> Self {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("secretspec.toml") => Self::Secretspec,
            Some("fnox.toml") => Self::Fnox,
            _ => Self::Dotenv,
        }
    }

    fn usual(self) -> &'static str {
        match self {
            Self::Dotenv => ".env",
            Self::Secretspec => "secretspec.toml",
            Self::Fnox => "fnox.toml",
        }
    }
}

/// Imports a file of either kind.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let (file, format) = match (&args.file, args.from) {
        (Some(file), from) => (file.clone(), from.unwrap_or_else(|| Format::of(file))),
        (None, Some(from)) => (from.usual().into(), from),
        (None, None) => return Err(Failure::usage("no file was named")),
    };
    if format != Format::Dotenv && (args.to.is_some() || args.overwrite) {
        return Err(Failure::usage(
            "`--to` and `--overwrite` are for the values of a `.env` file",
        ));
    }
    let credchain = app.open()?;
    match format {
        Format::Dotenv => dotenv::import(&credchain, &file, args, app)?,
        Format::Secretspec => manifest::import(&credchain, &file, secretspec::read, app)?,
        Format::Fnox => manifest::import(&credchain, &file, fnox::read, app)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The file that declarations are added to.
fn config_file(loaded: &Loaded) -> Result<PathBuf, Failure> {
    match loaded.project_file() {
        Some(file) => Ok(file.path().to_owned()),
        None => Err(Failure::usage_with(
            "there is no `credchain.toml` to declare credentials in",
            "`resolve init` writes one",
        )),
    }
}

/// What was allowed stays allowed when this command itself adds to the configuration; what needed
/// the user's word before still does.
fn keep_trust(before: &Credchain, after: &Credchain) -> Result<(), Failure> {
    if after.verdict().is_trusted() {
        return Ok(());
    }
    // SECURITY: trust is for every profile, so what none of them may do yet must not come along.
    let store = super::trust::store(after)?;
    let review = store.review(before.loaded(), before.registry());
    if review.is_ok_and(|review| review.is_trusted()) {
        store.record(after.loaded())?;
    }
    Ok(())
}
