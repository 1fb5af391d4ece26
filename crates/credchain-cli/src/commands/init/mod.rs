//! `resolve init`

mod config;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use credchain::age::{Age, Passphrase, Protection, Recipient, StoreSettings};
use credchain::config::{Discovery, Role};
use credchain::{Context, Credchain, Environment, Error, Kind, Secret};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::files;
use crate::ignore;
use crate::terminal;

/// The project's configuration.
const CONFIG: &str = "credchain.toml";

/// The store that is committed with the project.
const STORE: &str = "credchain.age";

/// Arguments of `init`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve init\n  \
    resolve init --name pipeline\n  \
    resolve init --passphrase        your private key asks for a passphrase\n\n\
    It adds secret files to `.gitignore`, makes a private key for you (once, outside the\n\
    project), writes `credchain.toml` and makes an encrypted store that can be committed.\n\
    Nothing that exists is overwritten.")]
pub(crate) struct Args {
    /// The project's name [default: the directory's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Protect a new private key with a passphrase
    #[arg(long)]
    passphrase: bool,
    /// Also inside of another project
    #[arg(long)]
    nested: bool,
}

/// `init --json`
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u8,
    directory: &'a Path,
    created: &'a [String],
    kept: &'a [String],
    recipient: String,
    identity: &'a Path,
}

/// What happened to each part.
#[derive(Debug, Default)]
struct Report {
    created: Vec<String>,
    kept: Vec<String>,
}

/// The user's private key.
#[derive(Debug)]
struct Identity {
    path: PathBuf,
    recipient: Recipient,
}

/// Sets everything up in an order in which no secret file exists before it is ignored.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    if app.global().config.is_some() {
        return Err(Failure::usage(
            "`init` writes `credchain.toml` in the working directory",
        ));
    }
    config::check_name(args.name.as_deref())?;
    let root = App::working_directory()?;
    refuse_nested(&root, args)?;
    let world = World::new(app);
    let mut report = Report::default();
    report.part(
        ignore::add(&root.join(".gitignore"), ignore::USUAL)?,
        ".gitignore",
    );
    let identity = identity(args, &world, &mut report, app)?;
    let written = config::write(&root, args.name.as_deref())?;
    report.part(written.is_some(), CONFIG);
    let opened = world.open(&root)?;
    let locked = store(&root, &opened, &identity, &world, &mut report)?;
    if written.is_some() {
        trust(&opened, app)?;
    }
    tell(&root, &report, &identity, written.as_deref(), app)?;
    if locked {
        app.output().warn(&format!(
            "your key does not open `{STORE}`. Somebody whose key does can add it:\n\n  \
             resolve recipients add {}",
            identity.recipient.key()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// A second configuration further down would hide the first from everything below it.
fn refuse_nested(root: &Path, args: &Args) -> Result<(), Failure> {
    let above = root
        .ancestors()
        .skip(1)
        .find(|above| above.join(CONFIG).is_file());
    match above {
        Some(above) if !args.nested && !root.join(CONFIG).exists() => Err(Failure::usage_with(
            format!(
                "this directory belongs to the project in `{}`",
                above.display()
            ),
            "`--nested` makes a project of its own here",
        )),
        _ => Ok(()),
    }
}

/// The process's environment without what points at another configuration.
struct World {
    env: Environment,
    prompt: Option<Arc<dyn credchain::Prompt>>,
}

impl World {
    fn new(app: &App) -> Self {
        let all = app.env().all().into_iter();
        let own = all.filter(|(name, _)| {
            !name.to_str().is_some_and(|name| {
                matches!(
                    name,
                    "CREDCHAIN_CONFIG" | "CREDCHAIN_FOUND_CONFIG" | "CREDCHAIN_PROFILE"
                )
            })
        });
        Self {
            env: Environment::fixed(own),
            prompt: app.prompt(),
        }
    }

    fn context(&self) -> Context {
        let context = Context::system().with_env(self.env.clone());
        match &self.prompt {
            Some(prompt) => context.with_interactive(true).with_prompt(prompt.clone()),
            None => context,
        }
    }

    fn open(&self, root: &Path) -> Result<Credchain, Failure> {
        Ok(Credchain::opener()
            .directory(root)
            .context(self.context())
            .open()?)
    }
}

/// The private key: the one there is, or a new one.
fn identity(
    args: &Args,
    world: &World,
    report: &mut Report,
    app: &App,
) -> Result<Identity, Failure> {
    if world.env.text("CREDCHAIN_IDENTITY").is_some() {
        return Err(Failure::usage_with(
            "`CREDCHAIN_IDENTITY` is set, so a new key would not be used",
            "unset it, or put the key into a file and name that in `CREDCHAIN_IDENTITY_FILE`",
        ));
    }
    let named = world.env.text("CREDCHAIN_IDENTITY_FILE").map(PathBuf::from);
    let usual = Discovery::new(".", world.env.clone())
        .config_home
        .map(|home| home.join("identity"));
    let Some(path) = named.clone().or(usual) else {
        return Err(Error::new(
            Kind::Misconfigured,
            "there is no home directory for your key",
        )
        .with_hint("set HOME or XDG_CONFIG_HOME")
        .into());
    };
    if named.is_some() || path.symlink_metadata().is_ok() {
        let recipient = credchain::age::recipients_of(&path, &world.context())?
            .into_iter()
            .next();
        let recipient = recipient.ok_or_else(|| {
            Error::new(
                Kind::Misconfigured,
                format!("`{}` holds no key", path.display()),
            )
        })?;
        report.kept.push(format!("your key `{}`", path.display()));
        return Ok(Identity { path, recipient });
    }
    let passphrase = if args.passphrase {
        Some(passphrase(world, app)?)
    } else {
        None
    };
    let recipient = credchain::age::generate_identity(&path, passphrase.as_ref())?;
    report
        .created
        .push(format!("your key `{}`", path.display()));
    Ok(Identity { path, recipient })
}

fn passphrase(world: &World, app: &App) -> Result<Passphrase, Failure> {
    let typed = match world.env.text("CREDCHAIN_PASSPHRASE") {
        Some(set) => Secret::new(set),
        None if !app.interactive() => {
            return Err(Failure::usage_with(
                "there is nobody to ask for a passphrase",
                "set CREDCHAIN_PASSPHRASE",
            ));
        }
        None => {
            let typed = terminal::ask_secret("A passphrase for your key (not shown): ")?;
            if !typed.same_value(&terminal::ask_secret("The same once more: ")?) {
                return Err(Failure::usage(
                    "the two passphrases differ; no key was made",
                ));
            }
            typed
        }
    };
    Ok(Passphrase::new(&typed)?)
}

/// Makes the store; tells whether there is one that the key does not open.
fn store(
    root: &Path,
    opened: &Credchain,
    identity: &Identity,
    world: &World,
    report: &mut Report,
) -> Result<bool, Failure> {
    let uses_it = opened
        .project()
        .providers
        .values()
        .any(|spec| spec.type_name == "age");
    if !uses_it {
        return Ok(false);
    }
    let settings = StoreSettings::new(root.join(STORE)).with_identity(&identity.path);
    let store = Age::new(settings);
    if store.settings().path().symlink_metadata().is_ok() {
        report.kept.push(STORE.to_owned());
        let opens = credchain::block_on(store.protection(&world.context()))?;
        return Ok(opens.is_err_and(|error| error.kind() == Kind::Unauthenticated));
    }
    let label = world.env.text("USER").unwrap_or_default();
    let recipient = identity.recipient.clone();
    let recipient = recipient.clone().with_label(&label).unwrap_or(recipient);
    credchain::block_on(store.create_store(Protection::Recipients(vec![recipient])))??;
    report.created.push(STORE.to_owned());
    Ok(false)
}

/// What this command wrote is the user's own word; a local file that was there before is not.
fn trust(opened: &Credchain, app: &App) -> Result<(), Failure> {
    if opened
        .loaded()
        .files
        .iter()
        .any(|file| file.role == Role::Local)
    {
        app.output()
            .note("`credchain.local.toml` was there before: look at it, then `resolve trust`");
        return Ok(());
    }
    Ok(super::trust::store(opened)?.record(opened.loaded())?)
}

impl Report {
    fn part(&mut self, created: bool, what: &str) {
        if created {
            &mut self.created
        } else {
            &mut self.kept
        }
        .push(what.to_owned());
    }
}

fn tell(
    root: &Path,
    report: &Report,
    identity: &Identity,
    declared: Option<&[String]>,
    app: &App,
) -> Result<(), Failure> {
    let output = app.output();
    if output.is_json() {
        return output.json(&Document {
            version: 1,
            directory: root,
            created: &report.created,
            kept: &report.kept,
            recipient: identity.recipient.key().to_owned(),
            identity: &identity.path,
        });
    }
    for what in &report.created {
        output.note(&format!("wrote   {what}"));
    }
    for what in &report.kept {
        output.note(&format!("exists  {what}"));
    }
    output.note(&format!(
        "\nYour public key, for others to share a store with you:\n  {}",
        identity.recipient.key()
    ));
    if report
        .created
        .iter()
        .any(|what| what.starts_with("your key"))
    {
        output.note(&format!(
            "Keep a copy of `{}` somewhere safe: without it nothing in the store can be read",
            identity.path.display()
        ));
    }
    if report.created.is_empty() {
        output.note("\nThis project is set up already; nothing was changed");
    }
    output.note(&format!("\nNext:\n{}", next(root, declared)));
    Ok(())
}

/// The next two commands to type.
fn next(root: &Path, declared: Option<&[String]>) -> String {
    let filled = files::read(&root.join(".env"), 16 << 20).is_ok_and(|bytes| !bytes.is_empty());
    if filled {
        return "  resolve import .env --to age   move what `.env` holds into the store\n  \
                resolve check                  see that everything is there"
            .to_owned();
    }
    let first = declared
        .and_then(<[String]>::first)
        .map_or("api_key", String::as_str);
    format!(
        "  resolve set {first}   store a credential (asks for the value)\n  \
         resolve get {first}   print it"
    )
}
