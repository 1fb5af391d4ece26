//! `resolve recipients add|remove|list`

use std::path::Path;
use std::process::ExitCode;

use credchain::age::{Age, Protection, Recipient, Removed};
use credchain::{Credchain, Error, LinkName};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::files;

/// The longest file of keys that is read.
const MAX_KEYS: u64 = 1 << 20;

/// Arguments of `recipients`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve recipients list\n  \
    resolve recipients add age1… --label alice\n  \
    resolve recipients add ~/.ssh/id_ed25519.pub\n  \
    resolve recipients remove alice")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    /// The age store, if there are several
    #[arg(long, global = true, value_name = "LINK")]
    link: Option<LinkName>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Show who can open the store
    List,
    /// Let one more key, or every key in a file, open the store
    Add {
        /// `age1…`, `ssh-ed25519 …`, `ssh-rsa …`, or a file with such lines
        #[arg(value_name = "KEY|FILE")]
        key: String,
        /// Whose key it is
        #[arg(long, value_name = "NAME")]
        label: Option<String>,
    },
    /// Encrypt the store anew without one of its keys
    Remove {
        /// The key, or its label
        #[arg(value_name = "KEY|LABEL")]
        key: String,
        /// Also if nobody here could open the store afterwards
        #[arg(long)]
        force: bool,
    },
}

/// `recipients … --json`
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u8,
    link: &'a str,
    store: String,
    passphrase: bool,
    recipients: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Row {
    key: String,
    label: Option<String>,
}

/// Opens the store and does what was asked.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let link = store_link(&credchain, args.link.as_ref())?;
    let store = credchain.age_store(&link)?;
    let notice = match &args.action {
        Action::List => None,
        Action::Add { key, label } => {
            add(&credchain, &link, &store, key, label.as_deref(), app)?;
            None
        }
        Action::Remove { key, force } => {
            remove(&credchain, &link, &store, key, *force, app)?;
            Some(Removed::NOTICE)
        }
    };
    if app.output().is_json() || matches!(args.action, Action::List) {
        list(&credchain, &link, &store, notice, app)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The named age store, or the only one there is.
fn store_link(credchain: &Credchain, asked: Option<&LinkName>) -> Result<LinkName, Failure> {
    let is_age = |name: &LinkName| {
        credchain
            .project()
            .providers
            .get(name)
            .is_some_and(|spec| spec.type_name == "age")
    };
    if let Some(name) = asked {
        credchain.link(name)?;
        return if is_age(name) {
            Ok(name.clone())
        } else {
            Err(Failure::usage(format!("`{name}` is no age store")))
        };
    }
    let all: Vec<&LinkName> = credchain
        .project()
        .providers
        .keys()
        .filter(|name| is_age(name))
        .collect();
    match all.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(Failure::usage_with(
            "this project has no age store",
            "`resolve init` makes one",
        )),
        several => {
            let names: Vec<_> = several.iter().map(|name| format!("`{name}`")).collect();
            let hint = format!("choose with `--link`: {}", names.join(", "));
            Err(Failure::usage_with(
                "this project has several age stores",
                hint,
            ))
        }
    }
}

fn list(
    credchain: &Credchain,
    link: &LinkName,
    store: &Age,
    notice: Option<&'static str>,
    app: &App,
) -> Result<(), Failure> {
    let cx = credchain.resolver().context();
    let protection = credchain::block_on(store.protection(&cx))?.map_err(at(link))?;
    let passphrase = matches!(protection, Protection::Passphrase(_));
    let recipients = match protection {
        Protection::Recipients(list) => list,
        _ => Vec::new(),
    };
    let output = app.output();
    if output.is_json() {
        let rows = recipients.iter().map(|one| Row {
            key: one.key().to_owned(),
            label: one.label().map(str::to_owned),
        });
        return output.json(&Document {
            version: 1,
            link: link.as_str(),
            store: store.settings().path().display().to_string(),
            passphrase,
            recipients: rows.collect(),
            notice,
        });
    }
    if passphrase {
        output.note("the store is protected by a passphrase, not by keys");
    }
    let mut lines = String::new();
    for one in &recipients {
        lines += &format!(
            "{one}
"
        );
    }
    output.data(lines.as_bytes())
}

fn add(
    credchain: &Credchain,
    link: &LinkName,
    store: &Age,
    key: &str,
    label: Option<&str>,
    app: &App,
) -> Result<(), Failure> {
    let recipients = parse(key, label)?;
    let cx = credchain.resolver().context();
    for recipient in recipients {
        let shown = shown(&recipient);
        let new = credchain::block_on(store.add_recipient(recipient, &cx))?.map_err(at(link))?;
        let what = if new {
            "can open the store now"
        } else {
            "could open the store already"
        };
        app.output().note(&format!("{shown} {what}"));
    }
    Ok(())
}

/// A key, or the keys in a file.
fn parse(text: &str, label: Option<&str>) -> Result<Vec<Recipient>, Failure> {
    let unusable = |error: &Error| {
        Failure::usage_with(
            error.message().to_owned(),
            "a public key begins with `age1`, `ssh-ed25519` or `ssh-rsa`",
        )
    };
    let labelled = |recipient: Recipient| match label {
        Some(label) => recipient
            .with_label(label)
            .map_err(|error| unusable(&error)),
        None => Ok(recipient),
    };
    // A private key in the place of a public one must not be repeated by any message.
    if text.to_ascii_uppercase().contains("AGE-SECRET-KEY") {
        return Err(Failure::usage_with(
            "this is a private key: keep it to yourself",
            "its public key begins with `age1`; `age-keygen -y` shows it. Now that the private \
             one was typed, other users of this machine and the shell's history may have it",
        ));
    }
    if !Path::new(text).is_file() {
        let recipient = text
            .parse::<Recipient>()
            .map_err(|error| unusable(&error))?;
        return Ok(vec![labelled(recipient)?]);
    }
    let bytes = files::read(Path::new(text), MAX_KEYS)?;
    let content = String::from_utf8_lossy(&bytes);
    if content.contains("AGE-SECRET-KEY") || content.contains("PRIVATE KEY") {
        return Err(Failure::usage_with(
            format!("`{text}` holds a private key"),
            "name the file with the public one",
        ));
    }
    let lines = content.lines().map(str::trim);
    let keys: Vec<Recipient> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.parse::<Recipient>().map_err(|error| unusable(&error)))
        .map(|parsed| parsed.and_then(labelled))
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(Failure::usage(format!("`{text}` holds no public key")));
    }
    Ok(keys)
}

fn remove(
    credchain: &Credchain,
    link: &LinkName,
    store: &Age,
    who: &str,
    force: bool,
    app: &App,
) -> Result<(), Failure> {
    let cx = credchain.resolver().context();
    let removed =
        credchain::block_on(store.remove_recipient(who, force, &cx))?.map_err(at(link))?;
    let others = if removed.remaining == 1 {
        "1 key opens"
    } else {
        "keys open"
    };
    let count = if removed.remaining == 1 {
        String::new()
    } else {
        format!("{} ", removed.remaining)
    };
    app.output().note(&format!(
        "{} cannot open the store any more; {count}{others} it",
        shown(&removed.recipient)
    ));
    app.output().warn(Removed::NOTICE);
    Ok(())
}

fn shown(recipient: &Recipient) -> String {
    let key = recipient.key();
    match recipient.label() {
        Some(label) => format!("`{key}` ({label})"),
        None => format!("`{key}`"),
    }
}

fn at(link: &LinkName) -> impl Fn(Error) -> Error + '_ {
    |error| error.at(link.clone())
}
