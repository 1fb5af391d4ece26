//! The Azure CLI, which knows who is logged in on a developer's machine.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use credchain_core::{Context, is_own_secret};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::client::Ask;
use crate::error::Failure;
use crate::failed::{Failed, LOGIN, Problem};
use crate::login::{seconds, until};
use crate::token::Token;

/// What the CLI is called.
const PROGRAMS: &[&str] = if cfg!(windows) { &["az.cmd"] } else { &["az"] };

/// The longest that it may take, whatever the caller's patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of its output is read.
const MAX_OUTPUT: usize = 64 << 10;

/// A token of whoever is logged in; nothing if there is no Azure CLI.
pub(crate) async fn token(ask: Ask<'_>) -> Result<Option<Token>, Problem> {
    let Some(program) = find(ask.cx) else {
        return Ok(None);
    };
    tracing::debug!("logging in to Azure as whoever the Azure CLI is");
    let mut command = Command::new(&program);
    command
        .args(["account", "get-access-token", "--output", "json", "--scope"])
        .arg(format!("{}/.default", ask.session.target.resource));
    if let Some(tenant) = ask.settings.auth.tenant(ask.cx)? {
        command.args(["--tenant", &tenant]);
    }
    command
        .env_clear()
        .envs(environment(ask))
        // Nothing that lies in a project's directory has a say in what it does.
        .current_dir(program.parent().unwrap_or(Path::new("/")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it says may quote what it was given, and is for nobody but its own users.
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let left = ask
        .cx
        .remaining()
        .map_or(PATIENCE, |left| left.min(PATIENCE));
    let Some(output) = ask.cx.clock().timeout(left, run(command)).await else {
        return Err(Failed::new(LOGIN, Failure::Late).into());
    };
    let output = output.ok_or_else(|| Failed::new(LOGIN, Failure::NoCli))?;
    let token = read(&output, ask.cx).map_err(|failure| Failed::new(LOGIN, failure))?;
    Ok(Some(token))
}

/// Its output, if it succeeds.
async fn run(mut command: Command) -> Option<Zeroizing<Vec<u8>>> {
    let mut child = command.spawn().ok()?;
    let stdout = child.stdout.take()?;
    // As large as it may become, so that no smaller copy is left behind.
    let mut output = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT + 64));
    stdout
        .take(MAX_OUTPUT as u64)
        .read_to_end(&mut output)
        .await
        .ok()?;
    let status = child.wait().await.ok()?;
    status.success().then_some(output)
}

fn read(output: &[u8], cx: &Context) -> Result<Token, Failure> {
    #[derive(Deserialize)]
    struct Told<'a> {
        #[serde(borrow, rename = "accessToken")]
        access_token: Cow<'a, str>,
        // Older ones tell the end in local time only, which is not worth the trouble.
        #[serde(default)]
        expires_on: Value,
    }
    let told: Told<'_> = serde_json::from_slice(output).map_err(|_| Failure::NoCli)?;
    let now = cx.clock().now();
    let life = seconds(&told.expires_on).and_then(|end| until(end, now));
    Token::new(&told.access_token, life, now)
}

/// Where it is. Relative entries of `PATH` do not count: what a project's directory holds is not
/// run.
fn find(cx: &Context) -> Option<PathBuf> {
    let path = cx.env().get("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .flat_map(|directory| PROGRAMS.iter().map(move |program| directory.join(program)))
        .find(|program| program.is_file())
}

/// The caller's environment without credchain's own secrets and those of other links.
fn environment(ask: Ask<'_>) -> Vec<(OsString, OsString)> {
    let withheld = &ask.settings.auth.withheld;
    let kept = |name: &OsString| {
        let name = name.to_string_lossy();
        !is_own_secret(&name) && !withheld.iter().any(|other| *other == name)
    };
    let mut variables = ask.cx.env().all();
    variables.retain(|(name, _)| kept(name));
    variables
}
