//! `resolve man`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::app::App;
use crate::cli::Cli;
use crate::failure::Failure;

/// Arguments of `man`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve man | man -l -\n  \
    resolve man --out ~/.local/share/man/man1    one page for each command")]
pub(crate) struct Args {
    /// Write one page for each command into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the page of `resolve`, or writes all pages.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    command.build();
    match &args.out {
        None => app.output().data(&page(&command, "resolve")?)?,
        Some(directory) => {
            let written = write_all(&command, directory)?;
            app.output().note(&format!(
                "wrote {written} pages to `{}`",
                directory.display()
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write_all(command: &clap::Command, directory: &Path) -> Result<usize, Failure> {
    std::fs::create_dir_all(directory)
        .map_err(|error| Failure::io(format!("making `{}`", directory.display()), error))?;
    let subcommands = command.get_subcommands().filter(|one| !one.is_hide_set());
    let pages = std::iter::once(("resolve".to_owned(), command)).chain(
        subcommands
            .filter(|one| one.get_name() != "help")
            .map(|one| (format!("resolve-{}", one.get_name()), one)),
    );
    let mut written = 0;
    for (name, command) in pages {
        let path = directory.join(format!("{name}.1"));
        std::fs::write(&path, page(command, &name)?)
            .map_err(|error| Failure::io(format!("writing `{}`", path.display()), error))?;
        written += 1;
    }
    Ok(written)
}

fn page(command: &clap::Command, name: &str) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    // clap keeps names for as long as the program runs; these are few and short.
    let name: &'static str = name.to_owned().leak();
    clap_mangen::Man::new(command.clone().name(name))
        .title(name.to_uppercase())
        .render(&mut page)
        .map_err(|error| Failure::io("making the page", error))?;
    Ok(page)
}
