//! `resolve edit`

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use credchain::files::create_private;
use credchain::{
    Address, Credchain, Error, Expect, Kind, Link, LinkName, Name, Secret, SetOptions, Version,
    dotenv,
};
use zeroize::Zeroizing;

use crate::app::App;
use crate::commands::copy::writable;
use crate::commands::set::warn_shadowed;
use crate::failure::Failure;
use crate::files;
use crate::terminal;

/// The longest file that is read back.
const MAX_FILE: u64 = 64 << 20;

/// Arguments of `edit`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve edit\n  \
    resolve edit --link age\n  \
    VISUAL='code --wait' resolve edit\n\n\
    The values are written to a file in memory that you alone can read, which is removed\n\
    when the editor is left, however it is left. An editor that keeps backups, histories\n\
    or undo files elsewhere keeps your values there.")]
pub(crate) struct Args {
    /// Edit what this provider holds [default: where `resolve set` writes]
    #[arg(long, value_name = "LINK")]
    link: Option<LinkName>,
    /// Use the ordinary temporary directory where there is none in memory
    #[arg(long)]
    force: bool,
}

/// What a link held when the editor was started.
struct Before {
    link: Link,
    values: BTreeMap<Name, (Address, Option<Secret>)>,
    /// Declared, but its value cannot stand in a text file.
    left_out: Vec<Name>,
}

/// What the editor changed.
#[derive(Debug, Default)]
struct Changes {
    set: Vec<(Name, Secret)>,
    added: BTreeSet<Name>,
    removed: Vec<Name>,
}

/// Opens the editor, and writes what was changed in it.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let before = Before::read(&credchain, args.link.as_ref())?;
    let file = Scratch::new(args.force, app)?;
    file.write(&before.text())?;
    let changes = loop {
        edit(&file.path, app)?;
        match before.changes(&file.read()?) {
            Ok(changes) => break changes,
            Err(message) => {
                app.output().warn(&message);
                if !app.interactive() || !terminal::ask_yes("Edit again?")? {
                    return Err(Failure::usage("nothing was changed"));
                }
            }
        }
    };
    drop(file);
    apply(&credchain, &before, &changes, app)?;
    Ok(ExitCode::SUCCESS)
}

impl Before {
    fn read(credchain: &Credchain, link: Option<&LinkName>) -> Result<Self, Failure> {
        let names = credchain.declared()?;
        let link = match (link, names.first()) {
            (Some(name), _) => writable(credchain, name)?,
            (None, Some(name)) => credchain.write_link(name, None)?.clone(),
            (None, None) => {
                return Err(Failure::usage_with(
                    "nothing is declared, so there is nothing to edit",
                    "`resolve set NAME` stores a first one",
                ));
            }
        };
        let mut places = Vec::new();
        for name in names {
            if let Ok(reference) = credchain.resolver().place(&name, &link) {
                places.push((
                    name,
                    Address {
                        link: link.name().clone(),
                        reference,
                    },
                ));
            }
        }
        let references: Vec<_> = places.iter().map(|(_, at)| at.reference.clone()).collect();
        let cx = credchain.resolver().context();
        let answers = credchain::block_on(link.provider().get_many(&references, &cx))?;
        let mut before = Self {
            link,
            values: BTreeMap::new(),
            left_out: Vec::new(),
        };
        for ((name, address), answer) in places.into_iter().zip(answers) {
            match answer {
                Ok(secret) if dotenv::quote(secret.expose()).is_none() => {
                    before.left_out.push(name);
                }
                Ok(secret) => drop(before.values.insert(name, (address, Some(secret)))),
                Err(error) if error.kind().is_miss() => {
                    before.values.insert(name, (address, None));
                }
                Err(error) => return Err(error.at(before.link.name().clone()).into()),
            }
        }
        Ok(before)
    }

    /// What the editor shows.
    fn text(&self) -> Zeroizing<String> {
        let link = self.link.name();
        let mut text = Zeroizing::new(format!(
            "# What `{link}` holds. Save and leave to store what you changed; a line that you\n\
             # remove is deleted there. Values in single quotes are taken as they are.\n\n"
        ));
        for (name, (_, value)) in &self.values {
            match value
                .as_ref()
                .and_then(|value| dotenv::quote(value.expose()))
            {
                Some(quoted) => {
                    let quoted = Zeroizing::new(quoted);
                    text.reserve(name.as_str().len() + quoted.len() + 2);
                    text.push_str(name.as_str());
                    text.push('=');
                    text.push_str(&quoted);
                    text.push('\n');
                }
                None => text.push_str(&format!("# {name}=''\n")),
            }
        }
        for name in &self.left_out {
            text.push_str(&format!(
                "# {name} is no text: `resolve set {name} --file …` changes it\n"
            ));
        }
        text
    }

    /// What is different now; or in words why the file cannot be used.
    fn changes(&self, text: &[u8]) -> Result<Changes, String> {
        let expanded = std::cell::RefCell::new(BTreeSet::new());
        let lookup = |name: &str| {
            if !name.is_empty() {
                expanded.borrow_mut().insert(name.to_owned());
            }
            None
        };
        let parsed = dotenv::parse(text, &lookup).map_err(|error| error.message().to_owned())?;
        if let Some(warning) = parsed.warnings.first() {
            return Err(warning.to_string());
        }
        if let Some(name) = expanded.into_inner().first() {
            let name = crate::output::printable(name);
            return Err(format!(
                "`${{{name}}}` would be replaced: put the value in single quotes"
            ));
        }
        let mut changes = Changes::default();
        let mut seen = BTreeSet::new();
        for entry in parsed.entries {
            let place = || format!("line {}", entry.line);
            let name: Name = entry
                .key
                .parse()
                .map_err(|error| format!("{}: {error}", place()))?;
            let Some(value) = entry.value else {
                return Err(format!("{}: there is no `=`", place()));
            };
            if self.left_out.contains(&name) {
                return Err(format!(
                    "{}: `{name}` is no text and cannot be edited",
                    place()
                ));
            }
            let old = self.values.get(&name).and_then(|(_, old)| old.as_ref());
            seen.insert(name.clone());
            if old.is_some_and(|old| old.same_value(&value)) {
                continue;
            }
            if value.is_empty() {
                return Err(format!(
                    "{}: `{name}` is empty; remove the line to delete it",
                    place()
                ));
            }
            if old.is_none() {
                changes.added.insert(name.clone());
            }
            changes.set.push((name, value));
        }
        let stored = self.values.iter().filter(|(_, (_, value))| value.is_some());
        changes.removed = stored
            .map(|(name, _)| name)
            .filter(|name| !seen.contains(*name))
            .cloned()
            .collect();
        Ok(changes)
    }

    /// Where a name is, and what has to be there still.
    fn target(&self, credchain: &Credchain, name: &Name) -> Result<(Address, Expect), Error> {
        let compares = self.link.provider().capabilities().compare_and_set;
        let (address, old) = if let Some((address, old)) = self.values.get(name) {
            (address.clone(), old.as_ref())
        } else {
            let reference = credchain.resolver().place(name, &self.link)?;
            (
                Address {
                    link: self.link.name().clone(),
                    reference,
                },
                None,
            )
        };
        let version: Option<Version> = old.and_then(|old| old.meta().version.clone());
        let expect = match (compares, old, version) {
            (true, Some(_), Some(version)) => Expect::Version(version),
            (true, None, _) => Expect::Absent,
            _ => Expect::Any,
        };
        Ok((address, expect))
    }
}

fn apply(
    credchain: &Credchain,
    before: &Before,
    changes: &Changes,
    app: &App,
) -> Result<(), Failure> {
    let output = app.output();
    if changes.set.is_empty() && changes.removed.is_empty() {
        output.note("nothing was changed");
        return Ok(());
    }
    let mut removed = changes.removed.as_slice();
    if !removed.is_empty() && app.interactive() {
        let names: Vec<_> = removed.iter().map(|name| format!("`{name}`")).collect();
        if !terminal::ask_yes(&format!("Delete {}?", names.join(", ")))? {
            removed = &[];
        }
    }
    let mut written = Vec::new();
    for (name, value) in &changes.set {
        let (address, expect) = before.target(credchain, name)?;
        let options = SetOptions::expecting(expect);
        credchain::block_on(credchain.set_at(&address, value, &options))?
            .map_err(|error| changed_meanwhile(error).for_credential(name))?;
        written.push(name.clone());
        let what = if changes.added.contains(name) {
            "added"
        } else {
            "changed"
        };
        output.note(&format!("{what} `{name}` at `{address}`"));
    }
    for name in removed {
        let (address, _) = before.target(credchain, name)?;
        credchain::block_on(credchain.delete_at(&address))?
            .map_err(|error| error.for_credential(name))?;
        output.note(&format!("removed `{name}` at `{address}`"));
    }
    for (name, resolution) in written.iter().zip(app.resolve(credchain, &written)?) {
        let served = resolution
            .result
            .ok()
            .and_then(|secret| secret.meta().link.clone());
        if let Some(earlier) = served.filter(|link| link != before.link.name()) {
            warn_shadowed(name, &earlier, app);
        }
    }
    Ok(())
}

fn changed_meanwhile(error: Error) -> Error {
    if error.kind() == Kind::Conflict && error.hint().is_none() {
        return error.with_hint("somebody else changed it meanwhile: edit it again");
    }
    error
}

/// The file that the editor works on, in a directory of its own.
struct Scratch {
    // Removed with everything in it, also what an editor puts beside the file.
    directory: tempfile::TempDir,
    path: PathBuf,
}

impl Scratch {
    fn new(force: bool, app: &App) -> Result<Self, Failure> {
        let place = match files::memory(&app.env()) {
            Some(memory) => memory,
            None if force => std::env::temp_dir(),
            None => {
                return Err(Failure::usage_with(
                    "there is no directory that is kept in memory alone",
                    "`--force` uses the temporary directory, where the values may reach a disk",
                ));
            }
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix("credchain-edit-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o700));
        }
        let directory = builder
            .tempdir_in(&place)
            .map_err(|error| Failure::io(format!("using `{}`", place.display()), error))?;
        let path = directory.path().join("credentials.env");
        Ok(Self { directory, path })
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        create_private(&self.path, text.as_bytes()).map_err(|error| {
            let directory = self.directory.path().display();
            Failure::io(format!("writing below `{directory}`"), error)
        })
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        files::read(&self.path, MAX_FILE)
    }
}

/// Runs the editor. While it runs, Ctrl-C is the editor's, and this process stays to clean up.
fn edit(path: &Path, app: &App) -> Result<(), Failure> {
    let env = app.env();
    let Some(editor) = env
        .text("VISUAL")
        .or_else(|| env.text("EDITOR"))
        .or_else(|| usual(app))
    else {
        return Err(Failure::usage_with(
            "there is no terminal for an editor",
            "set VISUAL or EDITOR to a program that needs none",
        ));
    };
    let signals =
        signals::Held::start().map_err(|error| Failure::io("watching for signals", error))?;
    let status = command(&editor, path).status();
    let interrupted = signals.arrived();
    drop(signals);
    match status {
        // An editor that was ended, or that was told to give up.
        Ok(status) if !status.success() => Err(left(&editor, status, interrupted)),
        Ok(_) if interrupted == Some(signals::TERMINATE) => Err(Failure::Interrupted),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::io(format!("running the editor `{editor}`"), error)),
    }
}

/// The editor that every system has; it needs a person.
fn usual(app: &App) -> Option<String> {
    app.interactive()
        .then(|| if cfg!(windows) { "notepad" } else { "vi" }.to_owned())
}

fn left(editor: &str, status: ExitStatus, interrupted: Option<i32>) -> Failure {
    #[cfg(unix)]
    let by_signal = {
        use std::os::unix::process::ExitStatusExt as _;
        status.signal().is_some()
    };
    #[cfg(not(unix))]
    let by_signal = false;
    if by_signal || interrupted.is_some() {
        return Failure::Interrupted;
    }
    let name = editor.split_whitespace().next().unwrap_or_default();
    match status.code() {
        Some(127) => Failure::usage_with(
            format!("there is no editor `{name}`; nothing was changed"),
            "set VISUAL or EDITOR to one that is installed",
        ),
        _ => Failure::usage(format!("`{name}` ended with {status}; nothing was changed")),
    }
}

/// `$VISUAL` is a command line by convention, such as `code --wait`; it is the user's own.
#[cfg(unix)]
fn command(editor: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(path);
    command
}

#[cfg(not(unix))]
fn command(editor: &str, path: &Path) -> Command {
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("notepad"));
    command.args(words).arg(path);
    command
}

#[cfg(unix)]
mod signals {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use signal_hook::SigId;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

    pub(super) const TERMINATE: i32 = SIGTERM;

    /// Signals that would end this process are only noted.
    pub(super) struct Held {
        arrived: Arc<AtomicUsize>,
        ids: Vec<SigId>,
    }

    impl Held {
        pub(super) fn start() -> io::Result<Self> {
            let arrived = Arc::new(AtomicUsize::new(0));
            let mut ids = Vec::new();
            for signal in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] {
                let number = usize::try_from(signal).unwrap_or(0);
                ids.push(signal_hook::flag::register_usize(
                    signal,
                    arrived.clone(),
                    number,
                )?);
            }
            Ok(Self { arrived, ids })
        }

        pub(super) fn arrived(&self) -> Option<i32> {
            let number = self.arrived.load(Ordering::SeqCst);
            i32::try_from(number).ok().filter(|number| *number != 0)
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            for id in self.ids.drain(..) {
                signal_hook::low_level::unregister(id);
            }
        }
    }
}

#[cfg(not(unix))]
mod signals {
    pub(super) const TERMINATE: i32 = 15;

    pub(super) struct Held;

    impl Held {
        #[expect(clippy::unnecessary_wraps, reason = "the same face as on Unix")]
        pub(super) fn start() -> std::io::Result<Self> {
            Ok(Self)
        }

        #[expect(clippy::unused_self, reason = "the same face as on Unix")]
        pub(super) fn arrived(&self) -> Option<i32> {
            None
        }
    }
}
