//! `resolve set NAME`

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use credchain::{
    Address, Credchain, Error, Expect, Kind, LinkName, Name, Secret, SetOptions, Version,
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::app::App;
use crate::failure::Failure;
use crate::files;
use crate::target::{Place, Target};
use crate::terminal;

/// More than any backend takes, so that reading ends.
const MAX_VALUE: u64 = 64 << 20;

/// Arguments of `set`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    override_usage = "resolve set [OPTIONS] <NAME|URI>",
    after_help = "Examples:\n  \
    resolve set api_key                         asks for the value, without showing it\n  \
    pbpaste | resolve set api_key --trim        from another program\n  \
    resolve set tls_key --file server.key       from a file\n  \
    resolve set db_password --to dotenv         at another provider than the usual one\n  \
    resolve set vault://prod/db#password        at one place of one provider\n\n\
    A value never comes from an argument: those are seen by every user of the machine\n\
    (`ps`) and kept in the shell's history."
)]
pub(crate) struct Args {
    /// A credential's name, or an address `LINK://PATH[#FIELD]`
    #[arg(value_name = "NAME|URI")]
    name: String,
    /// Only there to tell what is wrong with it, without repeating it.
    #[arg(hide = true, allow_hyphen_values = true)]
    value: Vec<OsString>,
    /// Store it at this provider
    #[arg(long, value_name = "LINK")]
    to: Option<LinkName>,
    /// Read the value from this file
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Drop one line ending from the end of the value
    #[arg(long)]
    trim: bool,
    /// Write only if this is what is there: `absent`, or a version
    #[arg(long, value_name = "absent|VERSION", value_parser = expect)]
    expect: Option<Expect>,
}

/// `set --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    name: String,
    #[serde(flatten)]
    place: Place,
    secret_version: String,
    shadowed_by: Option<String>,
}

/// Reads the value and stores it.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    if !args.value.is_empty() {
        return Err(Failure::usage_with(
            "a value is not taken from an argument: every user of this machine sees it in `ps`, \
             and the shell keeps it in its history",
            "run it without the value to be asked for it, or pipe it in; and change the value \
             that was just typed if others may have seen it",
        ));
    }
    let target = Target::parse(&args.name, args.to.as_ref())?;
    let credchain = app.open()?;
    // What cannot be written is said before anybody types a value.
    target.address(&credchain, args.to.as_ref())?;
    let value = value(args, &target, app)?;
    let options = SetOptions::expecting(args.expect.clone().unwrap_or_default());
    store(&credchain, &target, &value, args.to.as_ref(), &options, app)?;
    Ok(ExitCode::SUCCESS)
}

fn expect(text: &str) -> Result<Expect, String> {
    if text == "absent" {
        return Ok(Expect::Absent);
    }
    Version::new(text)
        .map(Expect::Version)
        .map_err(|error| error.message().to_owned())
}

fn value(args: &Args, target: &Target, app: &App) -> Result<Secret, Failure> {
    if let Some(path) = &args.file {
        return Ok(trimmed(files::read(path, MAX_VALUE)?, args.trim, app));
    }
    if !std::io::stdin().is_terminal() {
        let bytes = files::limited(std::io::stdin().lock(), MAX_VALUE)
            .map_err(|error| Failure::io("reading the value from standard input", error))?;
        return Ok(trimmed(bytes, args.trim, app));
    }
    if !app.interactive() {
        return Err(Failure::usage_with(
            "there is no value, and nobody to ask",
            "pass it on standard input, or with `--file`",
        ));
    }
    ask_twice(&target.shown())
}

/// Asks for a value that nobody sees, so that a slip of the finger is noticed now.
fn ask_twice(name: &str) -> Result<Secret, Failure> {
    let value = terminal::ask_secret(&format!("Value of `{name}` (not shown): "))?;
    if value.is_empty() {
        return Err(Failure::usage("no value was typed; nothing was stored"));
    }
    let again = terminal::ask_secret("The same once more: ")?;
    if value.same_value(&again) {
        return Ok(value);
    }
    Err(Failure::usage("the two values differ; nothing was stored"))
}

/// Takes one line ending off the end, or tells that there is one.
fn trimmed(mut bytes: Zeroizing<Vec<u8>>, trim: bool, app: &App) -> Secret {
    if bytes.ends_with(b"\n") {
        if trim {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        } else {
            app.output().warn(
                "the value ends with a line ending, which is stored with it; `--trim` drops it",
            );
        }
    }
    Secret::new(std::mem::take(&mut *bytes))
}

/// SECURITY: `[chain] write` may be the word of whoever wrote the repository.
pub(crate) fn warn_of_clear_text(credchain: &Credchain, link: &LinkName, app: &App) {
    let clear = credchain
        .resolver()
        .link(link)
        .is_some_and(|link| !link.provider().capabilities().encrypted);
    if clear && !app.output().is_json() {
        app.output().warn(&format!(
            "`{link}` keeps values in clear; it is used because `[chain] write` says so"
        ));
    }
}

/// Stores a value and says where it went.
pub(crate) fn store(
    credchain: &Credchain,
    target: &Target,
    value: &Secret,
    to: Option<&LinkName>,
    options: &SetOptions,
    app: &App,
) -> Result<(), Failure> {
    let address = target.address(credchain, to)?;
    refuse_empty(credchain, target, value)?;
    let options = &checked(credchain, &address, options, app)?;
    if to.is_none() && matches!(target, Target::Named(_)) {
        warn_of_clear_text(credchain, &address.link, app);
    }
    let (version, shadowed_by) = match target {
        Target::At(address) => (app.wait(credchain.set_at(address, value, options))??, None),
        Target::Named(name) => {
            let written = app.wait(credchain.set(name, value, to, options))??;
            (written.version, written.shadowed_by)
        }
    };
    let output = app.output();
    if output.is_json() {
        output.json(&Document {
            version: 1,
            name: target.shown(),
            place: Place::of(&address),
            secret_version: version.to_string(),
            shadowed_by: shadowed_by.as_ref().map(ToString::to_string),
        })?;
    } else {
        let versions = credchain
            .link(&address.link)?
            .provider()
            .capabilities()
            .versions;
        let version = if versions {
            format!(", version {version}")
        } else {
            String::new()
        };
        output.note(&format!(
            "stored `{}` at `{address}`{version}",
            target.shown()
        ));
    }
    if let (Some(name), Some(earlier)) = (target.name(), &shadowed_by) {
        warn_shadowed(name, earlier, app);
    }
    if let Some(name) = target.name() {
        tell_undeclared(credchain, name, &address, app);
    }
    Ok(())
}

/// What was stored is not what is used.
pub(crate) fn warn_shadowed(name: &Name, earlier: &LinkName, app: &App) {
    app.output().warn(&format!(
        "`{earlier}` comes earlier in the chain of `{name}` and has a value of its own, which is \
         the one that is used"
    ));
}

/// For a declared secret an empty value counts as a mistake wherever it is read.
fn refuse_empty(credchain: &Credchain, target: &Target, value: &Secret) -> Result<(), Failure> {
    let Some(name) = target.name().filter(|_| value.is_empty()) else {
        return Ok(());
    };
    let allowed = credchain
        .project()
        .credentials
        .get(name)
        .is_none_or(|spec| spec.allow_empty || !spec.secret);
    if allowed {
        return Ok(());
    }
    Err(
        Error::new(Kind::Invalid, "the value is empty; nothing was stored")
            .for_credential(name)
            .with_hint(format!(
                "`allow_empty = true` in `[credentials.{name}]` permits it"
            ))
            .into(),
    )
}

/// A backend that cannot compare and write in one step is asked first, which is the best that can
/// be had there.
fn checked(
    credchain: &Credchain,
    address: &Address,
    options: &SetOptions,
    app: &App,
) -> Result<SetOptions, Failure> {
    let link = credchain.link(&address.link)?;
    if options.expect != Expect::Absent || link.provider().capabilities().compare_and_set {
        return Ok(options.clone());
    }
    let cx = credchain.resolver().context();
    match app.wait(link.provider().get(&address.reference, &cx))? {
        Err(error) if error.kind().is_miss() => Ok(SetOptions::expecting(Expect::Any)),
        Err(error) => Err(error.at(address.link.clone()).into()),
        Ok(_) => Err(Error::new(Kind::Conflict, "there is a value already")
            .at(address.link.clone())
            .into()),
    }
}

/// What is stored under a name that nothing declares is found by `get` alone.
fn tell_undeclared(credchain: &Credchain, name: &Name, at: &Address, app: &App) {
    let loaded = credchain.loaded();
    if !loaded.configured || loaded.project.declares(name) {
        return;
    }
    let file = loaded.project_file().map_or_else(
        || "credchain.toml".to_owned(),
        |file| file.path().display().to_string(),
    );
    app.output().note(&format!(
        "`{name}` is not declared: `get` finds it, `exec`, `export` and `check` leave it out. To \
         declare it, add this to `{file}`:\n\n{}",
        crate::declare::Declaration::for_stored(name, at)
            .to_toml()
            .trim_end()
    ));
}
