//! `resolve providers`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use credchain::config::ProviderSpec;
use credchain::{
    Capabilities, Context, Credchain, Error, Identity, Kind, Reference, Registration, Setting,
};
use serde::Serialize;

use crate::app::App;
use crate::failure::Failure;
use crate::output::{Style, printable, printable_line};

/// A name that no store holds; asking for it shows whether the store answers.
const PROBE: &str = "credchain_probe";

/// Arguments of `providers`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    resolve providers            types of this build, and the links of this project\n  \
    resolve providers --check    ask each configured one whether it answers, and as whom\n  \
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
    /// Who the backend takes us for, where it says so.
    identity: Option<IdentityRow>,
    #[serde(skip)]
    why: Option<String>,
}

/// Who somebody is logged in as.
#[derive(Debug, Serialize)]
pub(crate) struct IdentityRow {
    name: String,
    /// Seconds until the login ends.
    expires_in: Option<u64>,
    details: BTreeMap<String, String>,
}

/// What is known of a link.
#[derive(Debug, Default)]
struct State {
    error: Option<Error>,
    identity: Option<IdentityRow>,
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
        let state = state(&credchain, spec, args.check, app)?;
        kinds.extend(state.kind().filter(|kind| !kind.is_miss()));
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

/// What keeps a link from answering, or who it takes us for, as far as it is known.
fn state(
    credchain: &Credchain,
    spec: &ProviderSpec,
    ask: bool,
    app: &App,
) -> Result<State, Failure> {
    if !spec.built {
        let error = Error::new(Kind::Unsupported, "this build has no such type");
        return Ok(State::failed(error));
    }
    if let Some(untrusted) = credchain.verdict().link(&spec.name) {
        return Ok(State::failed(untrusted.error()));
    }
    let Some(link) = credchain.resolver().link(&spec.name).filter(|_| ask) else {
        return Ok(State::default());
    };
    let cx = credchain.resolver().context();
    let provider = link.provider();
    match app.wait(provider.identity(&cx))? {
        Ok(identity) => {
            let identity = Some(IdentityRow::new(identity, &cx));
            return Ok(State {
                error: None,
                identity,
            });
        }
        Err(error) if error.kind() == Kind::Unsupported => {}
        Err(error) => return Ok(State::failed(error)),
    }
    let answer = if provider.capabilities().list {
        app.wait(provider.list(None, &cx))?.map(drop)
    } else {
        let probe = Reference::new(PROBE)?;
        match app.wait(provider.describe(&probe, &cx))? {
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            other => other.map(drop),
        }
    };
    Ok(answer.err().map(State::failed).unwrap_or_default())
}

impl State {
    fn failed(error: Error) -> Self {
        Self {
            error: Some(error),
            identity: None,
        }
    }

    fn kind(&self) -> Option<Kind> {
        self.error.as_ref().map(Error::kind)
    }
}

impl IdentityRow {
    pub(crate) fn new(identity: Identity, cx: &Context) -> Self {
        let left = |at: SystemTime| at.duration_since(cx.clock().now()).unwrap_or_default();
        Self {
            name: identity.name,
            expires_in: identity.expires.map(|at| left(at).as_secs()),
            details: identity.details,
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("as {}", printable_line(&self.name));
        if let Some(seconds) = self.expires_in {
            let left = credchain::format_duration(Duration::from_secs(seconds));
            text += &format!(", for {left}");
        }
        for (key, value) in self.details.iter().filter(|(_, value)| !value.is_empty()) {
            text += &format!(", {}: {}", printable_line(key), printable_line(value));
        }
        text
    }
}

impl LinkRow {
    fn new(spec: &ProviderSpec, state: State, asked: bool) -> Self {
        Self {
            link: spec.name.to_string(),
            type_name: spec.type_name.clone(),
            explicit: spec.explicit,
            state: match state.kind() {
                Some(kind) => kind.as_str(),
                None if asked => "ok",
                None => "configured",
            },
            identity: state.identity,
            why: state.error.map(|error| error.message().to_owned()),
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
            let about = match (&link.identity, &link.why) {
                (Some(identity), _) => format!("  {}", identity.text()),
                (None, Some(why)) => format!("  {}", printable_line(why)),
                (None, None) => String::new(),
            };
            let about = app.output().style(Style::Dim, &about);
            text += &format!("  {:width$}  {state}{of}{about}\n", link.link);
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
