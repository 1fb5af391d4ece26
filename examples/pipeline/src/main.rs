//! Fetches orders from an HTTP API, stores them in a database, mails a report.
//!
//! Where the credentials come from is no concern of this program: `credchain.toml` says it.

mod api;
mod database;
mod mail;
mod settings;

use std::error::Error;
use std::process::ExitCode;

use credchain::Credentials as _;
use settings::Settings;

// ANCHOR: main
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    // One resolution for all: if something is missing, this error lists everything that is.
    let settings = credchain::block_on(Settings::load())??;

    let orders = api::fetch(&settings.api_url, &settings.api_key)?;
    database::store(&settings.db_url, &settings.db_password, &orders)?;
    mail::report(&settings.mail_url, &settings.mail_password, &orders)?;
    println!("{} orders fetched, stored and reported", orders.len());
    Ok(())
}
// ANCHOR_END: main
