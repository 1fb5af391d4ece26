//! `resolve list`

use std::collections::BTreeSet;
use std::process::ExitCode;

use credchain::{Credchain, Error, Kind, Link, LinkName, Listed, Name, Reference};
use serde::Serialize;

use crate::app::App;
use crate::failure::{self, Failure};
use crate::output::{Style, printable, printable_line};
use crate::target::Place;

/// Arguments of `list`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve list\n  \
    resolve list --link age\n  \
    resolve list --json\n\n\
    No value is read where the provider can list without reading.")]
pub(crate) struct Args {
    /// Show only what this provider holds
    #[arg(long, value_name = "LINK")]
    link: Option<LinkName>,
}

/// `list --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    credentials: Vec<Row>,
    undeclared: Vec<Place>,
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    description: Option<String>,
    env: String,
    stored: Vec<Stored>,
}

#[derive(Debug, Serialize)]
struct Stored {
    #[serde(flatten)]
    place: Place,
    secret_version: Option<String>,
}

/// A link that could not be listed.
#[derive(Debug, Serialize)]
struct Failed {
    link: String,
    kind: &'static str,
    message: String,
}

/// What one link holds.
struct Held {
    link: Link,
    entries: Vec<Listed>,
}

/// Lists what is declared, where it is stored, and what is stored besides.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let (held, errors) = ask(&credchain, links(&credchain, args.link.as_ref())?, app)?;
    let names = credchain.declared()?;
    let mut document = Document::new(&credchain, &names, &held, &errors);
    if args.link.is_some() {
        document.credentials.retain(|row| !row.stored.is_empty());
    }
    if app.output().is_json() {
        app.output().json(&document)?;
    } else {
        app.output().data(document.text(app).as_bytes())?;
        if names.is_empty() && !credchain.loaded().configured {
            app.output()
                .note("there is no `credchain.toml`: `resolve init` sets up this project");
        }
        for error in &errors {
            app.output().warn(&unlisted(error));
        }
    }
    Ok(ExitCode::from(if errors.is_empty() {
        0
    } else {
        failure::kind(&errors).exit_code()
    }))
}

/// The links to ask. The environment is no store: everything in it would be "not declared".
fn links(credchain: &Credchain, only: Option<&LinkName>) -> Result<Vec<Link>, Failure> {
    if let Some(name) = only {
        let link = credchain.link(name)?;
        if !can_list(credchain, name) {
            return Err(Error::unsupported("listing").at(name.clone()).into());
        }
        return Ok(vec![link.clone()]);
    }
    let project = credchain.project();
    let specs = project
        .providers
        .values()
        .filter(|spec| spec.type_name != "env");
    let mut links: Vec<Link> = specs
        .filter(|spec| can_list(credchain, &spec.name))
        .filter_map(|spec| credchain.resolver().link(&spec.name).cloned())
        .collect();
    // In the order in which they are asked.
    let chain = project.default_chain();
    let place = |link: &Link| chain.iter().position(|name| name == link.name());
    links.sort_by_key(|link| place(link).unwrap_or(usize::MAX));
    Ok(links)
}

/// Whether the provider's type can list; one that may not be used says so when it is asked.
fn can_list(credchain: &Credchain, link: &LinkName) -> bool {
    let spec = credchain.project().providers.get(link);
    let registered = spec.and_then(|spec| credchain.registry().get(&spec.type_name));
    registered.is_some_and(|registered| registered.capabilities.list)
}

fn ask(
    credchain: &Credchain,
    links: Vec<Link>,
    app: &App,
) -> Result<(Vec<Held>, Vec<Error>), Failure> {
    let cx = credchain.resolver().context();
    let mut held = Vec::new();
    let mut errors = Vec::new();
    for link in links {
        match app.wait(link.provider().list(None, &cx))? {
            Ok(entries) => held.push(Held { link, entries }),
            Err(error) if error.kind().is_miss() || error.kind() == Kind::Unsupported => {}
            Err(error) => errors.push(error.at(link.name().clone())),
        }
    }
    Ok((held, errors))
}

fn unlisted(error: &Error) -> String {
    let link = error.link().map(ToString::to_string).unwrap_or_default();
    let hint = error
        .hint()
        .map(|hint| format!(" ({hint})"))
        .unwrap_or_default();
    printable(&format!(
        "`{link}` was not listed: {}: {}{hint}",
        error.kind(),
        error.message()
    ))
}

impl Document {
    fn new(credchain: &Credchain, names: &[Name], held: &[Held], errors: &[Error]) -> Self {
        let mut known: BTreeSet<(String, String)> = BTreeSet::new();
        let credentials = names
            .iter()
            .map(|name| Row {
                name: name.to_string(),
                description: credchain.description(name),
                env: credchain.env_name(name),
                stored: held
                    .iter()
                    .filter_map(|one| {
                        let (entry, reference) = one.find(credchain, name)?;
                        let link = one.link.name().to_string();
                        known.insert((link, entry.reference.path().to_owned()));
                        Some(Stored {
                            place: one.place(&reference),
                            secret_version: entry.version.as_ref().map(ToString::to_string),
                        })
                    })
                    .collect(),
            })
            .collect();
        let undeclared = held
            .iter()
            .flat_map(|one| one.entries.iter().map(move |entry| (one, entry)))
            .filter(|(one, entry)| {
                let link = one.link.name().to_string();
                !known.contains(&(link, entry.reference.path().to_owned()))
            })
            .map(|(one, entry)| one.place(&entry.reference))
            .collect();
        let failed = errors
            .iter()
            .map(|error| Failed {
                link: error.link().map(ToString::to_string).unwrap_or_default(),
                kind: error.kind().as_str(),
                message: error.message().to_owned(),
            })
            .collect();
        Self {
            version: 1,
            credentials,
            undeclared,
            failed,
        }
    }

    fn text(&self, app: &App) -> String {
        let width = self
            .credentials
            .iter()
            .map(|row| row.name.len())
            .max()
            .unwrap_or(0);
        let variables = self
            .credentials
            .iter()
            .map(|row| row.env.len())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for row in &self.credentials {
            let stored: Vec<_> = row
                .stored
                .iter()
                .map(|one| one.place.link.as_str())
                .collect();
            let stored = if stored.is_empty() {
                "-".to_owned()
            } else {
                stored.join(", ")
            };
            let about = printable_line(row.description.as_deref().unwrap_or_default());
            let about = app.output().style(Style::Dim, &about);
            let line = format!(
                "{:width$}  {:variables$}  {stored:12}  {about}",
                row.name, row.env
            );
            text += &format!("{}\n", line.trim_end());
        }
        if self.credentials.is_empty() {
            text += "nothing is declared\n";
        }
        if !self.undeclared.is_empty() {
            text += "\nstored, but not declared:\n";
            for place in &self.undeclared {
                text += &format!(
                    "  {}\n",
                    printable(&format!("{}://{}", place.link, place.reference))
                );
            }
        }
        text
    }
}

impl Held {
    /// The entry that holds a credential, and the credential's place.
    fn find(&self, credchain: &Credchain, name: &Name) -> Option<(&Listed, Reference)> {
        let place = credchain.resolver().place(name, &self.link).ok()?;
        // A listed document may hold the field that the place names.
        let same = |entry: &&Listed| {
            entry.reference == place
                || (entry.reference.field().is_none() && entry.reference.path() == place.path())
        };
        let entry = self.entries.iter().find(same)?;
        Some((entry, place))
    }

    fn place(&self, reference: &Reference) -> Place {
        Place {
            link: self.link.name().to_string(),
            reference: reference.to_string(),
        }
    }
}
