//! A service whose database user is made by Vault: at each line of its input it asks the database
//! who it is.
//!
//! The lease of the user is renewed in the background for as long as the service runs. Each request
//! asks for the user and its password anew, which costs nothing while the lease lives, and gives new
//! ones when it does not, for example because the machine slept.
//!
//! ```text
//! DATABASE=db.example.com:5432 cargo run --example service --features vault
//! ```

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program has an environment and an output"
)]

use std::error::Error;
use std::process::Command;

use credchain::{Credchain, Name};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let credentials = Credchain::open()?;
    let database = std::env::var("DATABASE")?;
    let mut requests = BufReader::new(stdin()).lines();
    while requests.next_line().await?.is_some() {
        println!("{}", who_am_i(&credentials, &database).await?);
    }
    credentials.close().await?;
    Ok(())
}

async fn who_am_i(credentials: &Credchain, database: &str) -> Result<String, Box<dyn Error>> {
    // Together, so that both are of one user.
    let names: [Name; 2] = ["db_user".parse()?, "db_password".parse()?];
    let mut both = Vec::new();
    for resolution in credentials.resolve_many(&names).await {
        let secret = resolution.result?;
        both.push(secret.expose_text().ok_or("not text")?.to_owned());
    }
    let [user, password] = both.as_slice() else {
        return Err("two answers to two questions".into());
    };
    let (host, port) = database.split_once(':').ok_or("HOST:PORT")?;
    let output = Command::new("psql")
        .args(["-XAtqw", "-h", host, "-p", port, "-U", user])
        .args(["-d", "postgres", "-c", "select current_user"])
        .env("PGPASSWORD", password)
        .output()?;
    if !output.status.success() {
        return Err("the database refused".into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
