//! One encrypted file: opened once for each change of its bytes, written as one step.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use credchain_core::{Error, Kind, Result};

use crate::codec;
use crate::config::StoreSettings;
use crate::document::Document;
use crate::envelope::{Envelope, MAX_RECIPIENTS, seal};
use crate::error::{Fault, fault_of_decrypt, shown};
use crate::files::{self, Held};
use crate::identity::{Keys, OpenError, sealing};
use crate::passphrase::{Passphrase, Unlock};
use crate::recipients::Recipient;

/// How often a writer starts anew because the file was replaced by somebody who does not lock.
const MAX_RACES: usize = 100;

/// How a store is encrypted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Protection {
    /// For these public keys; any of their private keys opens it.
    Recipients(Vec<Recipient>),
    /// With a passphrase, and by the age format with nothing else.
    Passphrase(Passphrase),
}

/// The store itself. Every method blocks.
pub(crate) struct Store {
    pub(crate) settings: StoreSettings,
    /// Writers of this process line up here, before they compete for the file's lock.
    gate: Mutex<()>,
    state: Mutex<State>,
}

/// What is remembered between calls.
#[derive(Default)]
struct State {
    opened: Option<Opened>,
    keys: Option<Keys>,
    passphrase: Option<Passphrase>,
}

/// The bytes of the file and what was in them. The bytes tell whether the file has changed: a
/// time stamp can stay the same when two writes follow each other closely.
#[derive(Clone)]
struct Opened {
    bytes: Arc<[u8]>,
    document: Arc<Document>,
    protection: Protection,
}

/// What a change of the document did.
pub(crate) enum Change<T> {
    Made(T),
    /// Nothing is written.
    None(T),
    /// The store is encrypted in another way from now on.
    Protected(Protection, T),
}

impl Store {
    pub(crate) fn new(settings: StoreSettings) -> Self {
        Self {
            settings,
            gate: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// What was read last, if the file still holds the same bytes.
    pub(crate) fn remembered(&self) -> Result<Option<Arc<Document>>> {
        let bytes = self.read()?;
        let state = lock(&self.state);
        let opened = state
            .opened
            .as_ref()
            .filter(|opened| *opened.bytes == *bytes);
        Ok(opened.map(|opened| opened.document.clone()))
    }

    /// Reads the document.
    pub(crate) fn load(&self, unlock: &Unlock) -> Result<Arc<Document>> {
        Ok(self.open(&self.read()?, unlock)?.document)
    }

    /// How the store is encrypted.
    pub(crate) fn protection(&self, unlock: &Unlock) -> Result<Protection> {
        Ok(self.open(&self.read()?, unlock)?.protection)
    }

    /// Reads, changes and writes the document as one step among all writers. A store that is
    /// not there is made when `create` says so and there is an identity to make it for.
    pub(crate) fn update<T>(
        &self,
        unlock: &Unlock,
        create: bool,
        mut change: impl FnMut(&mut Document, &Protection, &mut Keyring<'_>) -> Result<Change<T>>,
    ) -> Result<T> {
        let _turn = lock(&self.gate);
        for _ in 0..MAX_RACES {
            let mut held = Held::wait(&self.settings.path, &unlock.cx)?;
            let (mut document, protection) = match &mut held {
                Some(held) => {
                    let opened = self.open(&held.read(self.settings.max_size)?, unlock)?;
                    (Document::clone(&opened.document), opened.protection)
                }
                None if create => {
                    let own = self.recipients_to_create_for(unlock)?;
                    let document = Document {
                        recipients: Some(own.clone()),
                        ..Document::default()
                    };
                    (document, Protection::Recipients(own))
                }
                None => return Err(self.missing()),
            };
            let mut keyring = Keyring {
                store: self,
                unlock,
            };
            let (protection, outcome) = match change(&mut document, &protection, &mut keyring)? {
                Change::None(outcome) => return Ok(outcome),
                Change::Made(outcome) => (protection, outcome),
                Change::Protected(protection, outcome) => (protection, outcome),
            };
            let bytes = self.seal(&mut document, &protection)?;
            let written = match &mut held {
                Some(held) => held.replace(&bytes)?,
                None => files::create(&self.settings.path, &bytes)?,
            };
            if written {
                self.remember(bytes, document, protection);
                return Ok(outcome);
            }
        }
        Err(Fault::Busy.at(&self.settings.path))
    }

    /// Makes an empty store where there is none.
    pub(crate) fn create(&self, protection: Protection) -> Result<()> {
        let mut document = Document::default();
        let bytes = self.seal(&mut document, &protection)?;
        if !files::create(&self.settings.path, &bytes)? {
            return Err(Fault::Exists.at(&self.settings.path));
        }
        self.remember(bytes, document, protection);
        Ok(())
    }

    fn read(&self) -> Result<Vec<u8>> {
        let bytes = files::read(&self.settings.path, self.settings.max_size)?;
        bytes.ok_or_else(|| self.missing())
    }

    fn missing(&self) -> Error {
        let fault = if self.settings.explicit {
            Fault::Missing
        } else {
            Fault::Absent
        };
        fault.at(&self.settings.path)
    }

    /// Decrypts and decodes, unless these very bytes were opened before.
    fn open(&self, bytes: &[u8], unlock: &Unlock) -> Result<Opened> {
        let path = &self.settings.path;
        // Held while decrypting: of many readers one does the work, and a person is asked once.
        let mut state = lock(&self.state);
        if let Some(opened) = state
            .opened
            .as_ref()
            .filter(|opened| *opened.bytes == *bytes)
        {
            return Ok(opened.clone());
        }
        let envelope = Envelope::parse(bytes).ok_or_else(|| Fault::Corrupt.at(path))?;
        let (contents, passphrase) = if let Some(work_factor) = envelope.work_factor {
            let (contents, passphrase) =
                self.open_with_passphrase(&envelope, &mut state, unlock)?;
            (contents, Some(passphrase.with_work_factor(work_factor)))
        } else {
            (self.open_with_keys(&envelope, &mut state, unlock)?, None)
        };
        let document = codec::decode(&contents).map_err(|error| self.named(&error))?;
        let protection = match passphrase {
            Some(passphrase) => Protection::Passphrase(passphrase),
            None => Protection::Recipients(match (&document.recipients, envelope.recipients) {
                (Some(recipients), _) => recipients.clone(),
                // Made by hand with `age -r`, and for one key only: that key is one of ours.
                (None, 1) => state
                    .keys
                    .as_ref()
                    .map(Keys::recipients)
                    .unwrap_or_default(),
                (None, _) => Vec::new(),
            }),
        };
        let document = Arc::new(document);
        let opened = Opened {
            bytes: bytes.into(),
            document,
            protection,
        };
        state.opened = Some(opened.clone());
        Ok(opened)
    }

    fn open_with_passphrase(
        &self,
        envelope: &Envelope,
        state: &mut State,
        unlock: &Unlock,
    ) -> Result<(zeroize::Zeroizing<Vec<u8>>, Passphrase)> {
        if let Some(known) = &state.passphrase {
            let identity = known.identity();
            if let Ok(contents) = envelope.open(std::iter::once(&identity as _)) {
                return Ok((contents, known.clone()));
            }
        }
        let path = &self.settings.path;
        let passphrase = unlock.passphrase(&format!("`{}`", shown(path)))?;
        let identity = passphrase.identity();
        let contents = envelope
            .open(std::iter::once(&identity as _))
            .map_err(|error| fault_of_decrypt(&error, true).at(path).with_source(error))?;
        state.passphrase = Some(passphrase.clone());
        Ok((contents, passphrase))
    }

    fn open_with_keys(
        &self,
        envelope: &Envelope,
        state: &mut State,
        unlock: &Unlock,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        let remembered = state.keys.is_some();
        let keys = self.keys(state, unlock)?;
        let mut outcome = keys.open(envelope, unlock);
        if remembered
            && matches!(
                outcome,
                Err(OpenError::Age(age::DecryptError::NoMatchingKeys))
            )
        {
            // The identity may have been exchanged since it was read.
            state.keys = None;
            outcome = self.keys(state, unlock)?.open(envelope, unlock);
        }
        outcome.map_err(|error| match error {
            OpenError::Ours(error) => error,
            OpenError::Age(error) => {
                let fault = fault_of_decrypt(&error, false);
                let refusal = fault.at(&self.settings.path).with_source(error);
                let tried = state.keys.as_ref().map(|keys| keys.tried.clone());
                match (fault, tried, refusal.hint()) {
                    (Fault::WrongIdentity, Some(tried), Some(hint)) => {
                        let hint = format!("tried {tried}; {hint}");
                        refusal.with_hint(hint)
                    }
                    _ => refusal,
                }
            }
        })
    }

    fn keys<'a>(&self, state: &'a mut State, unlock: &Unlock) -> Result<&'a mut Keys> {
        if state.keys.is_none() {
            state.keys = Some(Keys::load(&self.settings.source, unlock)?);
        }
        state.keys.as_mut().ok_or_else(|| Fault::NoIdentity.plain())
    }

    fn recipients_to_create_for(&self, unlock: &Unlock) -> Result<Vec<Recipient>> {
        if !Keys::are_there(&self.settings.source, unlock) {
            return Err(Fault::NobodyToCreateFor.at(&self.settings.path));
        }
        let mut state = lock(&self.state);
        Ok(self.keys(&mut state, unlock)?.recipients())
    }

    fn seal(&self, document: &mut Document, protection: &Protection) -> Result<Vec<u8>> {
        let path = &self.settings.path;
        let bytes = match protection {
            Protection::Passphrase(passphrase) => {
                document.recipients = None;
                let recipient = passphrase.recipient();
                seal(&codec::encode(document)?, std::iter::once(&recipient as _))
            }
            Protection::Recipients(recipients) => {
                if recipients.is_empty() {
                    return Err(Fault::NoRecipients.at(path));
                }
                if recipients.len() > MAX_RECIPIENTS {
                    let message = format!("a store has at most {MAX_RECIPIENTS} recipients");
                    return Err(Error::new(Kind::Invalid, message));
                }
                document.recipients = Some(recipients.clone());
                let contents = codec::encode(document)?;
                seal(&contents, recipients.iter().map(Recipient::as_age))
            }
        };
        let bytes = bytes.map_err(|error| sealing(&error))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= self.settings.max_size) {
            Ok(bytes)
        } else {
            Err(Fault::TooLarge.at(path))
        }
    }

    fn remember(&self, bytes: Vec<u8>, document: Document, protection: Protection) {
        let mut state = lock(&self.state);
        if let Protection::Passphrase(passphrase) = &protection {
            state.passphrase = Some(passphrase.clone());
        }
        state.opened = Some(Opened {
            bytes: bytes.into(),
            document: Arc::new(document),
            protection,
        });
    }

    /// The same error, naming the store.
    fn named(&self, error: &Error) -> Error {
        let path = shown(&self.settings.path);
        Error::new(error.kind(), format!("`{path}`: {}", error.message()))
            .with_hint(error.hint().unwrap_or_default().replace("{}", &path))
    }
}

/// The caller's own keys, looked up when a change asks for them.
pub(crate) struct Keyring<'a> {
    store: &'a Store,
    unlock: &'a Unlock,
}

impl Keyring<'_> {
    /// The public keys of the identities at hand.
    pub(crate) fn own_recipients(&mut self) -> Result<Vec<Recipient>> {
        let mut state = lock(&self.store.state);
        Ok(self.store.keys(&mut state, self.unlock)?.recipients())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.settings.path)
            .finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves nothing half done behind these locks: what they guard is replaced
/// as a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
