//! Passphrases, and the people and places they come from.

use age::secrecy::SecretString;
use credchain_core::{Context, Error, Kind, Result, Secret};

use crate::error::Fault;
use crate::identity::PASSPHRASE;

/// The work factor of new passphrases: what the `age` tool uses, about a second.
const WORK_FACTOR: u8 = 18;

/// The largest accepted work factor: 1 GiB of memory. A cloned store must not ask for more.
const MAX_WORK_FACTOR: u8 = 20;

/// A passphrase that protects an identity or a store.
#[derive(Clone)]
pub struct Passphrase {
    pub(crate) text: SecretString,
    work_factor: u8,
}

impl Passphrase {
    /// A passphrase with the usual work factor.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if it is empty or not UTF-8.
    pub fn new(secret: &Secret) -> Result<Self> {
        let text = secret.expose_text().filter(|text| !text.is_empty());
        let text =
            text.ok_or_else(|| Error::new(Kind::Invalid, "a passphrase is text, and not empty"))?;
        Ok(Self {
            text: SecretString::from(text.to_owned()),
            work_factor: WORK_FACTOR,
        })
    }

    /// The same, of which each guess costs `2^work_factor` steps: 18 unless set, at most 20.
    /// Fewer than 15 are for tests.
    pub fn with_work_factor(mut self, work_factor: u8) -> Self {
        self.work_factor = work_factor.clamp(1, MAX_WORK_FACTOR);
        self
    }

    pub(crate) fn recipient(&self) -> age::scrypt::Recipient {
        let mut recipient = age::scrypt::Recipient::new(self.text.clone());
        recipient.set_work_factor(self.work_factor);
        recipient
    }

    pub(crate) fn identity(&self) -> age::scrypt::Identity {
        let mut identity = age::scrypt::Identity::new(self.text.clone());
        identity.set_max_work_factor(MAX_WORK_FACTOR);
        identity
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(***)")
    }
}

/// What a store may use to open itself in one call.
#[derive(Clone)]
pub(crate) struct Unlock {
    pub(crate) cx: Context,
    /// The identity, when the settings say that it is a credential.
    pub(crate) identity: Option<Secret>,
    /// The passphrase, when the settings say that it is a credential.
    pub(crate) passphrase: Option<Secret>,
}

impl Unlock {
    /// The passphrase: from the environment, from the settings' credential, from a person.
    pub(crate) fn passphrase(&self, of: &str) -> Result<Passphrase> {
        if let Some(text) = self.cx.env().text(PASSPHRASE) {
            return Passphrase::new(&Secret::from(text));
        }
        if let Some(secret) = &self.passphrase {
            return Passphrase::new(secret);
        }
        let answer = match self.cx.prompt() {
            Some(prompt) => prompt.secret(&format!("Passphrase of {of}"))?,
            None => None,
        };
        answer.map_or_else(
            || Err(Fault::PassphraseNeeded.plain()),
            |text| Passphrase::new(&text),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use credchain_core::{Environment, Prompt};

    use super::*;

    #[test]
    fn a_person_is_asked_only_when_there_is_one() {
        #[derive(Debug)]
        struct Answer;
        impl Prompt for Answer {
            fn secret(&self, question: &str) -> Result<Option<Secret>> {
                assert!(question.contains("the store"));
                Ok(Some(Secret::new("from a person")))
            }
        }
        let mut unlock = Unlock {
            cx: Context::system().with_env(Environment::fixed([("", ""); 0])),
            identity: None,
            passphrase: None,
        };
        unlock.cx = unlock.cx.with_prompt(Arc::new(Answer));
        let refusal = unlock.passphrase("the store").unwrap_err();
        assert_eq!(refusal.kind(), Kind::Unauthenticated);
        unlock.cx = unlock.cx.with_interactive(true);
        assert!(unlock.passphrase("the store").is_ok());
    }

    #[test]
    fn debug_of_a_passphrase_shows_nothing() {
        let passphrase = Passphrase::new(&Secret::new("canary")).unwrap();
        assert!(!format!("{passphrase:?}").contains("canary"));
        assert!(Passphrase::new(&Secret::new("")).is_err());
    }
}
