//! The ways to log in.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use credchain_core::files::{self, Refused};
use credchain_core::{
    Context, CredentialSource, Error, Kind, Name, Result, Secret, Setting, Settings, Shape,
};
use serde_json::{Value, json};

/// Where Kubernetes puts a pod's own token.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A token is a line; anything longer is another file.
const MAX_TOKEN: u64 = 64 << 10;

const MOUNT: Setting = Setting::new(
    "mount",
    Shape::Text,
    "Where the method is mounted. Default: the method's name.",
);

/// The table `auth`.
pub(crate) const AUTH: Shape = Shape::Tagged {
    tag: "method",
    variants: &[
        (
            "token",
            &[Setting::new(
                "token",
                Shape::Credential,
                "The token; without it `VAULT_TOKEN`, then `BAO_TOKEN`, then `~/.vault-token`.",
            )],
        ),
        (
            "approle",
            &[
                Setting::new("role_id", Shape::Text, "The role's id.").required(),
                Setting::new(
                    "secret_id",
                    Shape::Credential,
                    "The secret id, if the role asks for one.",
                ),
                Setting::new(
                    "wrapped",
                    Shape::Bool,
                    "Whether `secret_id` is a wrapping token to be unwrapped first.",
                )
                .or("false"),
                MOUNT,
            ],
        ),
        ("userpass", USER),
        ("ldap", USER),
        (
            "jwt",
            &[
                Setting::new(
                    "role",
                    Shape::Text,
                    "The role; without it the mount's default.",
                ),
                Setting::new("token", Shape::Credential, "The signed token."),
                Setting::new(
                    "token_file",
                    Shape::Path,
                    "A file that holds the signed token.",
                ),
                Setting::new(
                    "token_env",
                    Shape::Text,
                    "A variable that holds the signed token.",
                ),
                MOUNT,
            ],
        ),
        (
            "kubernetes",
            &[
                Setting::new("role", Shape::Text, "The role.").required(),
                Setting::new("token_file", Shape::Path, "The service account's token.")
                    .or("\"/var/run/secrets/kubernetes.io/serviceaccount/token\""),
                MOUNT,
            ],
        ),
    ],
};

const USER: &[Setting] = &[
    Setting::new("username", Shape::Text, "The user.").required(),
    Setting::new(
        "password",
        Shape::Credential,
        "The user's password; without it the user logs in with `resolve login`.",
    ),
    Setting::new(
        "token",
        Shape::Credential,
        "Where the token of `resolve login` is kept. Default: `~/.vault-token`.",
    ),
    MOUNT,
];

/// How to log in.
#[derive(Debug)]
pub(crate) enum Auth {
    /// With a token that somebody else got.
    Token(Option<Name>),
    /// With a request that answers with a token.
    Login { mount: String, proof: Proof },
    /// With a token that a person got before, with `resolve login`.
    Person(Person),
}

/// Who logs in by hand.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) mount: String,
    pub(crate) username: String,
    /// The credential that keeps the token, instead of a file.
    pub(crate) kept: Option<Name>,
}

/// What a login shows.
#[derive(Debug)]
pub(crate) enum Proof {
    AppRole {
        role_id: String,
        secret_id: Option<Name>,
        wrapped: bool,
    },
    Password {
        username: String,
        password: Name,
    },
    Signed {
        role: Option<String>,
        token: Signed,
    },
}

/// Where a signed token comes from.
#[derive(Debug)]
pub(crate) enum Signed {
    Credential(Name),
    File(PathBuf),
    Variable(String),
}

impl Auth {
    pub(crate) fn new(table: Option<&Settings>, base: &Path) -> Result<Self> {
        let Some(table) = table else {
            return Ok(Self::Token(None));
        };
        let text = |key: &str| Ok::<_, Error>(table.text(key)?.map(str::to_owned));
        let needed = |key: &str| {
            text(key)?
                .filter(|text| !text.is_empty())
                .ok_or_else(|| Error::new(Kind::Misconfigured, format!("the login needs `{key}`")))
        };
        let method = text("method")?.unwrap_or_else(|| "token".to_owned());
        let proof = match method.as_str() {
            "token" => return Ok(Self::Token(table.credential("token")?)),
            "approle" => Proof::AppRole {
                role_id: needed("role_id")?,
                secret_id: table.credential("secret_id")?,
                wrapped: table.bool("wrapped")?.unwrap_or(false),
            },
            "userpass" | "ldap" => {
                let username = needed("username")?;
                let kept = table.credential("token")?;
                match (table.credential("password")?, kept) {
                    (Some(password), None) => Proof::Password { username, password },
                    (None, kept) => {
                        let mount = text("mount")?.unwrap_or(method);
                        let person = Person {
                            mount,
                            username,
                            kept,
                        };
                        return Ok(Self::Person(person));
                    }
                    (Some(_), Some(_)) => {
                        let message = "a login with `password` keeps no `token`";
                        return Err(Error::new(Kind::Misconfigured, message)
                            .with_hint("leave out one of the two"));
                    }
                }
            }
            "jwt" => Proof::Signed {
                role: text("role")?,
                token: Signed::new(table, base)?,
            },
            "kubernetes" => Proof::Signed {
                role: Some(needed("role")?),
                token: Signed::File(base.join(text("token_file")?.as_deref().unwrap_or(POD_TOKEN))),
            },
            _ => {
                return Err(Error::new(
                    Kind::Misconfigured,
                    "`auth.method` is no way to log in that is known here",
                ));
            }
        };
        let mount = text("mount")?.unwrap_or(method);
        Ok(Self::Login { mount, proof })
    }
}

impl Signed {
    fn new(table: &Settings, base: &Path) -> Result<Self> {
        if let Some(name) = table.credential("token")? {
            return Ok(Self::Credential(name));
        }
        if let Some(path) = table.text("token_file")? {
            return Ok(Self::File(base.join(path)));
        }
        if let Some(variable) = table.text("token_env")? {
            return Ok(Self::Variable(variable.to_owned()));
        }
        Err(Error::new(
            Kind::Misconfigured,
            "the login needs one of `token`, `token_file`, `token_env`",
        ))
    }

    async fn read(&self, credentials: &dyn CredentialSource, cx: &Context) -> Result<Secret> {
        match self {
            Self::Credential(name) => credentials.needed(name, cx).await,
            // A pod's own token is readable for all of the pod.
            Self::File(path) => read_token(path.clone(), |_, _| ()).await?.ok_or_else(|| {
                Error::new(
                    Kind::Unauthenticated,
                    format!("there is no token in `{}`", path.display()),
                )
            }),
            Self::Variable(variable) => {
                cx.env().text(variable).map(Secret::from).ok_or_else(|| {
                    Error::new(
                        Kind::Unauthenticated,
                        format!("the variable `{variable}` holds no token"),
                    )
                })
            }
        }
    }
}

impl Proof {
    /// The path below `auth/MOUNT/`, and the body.
    pub(crate) async fn request(
        &self,
        credentials: &dyn CredentialSource,
        cx: &Context,
    ) -> Result<(String, Value)> {
        Ok(match self {
            Self::AppRole {
                role_id, secret_id, ..
            } => {
                let mut body = json!({ "role_id": role_id });
                if let Some(name) = secret_id {
                    body["secret_id"] = text(&credentials.needed(name, cx).await?)?;
                }
                ("login".to_owned(), body)
            }
            Self::Password { username, password } => {
                with_password(username, &credentials.needed(password, cx).await?)?
            }
            Self::Signed { role, token } => {
                let jwt = text(&token.read(credentials, cx).await?)?;
                let mut body = json!({ "jwt": jwt });
                if let Some(role) = role {
                    body["role"] = json!(role);
                }
                ("login".to_owned(), body)
            }
        })
    }
}

/// The path and the body of a login with a password.
pub(crate) fn with_password(username: &str, password: &Secret) -> Result<(String, Value)> {
    let body = json!({ "password": text(password)? });
    Ok((format!("login/{username}"), body))
}

/// A token that was handed in: named, in the environment, or left by `vault login`.
pub(crate) async fn handed_in(
    named: Option<&Name>,
    credentials: &dyn CredentialSource,
    cx: &Context,
) -> Result<Secret> {
    if let Some(name) = named {
        let token = credentials.needed(name, cx).await?;
        text(&token)?;
        return Ok(token);
    }
    for variable in ["VAULT_TOKEN", "BAO_TOKEN"] {
        if let Some(token) = cx.env().text(variable) {
            return Ok(Secret::from(token.trim().to_owned()));
        }
    }
    if let Some(file) = token_file(cx)
        && let Some(token) = read_token(file, warn_if_shared).await?
    {
        return Ok(token);
    }
    Err(Error::new(Kind::Unauthenticated, "there is no token")
        .with_hint("set `VAULT_TOKEN`, or `auth` in its table; `vault login` leaves a token, too"))
}

/// Where `vault login` leaves its token, and `resolve login` too.
pub(crate) fn token_file(cx: &Context) -> Option<PathBuf> {
    let home = cx.env().text("HOME").filter(|home| !home.is_empty())?;
    Some(Path::new(&home).join(".vault-token"))
}

/// The token in a file; nothing if there is no file or nothing in it.
pub(crate) async fn read_token(
    path: PathBuf,
    look: fn(&Path, &Metadata),
) -> Result<Option<Secret>> {
    let shown = path.display().to_string();
    let read = move || {
        let file = files::open(&path)?;
        look(&path, file.metadata());
        file.read(MAX_TOKEN)
    };
    let read = tokio::task::spawn_blocking(read).await;
    let bytes = match read {
        Ok(Ok(bytes)) => zeroize::Zeroizing::new(bytes),
        Ok(Err(Refused::Io(error))) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Ok(Err(refused)) => {
            let error = Error::new(Kind::Misconfigured, format!("`{shown}` {refused}"));
            return Err(error.with_hint(format!("`ls -l {shown}` shows what is there")));
        }
        Err(_) => return Err(Error::new(Kind::Internal, "a task on files did not finish")),
    };
    let token = std::str::from_utf8(&bytes)
        .map(str::trim)
        .unwrap_or_default();
    Ok((!token.is_empty()).then(|| Secret::from(token.to_owned())))
}

/// `vault login` leaves a file for its user alone.
pub(crate) fn warn_if_shared(path: &Path, metadata: &Metadata) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if metadata.mode() & 0o044 != 0 {
            tracing::warn!(path = %path.display(), "others can read the token in this file");
        }
    }
    #[cfg(not(unix))]
    let _ = (path, metadata);
}

/// A secret of a login, which has to be text without line ends: it goes into a header or JSON.
fn text(secret: &Secret) -> Result<Value> {
    match secret.expose_text().map(str::trim) {
        Some(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(json!(text)),
        _ => Err(Error::new(
            Kind::Invalid,
            "a secret of the login is no single line of text",
        )),
    }
}
