//! `[providers.NAME]` with `type = "age"`.

use std::path::{Path, PathBuf};

use credchain_core::{
    Environment, Error, Kind, Name, Project, Result, Setting, Settings, Setup, Shape,
};

use crate::identity::Source;

/// Every key of the settings table.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting::new(
        "path",
        Shape::Path,
        "The store. `{profile}` and `{project}` are replaced.",
    )
    .or("\"credchain.age\""),
    Setting::new(
        "identity",
        Shape::AnyOf(&[Shape::Path, Shape::List(&Shape::Path), Shape::Credential]),
        "The private keys that open the store: files (`~/` is the home directory) or a credential. \
         Default: `identity` in credchain's configuration directory.",
    ),
    Setting::new(
        "passphrase",
        Shape::Credential,
        "The passphrase of the store or of an encrypted identity.",
    ),
    Setting::new(
        "keep_versions",
        Shape::Integer { min: 1, max: 100 },
        "How many versions of a value are kept, the current one included.",
    )
    .or("5"),
    Setting::new(
        "max_size",
        Shape::Size,
        "The largest store that is read or written.",
    )
    .or("\"64MiB\""),
];

const DEFAULT_NAME: &str = "credchain.age";
const DEFAULT_MAX_SIZE: u64 = 64 << 20;
const DEFAULT_KEEP: usize = 5;

/// Which store, and what opens it.
///
/// ```
/// use credchain_provider_age::StoreSettings;
/// let settings = StoreSettings::new("credchain.age").with_identity("/home/me/.ssh/id_ed25519");
/// assert!(settings.path().ends_with("credchain.age"));
/// ```
#[derive(Clone, Debug)]
pub struct StoreSettings {
    pub(crate) path: PathBuf,
    pub(crate) source: Source,
    pub(crate) passphrase: Option<Name>,
    pub(crate) keep: usize,
    pub(crate) max_size: u64,
    pub(crate) explicit: bool,
}

impl StoreSettings {
    /// The store at `path`, which has to be there to be read, opened by what the environment
    /// names.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            source: Source::Files(Vec::new()),
            passphrase: None,
            keep: DEFAULT_KEEP,
            max_size: DEFAULT_MAX_SIZE,
            explicit: true,
        }
    }

    /// The same, opened also by the private keys in this file.
    pub fn with_identity(mut self, path: impl Into<PathBuf>) -> Self {
        match &mut self.source {
            Source::Files(files) => files.push(path.into()),
            source @ Source::Credential(_) => *source = Source::Files(vec![path.into()]),
        }
        self
    }

    /// The same, refusing a store of more bytes.
    pub fn with_max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// The same, keeping so many versions of a value, the current one included.
    pub fn with_versions(mut self, keep: usize) -> Self {
        self.keep = keep.max(1);
        self
    }

    /// What the settings of a configured provider say.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for a setting that cannot be used.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        let (table, project) = (&setup.settings, &setup.project);
        let path = match table.text("path")? {
            Some(text) => project.base().join(expand(text, project)?),
            None => project.base().join(DEFAULT_NAME),
        };
        let max_size = table.size("max_size")?.unwrap_or(DEFAULT_MAX_SIZE);
        if max_size == 0 {
            return Err(misconfigured("setting `max_size` cannot be zero"));
        }
        let keep = match table.integer("keep_versions")? {
            None => DEFAULT_KEEP,
            Some(number) => usize::try_from(number)
                .ok()
                .filter(|number| (1..=100).contains(number))
                .ok_or_else(|| misconfigured("setting `keep_versions` is from 1 to 100"))?,
        };
        Ok(Self {
            path,
            source: source(table, project, setup.context.env())?,
            passphrase: table.credential("passphrase")?,
            keep,
            max_size,
            explicit: setup.explicit,
        })
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files that identities are read from when the environment names none; the first is
    /// where a new one belongs. Empty if the identity is a credential.
    pub fn identities(&self) -> &[PathBuf] {
        match &self.source {
            Source::Files(files) => files,
            Source::Credential(_) => &[],
        }
    }
}

fn source(table: &Settings, project: &Project, env: &Environment) -> Result<Source> {
    if !table.has("identity") {
        let default = project
            .config_home
            .as_ref()
            .map(|home| home.join("identity"));
        return Ok(Source::Files(default.into_iter().collect()));
    }
    if let Ok(Some(name)) = table.credential("identity") {
        return Ok(Source::Credential(name));
    }
    let paths = table.texts("identity")?.unwrap_or_default();
    if paths.is_empty() {
        return Err(misconfigured("setting `identity` names no file"));
    }
    let absolute = |path: &String| match path.strip_prefix("~/") {
        Some(rest) => env
            .get("HOME")
            .map(|home| PathBuf::from(home).join(rest))
            .ok_or_else(|| misconfigured("setting `identity` needs `HOME` for its `~`")),
        None => Ok(project.base().join(path)),
    };
    paths
        .iter()
        .map(absolute)
        .collect::<Result<_>>()
        .map(Source::Files)
}

/// Replaces the placeholders in `path`.
fn expand(text: &str, project: &Project) -> Result<String> {
    // SECURITY: whether a path stays inside the project is judged as it is written, so neither
    // a home directory nor a name from the configuration may lead it elsewhere.
    if text.starts_with('~') {
        return Err(misconfigured("setting `path` has no `~`").with_hint("write the whole path"));
    }
    for (placeholder, name) in [
        ("{project}", &project.name),
        ("{profile}", &project.profile),
    ] {
        let harmless = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        if text.contains(placeholder) && !harmless {
            let message = format!("setting `path` has `{placeholder}`, which is no file name here");
            return Err(misconfigured(message));
        }
    }
    Ok(project.expand(text))
}

fn misconfigured(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Kind::Misconfigured, message)
}

#[cfg(test)]
mod tests {
    use credchain_core::{Context, LinkName};
    use serde_json::{Value, json};

    use super::*;

    fn settings(table: Value) -> Result<StoreSettings> {
        let mut project = Project::new("pipeline", "/elsewhere").with_root("/project");
        project.config_home = Some("/home/me/.config/credchain".into());
        let env = Environment::fixed([("HOME", "/home/me")]);
        StoreSettings::from_setup(
            &Setup::new(LinkName::literal("age"))
                .with_settings(Settings::from_json(table))
                .in_project(project.with_profile("prod"))
                .with_context(Context::system().with_env(env)),
        )
    }

    #[test]
    fn without_settings_the_store_is_in_the_project_and_the_identity_is_not() {
        let settings = settings(json!({})).unwrap();
        assert_eq!(settings.path, Path::new("/project/credchain.age"));
        let identity = PathBuf::from("/home/me/.config/credchain/identity");
        assert_eq!(settings.source, Source::Files(vec![identity]));
        assert_eq!((settings.max_size, settings.keep), (64 << 20, 5));
    }

    #[test]
    fn every_setting_is_read() {
        let one = settings(json!({
            "path": "secrets/{profile}.age", "identity": "~/.ssh/id_ed25519",
            "passphrase": {"credential": "store_passphrase"},
            "max_size": "1MiB", "keep_versions": 1,
        }));
        let one = one.unwrap();
        assert_eq!(one.path, Path::new("/project/secrets/prod.age"));
        assert_eq!(
            one.source,
            Source::Files(vec!["/home/me/.ssh/id_ed25519".into()])
        );
        assert_eq!(one.passphrase.unwrap().as_str(), "store_passphrase");
        assert_eq!((one.max_size, one.keep), (1 << 20, 1));
        let several = settings(json!({"identity": ["keys/a", "/etc/b"]})).unwrap();
        let files = vec!["/project/keys/a".into(), "/etc/b".into()];
        assert_eq!(several.source, Source::Files(files));
        let named = settings(json!({"identity": {"credential": "store_identity"}})).unwrap();
        assert_eq!(
            named.source,
            Source::Credential("store_identity".parse().unwrap())
        );
    }

    #[test]
    fn each_mistake_names_its_setting() {
        for (table, key) in [
            (json!({"path": "~/credchain.age"}), "`path`"),
            (json!({"path": 5}), "`path`"),
            (json!({"identity": []}), "`identity`"),
            (json!({"identity": [5]}), "`identity`"),
            (json!({"passphrase": "literal"}), "`passphrase`"),
            (json!({"max_size": 0}), "`max_size`"),
            (json!({"max_size": "big"}), "`max_size`"),
            (json!({"keep_versions": 0}), "`keep_versions`"),
            (json!({"keep_versions": 101}), "`keep_versions`"),
        ] {
            let error = settings(table.clone()).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{table}");
            assert!(error.message().contains(key), "{table}: {error}");
            assert!(!error.message().contains("literal"));
        }
    }

    #[test]
    fn a_project_name_cannot_lead_the_store_out_of_the_project() {
        for name in ["../other", "/etc", "..", "a\\b", ""] {
            let setup = Setup::new(LinkName::literal("age"))
                .with_settings(Settings::from_json(
                    json!({"path": "{project}/credchain.age"}),
                ))
                .in_project(Project::new(name, "/elsewhere"));
            let error = StoreSettings::from_setup(&setup).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{name}");
        }
    }

    #[test]
    fn the_table_and_the_reader_agree() {
        let keys: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
        assert_eq!(
            keys,
            [
                "path",
                "identity",
                "passphrase",
                "keep_versions",
                "max_size"
            ]
        );
    }
}
