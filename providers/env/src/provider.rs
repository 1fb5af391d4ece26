//! The provider: a reference becomes a variable's name, and that is looked up.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use credchain_core::files::Refused;
use credchain_core::{
    Capabilities, Context, Error, FILES_VARIABLE, Kind, Listed, Naming, Provider, Reference,
    Result, Secret, Setup, async_trait, files,
};

use crate::config::Settings;
use crate::error;

/// Largest file that a `NAME_FILE` variable may name.
pub(crate) const FILE_LIMIT: u64 = 16 << 20;

/// The field that stands for "what is in the file that the variable names".
const CONTENTS: &str = "contents";

/// No variable can hold a NUL, so not every byte can be stored.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::read_only()
    .listable()
    .text_only()
    .empty_is_unset();

/// Reads environment variables, and the files that `NAME_FILE` variables name.
///
/// ```
/// use credchain_core::{Context, Environment, Provider as _};
/// use credchain_provider_env::Env;
///
/// # credchain_core::doctest(async {
/// let cx = Context::system().with_env(Environment::fixed([("APP_API_KEY", "s3cret")]));
/// let env = Env::new().with_prefix("APP_");
/// assert_eq!(env.get(&"API_KEY".parse()?, &cx).await?.expose(), b"s3cret");
/// assert_eq!(env.get(&"/APP_API_KEY".parse()?, &cx).await?.expose(), b"s3cret");
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Env {
    settings: Settings,
}

impl Env {
    /// All variables, without a prefix.
    pub fn new() -> Self {
        Self::default()
    }

    /// Variables whose names start with `prefix`.
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// As a configuration describes it.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for a prefix that no variable can have.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        Ok(Self {
            settings: Settings::new(setup)?,
        })
    }

    /// The variable that a reference's path stands for.
    fn variable<'a>(&self, path: &'a str) -> Cow<'a, str> {
        match path.strip_prefix('/') {
            Some(absolute) => Cow::Borrowed(absolute),
            None if self.settings.prefix.is_empty() => Cow::Borrowed(path),
            None => Cow::Owned(format!("{}{path}", self.settings.prefix)),
        }
    }

    /// What a `NAME_FILE` variable holds, which should be a path, unless `NAME` is set as well.
    fn file_of(variable: &str, cx: &Context) -> Result<PathBuf> {
        let path = cx.env().get(variable).filter(|path| !path.is_empty());
        let path = path.ok_or_else(Error::not_found)?;
        if let Some(direct) = variable.strip_suffix("_FILE")
            && cx.env().get(direct).is_some_and(|value| !value.is_empty())
        {
            let message = format!("both `{direct}` and `{variable}` are set");
            return Err(Error::new(Kind::Misconfigured, message).with_hint(format!(
                "unset one of them: `unset {direct}` or `unset {variable}`"
            )));
        }
        Ok(path.into())
    }

    /// The value of a variable: what it holds, or what is in the file whose path it holds.
    async fn value(&self, variable: &str, cx: &Context) -> Result<Secret> {
        let value = cx.env().get(variable).ok_or_else(Error::not_found)?;
        let listed = cx.env().text(FILES_VARIABLE).unwrap_or_default();
        let path = Path::new(&value);
        // What is no absolute path was put there by somebody else since, and is a value.
        if path.is_absolute() && listed.split(',').any(|name| name == variable) {
            // SECURITY: nor does an absolute path have to be one, so that it is not shown.
            let explain = |refused| error::unreadable(refused, variable, None);
            return read(path.to_owned(), explain).await.map_err(|error| {
                error.with_hint(format!(
                    "`{FILES_VARIABLE}` lists `{variable}` as the path of a file; unset \
                     `{FILES_VARIABLE}` if it is the value"
                ))
            });
        }
        Ok(Secret::new(into_bytes(value, variable)?))
    }

    async fn contents(&self, variable: &str, cx: &Context) -> Result<Secret> {
        let given = Self::file_of(variable, cx)?;
        let explain = |refused| error::unreadable(refused, variable, Some(&given));
        read(self.settings.working_directory.join(&given), explain).await
    }
}

async fn read(path: PathBuf, explain: impl FnOnce(Refused) -> Error) -> Result<Secret> {
    // Off the runtime's thread: the file may be on a mount that hangs, and a time limit must
    // still be able to end the wait.
    let read = tokio::task::spawn_blocking(move || files::open(&path)?.read(FILE_LIMIT));
    match read.await {
        Ok(read) => read.map(Secret::new).map_err(explain),
        Err(_) => Err(Error::new(
            Kind::Internal,
            "the reading task did not finish",
        )),
    }
}

#[async_trait]
impl Provider for Env {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        if reference.version().is_some() {
            return Err(Error::unsupported("reading a version of a variable"));
        }
        let variable = self.variable(reference.path());
        match reference.field() {
            None => self.value(&variable, cx).await,
            Some(CONTENTS) => self.contents(&variable, cx).await,
            Some(_) => Err(
                Error::new(Kind::Invalid, "an environment variable has no fields")
                    .with_hint("`NAME_FILE#contents` reads the file that `NAME_FILE` names"),
            ),
        }
    }

    // Nothing to overlap: a look-up waits for nobody, and a file is rare.
    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let mut values = Vec::with_capacity(references.len());
        for reference in references {
            values.push(self.get(reference, cx).await);
        }
        values
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let prefix = prefix.unwrap_or_default();
        let names = cx
            .env()
            .all()
            .into_iter()
            .filter_map(|(name, _)| name.into_string().ok());
        let mut references: Vec<_> = names
            .filter_map(|name| {
                let path = name.strip_prefix(&self.settings.prefix)?;
                // A leading `/` would read as "without the prefix".
                let wanted = path.starts_with(prefix) && !path.starts_with('/');
                wanted.then(|| Reference::new(path).ok()).flatten()
            })
            .collect();
        references.sort();
        Ok(references.into_iter().map(Listed::new).collect())
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        let conventional = naming.env_name();
        let candidates = if naming.declared {
            [
                Reference::new(format!("{conventional}_FILE")).and_then(|r| r.with_field(CONTENTS)),
                Reference::new(&conventional),
            ]
        } else {
            // Nobody declared it, so the name is first taken as it was typed.
            [
                Reference::new(naming.name.as_str()),
                Reference::new(&conventional),
            ]
        };
        let mut references: Vec<_> = candidates.into_iter().flatten().collect();
        references.dedup();
        references
    }
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "elsewhere a variable may not be bytes"
)]
fn into_bytes(value: OsString, _: &str) -> Result<Vec<u8>> {
    Ok(std::os::unix::ffi::OsStringExt::into_vec(value))
}

#[cfg(not(unix))]
fn into_bytes(value: OsString, variable: &str) -> Result<Vec<u8>> {
    let text = value.into_string().map_err(|_| {
        Error::new(
            Kind::Invalid,
            format!("the value of `{variable}` is not valid Unicode"),
        )
    })?;
    Ok(text.into_bytes())
}
