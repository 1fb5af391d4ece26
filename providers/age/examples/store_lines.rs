//! Stores each line `ENTRY=VALUE` of the standard input in a store, and names each entry once it
//! is safely there.
//!
//! `store_lines credchain.age IDENTITY < lines`

use std::error::Error;
use std::io::{BufRead as _, Write as _};

use credchain_core::{Context, Provider as _, Secret, SetOptions, block_on};
use credchain_provider_age::{Age, StoreSettings};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), Some(identity)) = (arguments.next(), arguments.next()) else {
        return Err("usage: store_lines STORE IDENTITY < LINES".into());
    };
    let store = Age::new(StoreSettings::new(path).with_identity(identity));
    let cx = Context::system();
    let mut done = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (entry, value) = line.split_once('=').ok_or("a line is `ENTRY=VALUE`")?;
        let (reference, value) = (entry.parse()?, Secret::new(value));
        block_on(store.set(&reference, &value, &SetOptions::default(), &cx))??;
        writeln!(done, "{entry}")?;
        done.flush()?;
    }
    Ok(())
}
