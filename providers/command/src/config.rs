//! `[providers.NAME]` with `type = "command"`.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{
    Capabilities, Context, CredentialSource, Environment, Error, Kind, LinkName, Name, Naming,
    Project, Reference, Result, Secret, Settings, Setup,
};
use serde::Deserialize as _;

use crate::child::Launch;
use crate::environment::{assign, find, inherited};
use crate::recipe::{self, Call, NAMES, Output, Recipe, Stdin};
use crate::rules::Rule;
use crate::settings::OUTPUTS;
use crate::template::mentions;

/// What both modes need.
pub(crate) struct Common {
    pub(crate) link: LinkName,
    pub(crate) program: String,
    pub(crate) project: Project,
    env: Vec<(String, Variable)>,
    path: String,
    environment: Environment,
    without: Vec<String>,
    credentials: Arc<dyn CredentialSource>,
    /// Whether what the child leaves behind in its group is ended with it.
    sweep: bool,
}

enum Variable {
    Text(String),
    Credential(Name),
    /// With the caller's value in place of `{inherited}`.
    Extended(String),
}

/// The mode and its settings.
pub(crate) enum Mode {
    Plugin(PluginSettings),
    Tool(Box<ToolSettings>),
}

pub(crate) struct PluginSettings {
    pub(crate) args: Vec<OsString>,
    pub(crate) capabilities: Capabilities,
    declared: Vec<String>,
    pub(crate) startup_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) max_response: usize,
    pub(crate) concurrency: usize,
}

pub(crate) struct ToolSettings {
    pub(crate) recipe: Recipe,
    pub(crate) args: Vec<String>,
    pub(crate) request_timeout: Duration,
    pub(crate) max_response: usize,
    pub(crate) concurrency: usize,
}

/// Reads the settings. Touches neither files nor processes.
pub(crate) fn parse(setup: Setup, without: Vec<String>) -> Result<(Common, Mode)> {
    let settings = &setup.settings;
    let preset = match settings.text("preset")? {
        Some(name) => Some(recipe::preset(name).ok_or_else(|| {
            Error::new(Kind::Misconfigured, "there is no such preset")
                .with_hint(format!("the presets are {}", NAMES.join(", ")))
        })?),
        None => None,
    };
    let mode = mode(settings, preset)?;
    let program = settings.text("program")?.map(str::to_owned);
    let Some(program) = program.or_else(|| preset.and_then(|preset| preset.program.clone())) else {
        return Err(
            Error::new(Kind::Misconfigured, "setting `program` is missing").with_hint(
                match preset {
                    Some(_) => "this preset stands for several programs: say which with `program`",
                    None => "set `program` to a plugin, or `preset` to a known tool",
                },
            ),
        );
    };
    let path = settings.text("path")?.unwrap_or("{name}").to_owned();
    let mut env = Vec::new();
    if let Mode::Tool(tool) = &mode {
        // Messages are matched by rules, so they must not be translated.
        env.push(("LC_ALL".to_owned(), Variable::Text("C".into())));
        env.push(("LANGUAGE".to_owned(), Variable::Text(String::new())));
        let own = tool.recipe.env.iter();
        env.extend(own.map(|(name, text)| (name.clone(), Variable::Extended(text.clone()))));
    }
    env.extend(variables(settings)?);
    let common = Common {
        program,
        env,
        path,
        without,
        sweep: matches!(mode, Mode::Plugin(_)),
        environment: setup.context.env().clone(),
        link: setup.link,
        project: setup.project,
        credentials: setup.credentials,
    };
    common.check_path()?;
    Ok((common, mode))
}

fn mode(settings: &Settings, preset: Option<&Recipe>) -> Result<Mode> {
    let request_timeout = request_timeout(settings)?;
    let max_response = settings.size("max_response")?.unwrap_or(32 << 20);
    let max_response = usize::try_from(max_response).unwrap_or(usize::MAX);
    let concurrency = settings.integer("concurrency")?.unwrap_or(8).clamp(1, 1024);
    let concurrency = usize::try_from(concurrency).unwrap_or(1);
    let args = settings.texts("args")?.unwrap_or_default();

    let recipe = match preset {
        Some(preset) => {
            let keys = [
                "get",
                "set",
                "delete",
                "list",
                "output",
                "rules",
                "capabilities",
            ];
            refuse(
                settings,
                &keys,
                "`preset` already says how the tool is used",
            )?;
            Some(preset.clone())
        }
        None => own_recipe(settings)?,
    };
    if let Some(recipe) = recipe {
        refuse(
            settings,
            &["capabilities", "startup_timeout"],
            "that is a setting of plugins",
        )?;
        return Ok(Mode::Tool(Box::new(ToolSettings {
            recipe,
            args,
            request_timeout,
            max_response,
            concurrency,
        })));
    }
    refuse(
        settings,
        &["set", "delete", "list", "output", "rules"],
        "it needs `get` beside it",
    )?;
    let declared = settings.texts("capabilities")?.unwrap_or_default();
    Ok(Mode::Plugin(PluginSettings {
        args: args.into_iter().map(OsString::from).collect(),
        capabilities: capabilities(&declared),
        declared,
        startup_timeout: startup_timeout(settings)?,
        request_timeout,
        max_response,
        concurrency,
    }))
}

/// How long one attempt may take in all: a plugin may have to be started for it.
pub(crate) fn patience(settings: &Settings) -> Result<Duration> {
    Ok(startup_timeout(settings)? + request_timeout(settings)?)
}

fn startup_timeout(settings: &Settings) -> Result<Duration> {
    let set = settings.duration("startup_timeout")?;
    Ok(set.unwrap_or(Duration::from_secs(10)))
}

fn request_timeout(settings: &Settings) -> Result<Duration> {
    let set = settings.duration("request_timeout")?;
    Ok(set.unwrap_or(Duration::from_secs(30)))
}

fn refuse(settings: &Settings, keys: &[&str], why: &'static str) -> Result<()> {
    match keys.iter().find(|key| settings.has(key)) {
        None => Ok(()),
        Some(key) => {
            let message = format!("setting `{key}` has no meaning here: {why}");
            Err(Error::new(Kind::Misconfigured, message))
        }
    }
}

fn own_recipe(settings: &Settings) -> Result<Option<Recipe>> {
    let Some(get) = settings.texts("get")? else {
        return Ok(None);
    };
    let call = |key, stdin, output| {
        let args = settings.texts(key)?;
        Ok::<_, Error>(args.map(|args| Call {
            args,
            stdin,
            output,
            ..Call::default()
        }))
    };
    let wrong = |key: &str| {
        Error::new(
            Kind::Misconfigured,
            format!("setting `{key}` has the wrong shape"),
        )
    };
    let output = match settings.text("output")? {
        None => Output::Trimmed,
        Some(word) if OUTPUTS.contains(&word) => {
            Output::deserialize(serde_json::Value::from(word)).map_err(|_| wrong("output"))?
        }
        Some(_) => return Err(wrong("output")),
    };
    let rules: Vec<Rule> = if settings.has("rules") {
        #[derive(serde::Deserialize)]
        struct Rules {
            rules: Vec<Rule>,
        }
        settings
            .deserialize::<Rules>()
            .map_err(|_| wrong("rules"))?
            .rules
    } else {
        Vec::new()
    };
    rules.iter().try_for_each(Rule::check)?;
    Ok(Some(Recipe {
        summary: String::new(),
        verified: None,
        program: None,
        env: std::collections::BTreeMap::new(),
        encrypted: false,
        text_only: false,
        tidy_paths: false,
        get: Call {
            args: get,
            output,
            ..Call::default()
        },
        set: call("set", Stdin::Value, Output::Exact)?,
        delete: call("delete", Stdin::Nothing, Output::Exact)?,
        list: call("list", Stdin::Nothing, Output::Lines)?,
        rules,
    }))
}

fn variables(settings: &Settings) -> Result<Vec<(String, Variable)>> {
    let Some(table) = settings.table("env")? else {
        return Ok(Vec::new());
    };
    let mut variables = Vec::new();
    for name in table.keys() {
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = "a name in `env` is not the name of a variable";
            return Err(Error::new(Kind::Misconfigured, message));
        }
        let value = match table.credential(name) {
            Ok(Some(credential)) => Variable::Credential(credential),
            _ => Variable::Text(table.text(name)?.unwrap_or_default().to_owned()),
        };
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

fn capabilities(declared: &[String]) -> Capabilities {
    declared.iter().fold(
        Capabilities::read_only().batched(),
        |capabilities, word| match word.as_str() {
            "set" => capabilities.writable(),
            "delete" => capabilities.deletable(),
            "list" => capabilities.listable(),
            "versions" => capabilities.versioned(),
            "compare_and_set" => capabilities.compare_and_set(),
            "encrypted" => capabilities.encrypted(),
            _ => capabilities,
        },
    )
}

impl PluginSettings {
    pub(crate) fn declared(&self, capability: &str) -> bool {
        self.declared.iter().any(|declared| declared == capability)
    }
}

impl ToolSettings {
    pub(crate) fn capabilities(&self) -> Capabilities {
        let recipe = &self.recipe;
        let mut capabilities = Capabilities::read_only();
        capabilities.write = recipe.set.is_some();
        capabilities.delete = recipe.delete.is_some();
        capabilities.list = recipe.list.is_some();
        capabilities.versions = mentions(&recipe.get.args, "{version}");
        capabilities.encrypted = recipe.encrypted;
        // Several fields of one document are one run.
        capabilities.batch = recipe.get.output.has_fields();
        capabilities.binary = !recipe.text_only;
        capabilities
    }
}

impl Common {
    /// Where a credential is by convention.
    pub(crate) fn locate(&self, naming: &Naming) -> Vec<Reference> {
        let text = self
            .path
            .replace("{name}", naming.name.as_str())
            .replace("{project}", &naming.project)
            .replace("{profile}", &naming.profile);
        text.parse().into_iter().collect()
    }

    /// Finds the program and puts its environment together.
    pub(crate) async fn launch(&self, args: Vec<OsString>, cx: &Context) -> Result<Launch> {
        let program = find(&self.program, &self.environment, &self.project)?;
        let mut env = inherited(&self.environment, &self.without);
        for (name, value) in &self.env {
            let value = match value {
                Variable::Text(text) => text.into(),
                Variable::Extended(text) => {
                    let before = self.environment.text(name).unwrap_or_default();
                    text.replace("{inherited}", &before).trim_start().into()
                }
                Variable::Credential(credential) => {
                    to_os(&self.credentials.needed(credential, cx).await?, credential)?
                }
            };
            assign(&mut env, name, value);
        }
        let directory = self.project.base();
        let directory = if directory.as_os_str().is_empty() {
            ".".as_ref()
        } else {
            directory
        };
        Ok(Launch {
            program,
            args,
            env,
            directory: directory.to_owned(),
            sweep: self.sweep,
            stdin: true,
        })
    }

    fn check_path(&self) -> Result<()> {
        // Any name will do: names hold nothing that a reference could trip over.
        let Ok(name) = "name".parse() else {
            return Ok(());
        };
        if self.locate(&Naming::new(name)).is_empty() {
            return Err(
                Error::new(Kind::Misconfigured, "setting `path` is not a reference")
                    .with_hint("a reference is written `PATH#FIELD`"),
            );
        }
        Ok(())
    }
}

/// A secret as the value of an environment variable.
fn to_os(secret: &Secret, name: &Name) -> Result<OsString> {
    let refuse = |what| {
        Err(Error::new(
            Kind::Invalid,
            format!("a value with {what} cannot be put into `env`"),
        )
        .for_credential(name))
    };
    if secret.expose().contains(&0) {
        return refuse("a NUL byte");
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        Ok(OsString::from_vec(secret.expose().to_vec()))
    }
    #[cfg(not(unix))]
    match secret.expose_text() {
        Some(text) => Ok(text.into()),
        None => refuse("bytes that are not UTF-8"),
    }
}
