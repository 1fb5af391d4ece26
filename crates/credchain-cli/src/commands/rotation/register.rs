//! `resolve rotation register`

use std::process::ExitCode;
use std::time::Duration;

use credchain::rotate::{Entry, Register, rfc3339};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve rotation register api_key --created 2026-01-15\n  \
    resolve rotation register \"GitHub token of the deploy user\" --created 2026-03-01 --every 30d\n\n\
    The dates are kept in credchain.rotation.toml beside the configuration. It holds no value:\n\
    commit it, and everybody sees the same ages.")]
pub(crate) struct Args {
    /// A credential, or any other thing that becomes old
    #[arg(value_name = "NAME")]
    name: String,
    /// When its value was made: a date in `rotation.timezone`, or a moment [default: now]
    #[arg(long, value_name = "DATE", conflicts_with = "remove")]
    created: Option<String>,
    /// How old it may become, if the configuration does not say so [default: 90d]
    #[arg(long, value_name = "DURATION", value_parser = super::duration,
          conflicts_with = "remove")]
    every: Option<Duration>,
    /// Forget it instead
    #[arg(long)]
    remove: bool,
}

/// `rotation register --json`
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u8,
    name: &'a str,
    created: Option<String>,
    file: String,
}

/// Notes when a value was made.
pub(super) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let zone = credchain.zone()?;
    let (path, created) = if args.remove {
        let path = credchain.register_path()?;
        let profile = credchain.project().profile.clone();
        let known = Register::change(&path, &zone, |all| all.remove(&profile, &args.name))?;
        if !known {
            return Err(Failure::usage(format!("`{}` is not registered", args.name)));
        }
        (path, None)
    } else {
        let now = credchain.resolver().context().clock().now();
        let created = match &args.created {
            Some(date) => zone.parse(date)?,
            None => now,
        };
        let mut entry = Entry::new(created);
        entry.every = args.every;
        (credchain.register_age(&args.name, entry)?, Some(created))
    };
    let output = app.output();
    if output.is_json() {
        output.json(&Document {
            version: 1,
            name: &args.name,
            created: created.map(rfc3339),
            file: path.display().to_string(),
        })?;
    } else if let Some(created) = created {
        output.note(&format!(
            "registered `{}`, made on {}, in `{}`",
            args.name,
            zone.date(created),
            path.display()
        ));
    } else {
        output.note(&format!(
            "`{}` is no longer in `{}`",
            args.name,
            path.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}
