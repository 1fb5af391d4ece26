//! Identities: the private keys that open a store, and where they come from.

use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use credchain_core::{Context, Error, Kind, Result, Secret};
use zeroize::Zeroizing;

use crate::envelope::{Envelope, is_age, seal};
use crate::error::{Fault, fault_of_decrypt, shown};
use crate::files;
use crate::passphrase::{Passphrase, Unlock};
use crate::recipients::Recipient;

/// Largest accepted identity, in bytes.
const MAX_IDENTITY: u64 = 64 << 10;

/// Variables that hold credchain's own secrets; a child process must not see them.
pub const SECRET_VARIABLES: &[&str] = &[IDENTITY, IDENTITY_FILE, PASSPHRASE];

pub(crate) const IDENTITY: &str = "CREDCHAIN_IDENTITY";
pub(crate) const IDENTITY_FILE: &str = "CREDCHAIN_IDENTITY_FILE";
pub(crate) const PASSPHRASE: &str = "CREDCHAIN_PASSPHRASE";

/// Makes an X25519 identity in a new file (0600, in a directory made 0700) and tells its public
/// key. With a passphrase the file is itself an age file, as `age -p` would make it.
///
/// Blocks: a passphrase takes about a second.
///
/// # Errors
/// [`Kind::Conflict`] if the file exists: it is never overwritten.
pub fn generate_identity(path: &Path, passphrase: Option<&Passphrase>) -> Result<Recipient> {
    let (text, recipient) = new_identity();
    match passphrase {
        None => files::create_private(path, text.expose())?,
        Some(passphrase) => {
            let lock = passphrase.recipient();
            let sealed = seal(text.expose(), std::iter::once(&lock as _));
            files::create_private(path, &sealed.map_err(|error| sealing(&error))?)?;
        }
    }
    Ok(recipient)
}

/// Makes an X25519 identity to be kept elsewhere, such as in a keyring: the text of an identity
/// file, and its public key.
///
/// ```
/// let (identity, recipient) = credchain_provider_age::new_identity();
/// assert!(identity.expose_text().unwrap().contains(recipient.key()));
/// ```
pub fn new_identity() -> (Secret, Recipient) {
    let identity = age::x25519::Identity::generate();
    let recipient = Recipient::from_x25519(identity.to_public());
    let secret = identity.to_string();
    let parts = [
        "# public key: ",
        recipient.key(),
        "\n",
        secret.expose_secret(),
        "\n",
    ];
    // Of the right size from the start: a string that grows leaves copies behind.
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    text.extend(parts);
    (Secret::from(text), recipient)
}

/// The public keys of the identities in a file, one for each. Asks for the passphrase of an
/// encrypted file as reading a store does.
///
/// # Errors
/// As opening a store with it: [`Kind::Misconfigured`] for a file that others can read,
/// [`Kind::Unauthenticated`] for none or a wrong passphrase.
pub fn recipients_of(path: &Path, cx: &Context) -> Result<Vec<Recipient>> {
    let unlock = Unlock {
        cx: cx.clone(),
        identity: None,
        passphrase: None,
    };
    let bytes = files::read_private(path, MAX_IDENTITY)?;
    let bytes = Zeroizing::new(bytes.ok_or_else(|| Fault::NoIdentity.at(path))?);
    let source = format!("`{}`", shown(path));
    Ok(parse(&bytes, &source, &unlock)?
        .iter()
        .filter_map(Key::recipient)
        .collect())
}

pub(crate) fn sealing(error: &age::EncryptError) -> Error {
    Error::new(Kind::Internal, "the store could not be encrypted").with_source(error.clone())
}

/// Where identities are looked for when the environment names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In these files; all are tried.
    Files(Vec<PathBuf>),
    /// In the value of a credential.
    Credential(credchain_core::Name),
}

/// Private keys at hand.
pub(crate) struct Keys {
    keys: Vec<Key>,
    /// Where they came from, for messages.
    pub(crate) tried: String,
}

/// One private key.
pub(crate) enum Key {
    X25519(age::x25519::Identity),
    Ssh(Box<age::ssh::Identity>),
    /// An SSH key whose passphrase has not been asked for yet, and where it came from.
    Locked(Box<age::ssh::EncryptedKey>, String),
}

impl Keys {
    /// Collects the identities: what the environment names replaces what the settings name.
    pub(crate) fn load(source: &Source, unlock: &Unlock) -> Result<Self> {
        let env = unlock.cx.env();
        match (env.text(IDENTITY), env.text(IDENTITY_FILE)) {
            (Some(_), Some(_)) => {
                let message = format!("both `{IDENTITY}` and `{IDENTITY_FILE}` are set");
                Err(Error::new(Kind::Misconfigured, message).with_hint("unset one of them"))
            }
            (Some(text), None) => {
                let text = Zeroizing::new(text);
                Self::from_text(text.as_bytes(), &format!("`{IDENTITY}`"), unlock)
            }
            (None, Some(path)) => Self::from_files(&[PathBuf::from(path)], unlock),
            (None, None) => match (source, &unlock.identity) {
                (Source::Credential(name), Some(secret)) => {
                    Self::from_text(secret.expose(), &format!("the credential `{name}`"), unlock)
                }
                (Source::Credential(name), None) => {
                    let message = format!("the credential `{name}`, the identity, is missing");
                    Err(
                        Error::new(Kind::Unauthenticated, message).with_hint(format!(
                            "`resolve explain {name}` shows where it was sought"
                        )),
                    )
                }
                (Source::Files(paths), _) => Self::from_files(paths, unlock),
            },
        }
    }

    /// Whether there is anything that [`Keys::load`] would look into.
    pub(crate) fn are_there(source: &Source, unlock: &Unlock) -> bool {
        let env = unlock.cx.env();
        env.text(IDENTITY).is_some()
            || env.text(IDENTITY_FILE).is_some()
            || match source {
                Source::Credential(_) => true,
                Source::Files(paths) => paths.iter().any(|path| path.exists()),
            }
    }

    fn from_text(text: &[u8], source: &str, unlock: &Unlock) -> Result<Self> {
        Ok(Self {
            keys: parse(text, source, unlock)?,
            tried: source.to_owned(),
        })
    }

    /// Reads all that exist; none at all is an error.
    fn from_files(paths: &[PathBuf], unlock: &Unlock) -> Result<Self> {
        let mut all = Self {
            keys: Vec::new(),
            tried: String::new(),
        };
        for path in paths {
            let Some(bytes) = files::read_private(path, MAX_IDENTITY)? else {
                continue;
            };
            let source = format!("`{}`", shown(path));
            all.keys
                .extend(parse(&Zeroizing::new(bytes), &source, unlock)?);
            all.tried = if all.tried.is_empty() {
                source
            } else {
                format!("{}, {source}", all.tried)
            };
        }
        if all.keys.is_empty() {
            return Err(match paths.first() {
                Some(path) => Fault::NoIdentity.at(path),
                None => Fault::NoIdentity.plain(),
            });
        }
        Ok(all)
    }

    /// The public keys.
    pub(crate) fn recipients(&self) -> Vec<Recipient> {
        self.keys.iter().filter_map(Key::recipient).collect()
    }

    /// Opens a file with whichever key fits. A locked key is unlocked only after the open ones
    /// failed, and stays unlocked.
    pub(crate) fn open(
        &mut self,
        envelope: &Envelope,
        unlock: &Unlock,
    ) -> std::result::Result<Zeroizing<Vec<u8>>, OpenError> {
        match envelope.open(self.keys.iter().filter_map(Key::identity)) {
            Err(age::DecryptError::NoMatchingKeys) => {}
            outcome => return outcome.map_err(OpenError::Age),
        }
        for key in &mut self.keys {
            let Key::Locked(locked, source) = key else {
                continue;
            };
            let passphrase = unlock.passphrase(source).map_err(OpenError::Ours)?;
            let open = locked
                .decrypt(passphrase.text.clone())
                .map_err(OpenError::Age)?;
            *key = Key::Ssh(Box::new(open.into()));
            match envelope.open(key.identity().into_iter()) {
                Err(age::DecryptError::NoMatchingKeys) => {}
                outcome => return outcome.map_err(OpenError::Age),
            }
        }
        Err(OpenError::Age(age::DecryptError::NoMatchingKeys))
    }
}

/// Why a file did not open.
pub(crate) enum OpenError {
    Age(age::DecryptError),
    Ours(Error),
}

impl Key {
    fn identity(&self) -> Option<&dyn age::Identity> {
        match self {
            Self::X25519(key) => Some(key),
            Self::Ssh(key) => Some(&**key),
            Self::Locked(..) => None,
        }
    }

    fn recipient(&self) -> Option<Recipient> {
        let ssh = |key: age::ssh::Identity| {
            age::ssh::Recipient::try_from(key)
                .ok()
                .map(Recipient::from_ssh)
        };
        match self {
            Self::X25519(key) => Some(Recipient::from_x25519(key.to_public())),
            Self::Ssh(key) => ssh((**key).clone()),
            Self::Locked(key, _) => ssh((**key).clone().into()),
        }
    }
}

/// Reads the identities in a text: age's own lines, an SSH key, or an age file with lines.
fn parse(text: &[u8], source: &str, unlock: &Unlock) -> Result<Vec<Key>> {
    if !is_age(text) {
        return parse_plain(text, source);
    }
    let envelope = Envelope::parse(text).filter(|envelope| envelope.work_factor.is_some());
    let envelope = envelope.ok_or_else(|| bad_identity(source))?;
    let passphrase = unlock.passphrase(source)?;
    let identity = passphrase.identity();
    let plain = envelope
        .open(std::iter::once(&identity as _))
        .map_err(|error| {
            let fault = fault_of_decrypt(&error, true);
            let base = fault.plain();
            Error::new(fault.kind(), format!("{source}: {}", base.message()))
                .with_hint(base.hint().unwrap_or_default().to_owned())
        })?;
    parse_plain(&plain, source)
}

fn parse_plain(text: &[u8], source: &str) -> Result<Vec<Key>> {
    let text = std::str::from_utf8(text)
        .map_err(|_| bad_identity(source))?
        .trim();
    if text.starts_with("-----BEGIN") {
        // The parser wants the last line ended.
        let text = Zeroizing::new(format!("{text}\n"));
        let key = age::ssh::Identity::from_buffer(text.as_bytes(), None)
            .map_err(|_| bad_identity(source))?;
        return match key {
            age::ssh::Identity::Encrypted(key) => {
                Ok(vec![Key::Locked(Box::new(key), source.to_owned())])
            }
            age::ssh::Identity::Unencrypted(_) => Ok(vec![Key::Ssh(Box::new(key))]),
            age::ssh::Identity::Unsupported(_) => Err(bad_identity(source)),
        };
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<_> = lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.parse()
                .map(Key::X25519)
                .map_err(|_| bad_identity(source))
        })
        .collect::<Result<_>>()?;
    if keys.is_empty() {
        Err(bad_identity(source))
    } else {
        Ok(keys)
    }
}

fn bad_identity(source: &str) -> Error {
    let base = Fault::BadIdentity.plain();
    Error::new(base.kind(), format!("{source} holds {}", base.message()))
        .with_hint(base.hint().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use credchain_core::Environment;

    use super::*;

    fn unlock(env: &[(&str, &str)]) -> Unlock {
        let env = Environment::fixed(env.iter().copied());
        Unlock {
            cx: Context::system().with_env(env),
            identity: None,
            passphrase: None,
        }
    }

    fn identity() -> String {
        age::x25519::Identity::generate()
            .to_string()
            .expose_secret()
            .to_owned()
    }

    fn load(path: &Path, env: &[(&str, &str)]) -> Result<Keys> {
        Keys::load(&Source::Files(vec![path.to_owned()]), &unlock(env))
    }

    #[test]
    fn a_generated_identity_is_read_back_and_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("credchain/identity");
        let recipient = generate_identity(&path, None).unwrap();
        assert_eq!(
            load(&path, &[]).unwrap().recipients(),
            std::slice::from_ref(&recipient)
        );
        let refusal = generate_identity(&path, None).unwrap_err();
        assert_eq!(refusal.kind(), Kind::Conflict);
        assert_eq!(
            recipients_of(&path, &Context::system()).unwrap(),
            [recipient]
        );
    }

    #[test]
    fn an_encrypted_identity_needs_its_passphrase() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        let passphrase = Passphrase::new(&Secret::new("open sesame"))
            .unwrap()
            .with_work_factor(4);
        let recipient = generate_identity(&path, Some(&passphrase)).unwrap();
        let keys = load(&path, &[(PASSPHRASE, "open sesame")]).unwrap();
        assert_eq!(keys.recipients(), [recipient]);
        for env in [&[][..], &[(PASSPHRASE, "wrong")]] {
            let error = load(&path, env).err().unwrap();
            assert_eq!(error.kind(), Kind::Unauthenticated);
            assert!(error.hint().unwrap().contains(PASSPHRASE));
        }
    }

    #[test]
    fn the_environment_replaces_the_settings() {
        let text = identity();
        let nowhere = Path::new("/nonexistent/identity");
        assert_eq!(load(nowhere, &[(IDENTITY, &text)]).unwrap().keys.len(), 1);
        let error = load(nowhere, &[(IDENTITY, &text), (IDENTITY_FILE, "x")])
            .err()
            .unwrap();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.message().contains(IDENTITY) && error.message().contains(IDENTITY_FILE));
        let error = load(nowhere, &[]).err().unwrap();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(error.hint().unwrap().contains("resolve init"));
    }

    #[test]
    fn a_bad_identity_is_refused_without_repeating_it() {
        let half = format!("{}-CANARY", &identity()[..20]);
        for text in [
            "canary",
            "# nothing\n",
            &half,
            "-----BEGIN OPENSSH canary",
            "age-encryption.org/v1\ncanary",
        ] {
            let error = load(Path::new("x"), &[(IDENTITY, text)]).err().expect(text);
            assert_eq!(error.kind(), Kind::Misconfigured, "{text}");
            assert!(
                !format!("{error:?}").to_lowercase().contains("canary"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_excessive_work_factor_is_refused_before_the_work() {
        let salt = "A".repeat(22);
        let text = format!(
            "age-encryption.org/v1\n-> scrypt {salt} 40\n{0}\n--- {0}\n",
            "A".repeat(43)
        );
        let text = format!("{text}{}", "\0".repeat(0)) + &"x".repeat(64);
        let error = load(Path::new("x"), &[(IDENTITY, &text), (PASSPHRASE, "p")])
            .err()
            .unwrap();
        assert_eq!(error.kind(), Kind::Invalid);
    }
}
