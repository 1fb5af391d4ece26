//! Who to be: found on first use, where Google's own programs look.

mod file;
mod grant;
mod jwt;
mod workload;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use credchain_core::{Context, Error, Kind, Name, Result, Secret, files::Refused};
use zeroize::Zeroizing;

pub(crate) use self::grant::{LOGIN, bearer};
use self::jwt::Key;
use self::workload::Workload;
use crate::config::{LoginSetting, Settings};
use crate::http::read_file;

/// The largest file to log in with.
const MAX_FILE: u64 = 256 << 10;

/// A token that ends so soon is not used any more: it has to hold until it arrives.
const SLACK: Duration = Duration::from_mins(1);

/// Where gcloud keeps the login that programs use.
const WELL_KNOWN: &str = "application_default_credentials.json";

/// Where a machine of Google's asks about itself.
const METADATA: &str = "http://metadata.google.internal";

/// A login that is set up, and may have failed all the same.
pub(crate) struct Login {
    source: Source,
    /// The accounts to act as, one after the other.
    hops: Vec<Hop>,
    /// The project that the login belongs to, if it says so.
    pub(crate) project: Option<String>,
    /// The project that requests are charged to.
    pub(crate) quota_project: Option<String>,
}

/// Where the first token comes from.
enum Source {
    Token(Name),
    Metadata(Metadata),
    ServiceAccount(Key),
    User(User),
    Workload(Box<Workload>),
}

/// The server that tells a machine of Google's about itself.
struct Metadata {
    base: String,
    /// Whether somebody said that there is one.
    named: bool,
}

/// A person who logged in with gcloud.
struct User {
    client_id: String,
    client_secret: Zeroizing<String>,
    refresh_token: Zeroizing<String>,
    token_url: String,
}

/// A service account to act as.
struct Hop {
    url: String,
    delegates: Vec<String>,
}

/// A token with the time until which it holds, if that is known.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    until: Option<SystemTime>,
}

impl Token {
    pub(crate) fn holds(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| until > now + SLACK)
    }
}

impl Login {
    /// The login that the settings name, else the one that is found.
    pub(crate) async fn find(settings: &Settings, cx: &Context) -> Result<Self> {
        let mut login = match &settings.login {
            LoginSetting::Token(name) => Self::of(Source::Token(name.clone())),
            LoginSetting::Key(name) => {
                let key = settings.source.needed(name, cx).await?;
                file::parse(key.expose(), &format!("`{name}`"), settings)?
            }
            LoginSetting::File(path) => named_file(path.clone(), settings).await?,
            LoginSetting::Default => Self::default(settings, cx).await?,
        };
        if let Some(account) = &settings.impersonate {
            let base = &settings.iam_endpoint;
            login.hops.push(Hop {
                url: format!("{base}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"),
                delegates: Vec::new(),
            });
        }
        let charged = settings.quota_project.clone();
        let charged = charged.or_else(|| cx.env().text("GOOGLE_CLOUD_QUOTA_PROJECT"));
        login.quota_project = charged.or(login.quota_project);
        Ok(login)
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            hops: Vec::new(),
            project: None,
            quota_project: None,
        }
    }

    /// The application default credentials: a file that the environment names, gcloud's, or the
    /// machine's own account.
    async fn default(settings: &Settings, cx: &Context) -> Result<Self> {
        let named = cx.env().get("GOOGLE_APPLICATION_CREDENTIALS");
        if let Some(path) = named.filter(|path| !path.is_empty()) {
            return named_file(path.into(), settings).await;
        }
        if let Some(path) = well_known(cx) {
            match read_file(&path, MAX_FILE).await? {
                Ok(content) => return file::parse(&content, &shown(&path), settings),
                Err(Refused::Io(error)) if is_missing(&error) => {}
                Err(refused) => return Err(unreadable(&path, &refused)),
            }
        }
        let named = cx.env().text("GCE_METADATA_HOST");
        Ok(Self::of(Source::Metadata(Metadata {
            base: match &named {
                Some(host) => metadata_of(host)?,
                None => METADATA.to_owned(),
            },
            named: named.is_some(),
        })))
    }

    /// Whom Google takes this program for, as far as that is known without asking it.
    pub(crate) fn name(&self) -> String {
        let acted = self.hops.last().and_then(Hop::account);
        match (acted, &self.source) {
            (Some(account), _) => account.to_owned(),
            (None, Source::ServiceAccount(key)) => key.email.clone(),
            (None, Source::Workload(workload)) => workload.audience.clone(),
            (None, Source::User(_)) => "whoever logged in with gcloud".to_owned(),
            (None, Source::Metadata(_)) => "the machine's own service account".to_owned(),
            (None, Source::Token(name)) => format!("the owner of the token `{name}`"),
        }
    }
}

impl Hop {
    /// `…/serviceAccounts/ACCOUNT:generateAccessToken`.
    fn account(&self) -> Option<&str> {
        let (_, rest) = self.url.rsplit_once("/serviceAccounts/")?;
        rest.split_once(':').map(|(account, _)| account)
    }
}

async fn named_file(path: PathBuf, settings: &Settings) -> Result<Login> {
    let content = read_file(&path, MAX_FILE).await?;
    let content = content.map_err(|refused| unreadable(&path, &refused))?;
    file::parse(&content, &shown(&path), settings)
}

fn shown(path: &std::path::Path) -> String {
    format!("`{}`", path.display())
}

fn unreadable(path: &std::path::Path, refused: &Refused) -> Error {
    let message = format!(
        "the file to log in to Google with, `{}`: {refused}",
        path.display()
    );
    Error::new(Kind::Misconfigured, message)
        .with_hint("see setting `credentials_file` and GOOGLE_APPLICATION_CREDENTIALS")
}

fn is_missing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

fn well_known(cx: &Context) -> Option<PathBuf> {
    let env = |name| cx.env().get(name).filter(|value| !value.is_empty());
    let gcloud = if let Some(directory) = env("CLOUDSDK_CONFIG") {
        PathBuf::from(directory)
    } else if cfg!(windows) {
        PathBuf::from(env("APPDATA")?).join("gcloud")
    } else {
        PathBuf::from(env("HOME")?).join(".config/gcloud")
    };
    Some(gcloud.join(WELL_KNOWN))
}

fn metadata_of(host: &str) -> Result<String> {
    let part = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    if host.chars().all(part) {
        Ok(format!("http://{host}"))
    } else {
        Err(Error::new(
            Kind::Misconfigured,
            "`GCE_METADATA_HOST` must be a host and perhaps a port",
        ))
    }
}
