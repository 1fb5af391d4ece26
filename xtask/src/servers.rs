//! `cargo xtask servers up`: what the example pipelines talk to, for trying them by hand.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use credchain_tests::servers::Orders;

use crate::run::{Failure, Outcome};
use crate::tools;

/// Starts the servers and prints their settings as the lines of a `.env` file, until Ctrl-C.
///
/// The servers belong to a second process, which Ctrl-C does not reach: it notices that this one
/// is gone, and then stops them in order and clears up.
pub(crate) fn up() -> Outcome {
    tools::debian_packages()?;
    tools::python()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["servers", "serve"]).stdin(Stdio::piped());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn()?;
    eprintln!("Ctrl-C stops the servers");
    // Kept until this process ends: `wait` would close it.
    let _until_the_end = child.stdin.take();
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new("the servers did not start"))
    }
}

/// The second process: serves until its standard input ends.
pub(crate) fn serve() -> Outcome {
    let orders = Orders::start();
    let mut out = std::io::stdout().lock();
    for (name, value) in orders.places() {
        writeln!(out, "{name}={value}")?;
    }
    for (name, value) in orders.secrets() {
        writeln!(out, "{name}='{value}'")?;
    }
    out.flush()?;
    drop(out);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
