//! `resolve providers`

use std::process::ExitCode;

use credchain::config::ProviderSpec;
use credchain::{Capabilities, Credchain, Kind, Reference, Registration, Setting};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Style, printable};

/// A name that no store holds; asking for it shows whether the store answers.
const PROBE: &str = "credchain_probe";

/// Arguments of `providers`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve providers            types of this build, and the links of this project\n  \
    resolve providers --check    ask each configured one whether it answers\n  \
    resolve providers age        its settings")]
pub(crate) struct Args {
    /// Ask each configured provider whether it answers
    #[arg(long)]
    check: bool,
    /// Show this type or link alone, with its settings
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// `providers --json`
#[derive(Debug, Serialize)]
struct Document {
    version: u8,
    types: Vec<Type>,
    links: Vec<LinkRow>,
}

#[derive(Debug, Serialize)]
struct Type {
    #[serde(rename = "type")]
    name: &'static str,
    summary: &'static str,
    capabilities: Vec<&'static str>,
    settings: Vec<SettingRow>,
}

#[derive(Debug, Serialize)]
struct SettingRow {
    key: &'static str,
    required: bool,
    default: Option<&'static str>,
    doc: &'static str,
}

#[derive(Debug, Serialize)]
struct LinkRow {
    link: String,
    #[serde(rename = "type")]
    type_name: String,
    explicit: bool,
    /// `configured` before anybody asked; `ok`, or the kind of the failure.
    state: &'static str,
}

/// Prints the tables; with `--check`, asks first.
pub(crate) fn run(args: &Args, app: &App) -> Result<ExitCode, Failure> {
    let credchain = app.open()?;
    let mut types: Vec<Type> = credchain.registry().iter().map(Type::new).collect();
    let mut kinds = Vec::new();
    let mut links = Vec::new();
    for spec in credchain.project().providers.values() {
        let chosen = args
            .name
            .as_ref()
            .is_none_or(|name| name == spec.name.as_str() || *name == spec.type_name);
        if !chosen {
            continue;
        }
        let state = state(&credchain, spec, args.check)?;
        kinds.extend(state.filter(|kind| !kind.is_miss()));
        links.push(LinkRow::new(spec, state, args.check));
    }
    if let Some(name) = &args.name {
        types.retain(|one| one.name == name || links.iter().any(|link| link.type_name == one.name));
        if types.is_empty() && links.is_empty() {
            return Err(unknown(name, &credchain));
        }
    }
    let output = app.output();
    let document = Document {
        version: 1,
        types,
        links,
    };
    if output.is_json() {
        output.json(&document)?;
    } else {
        output.data(document.text(args.name.is_some(), app).as_bytes())?;
    }
    let worst = if args.check {
        Kind::most_pressing(kinds)
    } else {
        None
    };
    Ok(ExitCode::from(worst.map_or(0, Kind::exit_code)))
}

fn unknown(name: &str, credchain: &Credchain) -> Failure {
    let message = format!("no provider is called `{}`", printable(name));
    let known = credchain.registry().iter().map(|one| one.type_name);
    match credchain::config::did_you_mean(name, known) {
        Some(near) => Failure::usage_with(message, format!("did you mean `{near}`?")),
        None => Failure::usage_with(message, "`resolve providers` lists them"),
    }
}

/// The kind of what keeps a link from answering, if it is known.
fn state(credchain: &Credchain, spec: &ProviderSpec, ask: bool) -> Result<Option<Kind>, Failure> {
    if !spec.built {
        return Ok(Some(Kind::Unsupported));
    }
    if let Some(error) = credchain
        .verdict()
        .link(&spec.name)
        .map(credchain::config::Untrusted::error)
    {
        return Ok(Some(error.kind()));
    }
    let Some(link) = credchain.resolver().link(&spec.name).filter(|_| ask) else {
        return Ok(None);
    };
    let cx = credchain.resolver().context();
    let provider = link.provider();
    let answer = if provider.capabilities().list {
        credchain::block_on(provider.list(None, &cx))?.map(drop)
    } else {
        let probe = Reference::new(PROBE)?;
        match credchain::block_on(provider.describe(&probe, &cx))? {
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            other => other.map(drop),
        }
    };
    Ok(answer.err().map(|error| error.kind()))
}

impl LinkRow {
    fn new(spec: &ProviderSpec, state: Option<Kind>, asked: bool) -> Self {
        Self {
            link: spec.name.to_string(),
            type_name: spec.type_name.clone(),
            explicit: spec.explicit,
            state: match state {
                Some(kind) => kind.as_str(),
                None if asked => "ok",
                None => "configured",
            },
        }
    }
}

impl Type {
    fn new(registration: &'static Registration) -> Self {
        Self {
            name: registration.type_name,
            summary: registration.summary,
            capabilities: capabilities(registration.capabilities),
            settings: registration.settings.iter().map(SettingRow::new).collect(),
        }
    }
}

impl SettingRow {
    fn new(setting: &Setting) -> Self {
        Self {
            key: setting.key,
            required: setting.required,
            default: setting.default,
            doc: setting.doc,
        }
    }
}

fn capabilities(all: Capabilities) -> Vec<&'static str> {
    [
        (true, "read"),
        (all.write, "write"),
        (all.delete, "delete"),
        (all.list, "list"),
        (all.versions, "versions"),
        (all.compare_and_set, "compare_and_set"),
        (all.encrypted, "encrypted"),
        (all.binary, "binary"),
    ]
    .into_iter()
    .filter_map(|(has, word)| has.then_some(word))
    .collect()
}

impl Document {
    fn text(&self, details: bool, app: &App) -> String {
        let mut text = String::new();
        let width = self
            .types
            .iter()
            .map(|one| one.name.len())
            .max()
            .unwrap_or(0);
        let summaries = self
            .types
            .iter()
            .map(|one| one.summary.chars().count())
            .max()
            .unwrap_or(0);
        for one in &self.types {
            let can = app.output().style(Style::Dim, &one.capabilities.join(", "));
            let required: Vec<_> = one
                .settings
                .iter()
                .filter(|key| key.required)
                .map(|key| key.key)
                .collect();
            let required = if required.is_empty() {
                String::new()
            } else {
                format!("; needs {}", required.join(", "))
            };
            text += &format!(
                "{:width$}  {:summaries$}  {can}{required}\n",
                one.name, one.summary
            );
            if details {
                text += &settings(&one.settings, app);
            }
        }
        if !self.links.is_empty() {
            text += "\nin this project:\n";
        }
        let width = self
            .links
            .iter()
            .map(|link| link.link.len())
            .max()
            .unwrap_or(0);
        for link in &self.links {
            let style = match link.state {
                "ok" => Style::Good,
                "configured" | "absent" => Style::Dim,
                _ => Style::Bad,
            };
            let of = if link.link == link.type_name {
                String::new()
            } else {
                format!("  ({})", printable(&link.type_name))
            };
            let state = app.output().style(style, link.state);
            text += &format!("  {:width$}  {state}{of}\n", link.link);
        }
        text
    }
}

fn settings(all: &[SettingRow], app: &App) -> String {
    let width = all.iter().map(|one| one.key.len()).max().unwrap_or(0);
    let mut text = String::new();
    for one in all {
        let about = match (one.required, one.default) {
            (true, _) => format!("{} Required.", one.doc),
            (_, Some(default)) => format!("{} Default: {default}.", one.doc),
            _ => one.doc.to_owned(),
        };
        let about = app.output().style(Style::Dim, &about);
        text += &format!("    {:width$}  {about}\n", one.key);
    }
    text
}
