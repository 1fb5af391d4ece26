//! `cargo xtask servers up`: the servers of the tests, for trying things by hand.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use credchain_tests::servers::{Moto, OpenBao, Orders, SecretService};

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
    let (orders, bao) = (Orders::start(), OpenBao::dev());
    let (moto, keyring) = (Moto::start(), SecretService::start());
    let mut out = std::io::stdout().lock();
    writeln!(out, "# the examples' API, PostgreSQL and mail server")?;
    for (name, value) in orders.places() {
        writeln!(out, "{name}={value}")?;
    }
    for (name, value) in orders.secrets() {
        writeln!(out, "{name}='{value}'")?;
    }
    let (address, token) = (bao.url(), bao.root_token());
    writeln!(
        out,
        "# OpenBao, KV v2 at `secret`\nVAULT_ADDR={address}\nVAULT_TOKEN='{token}'"
    )?;
    let endpoint = moto.endpoint();
    writeln!(
        out,
        "# moto in place of AWS, which accepts any key\nAWS_ENDPOINT_URL={endpoint}\n\
         AWS_REGION=eu-central-1\nAWS_ACCESS_KEY_ID=test\nAWS_SECRET_ACCESS_KEY=test"
    )?;
    let bus = keyring.bus_address();
    writeln!(
        out,
        "# gnome-keyring, unlocked\nDBUS_SESSION_BUS_ADDRESS={bus}"
    )?;
    out.flush()?;
    drop(out);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
