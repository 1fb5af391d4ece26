//! What can keep credentials, and what of it this system has.

use credchain_core::{Error, Kind, Result};

/// One sort of keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// The freedesktop.org Secret Service on the session bus.
    SecretService,
    /// The keyrings of the Linux kernel.
    Keyutils,
    /// The macOS Keychain.
    Keychain,
    /// The Windows Credential Manager.
    CredentialManager,
}

impl Store {
    pub(crate) const ALL: [Self; 4] = [
        Self::SecretService,
        Self::Keyutils,
        Self::Keychain,
        Self::CredentialManager,
    ];

    /// What this system has, its own one first; nothing where none is supported.
    pub(crate) const fn here() -> &'static [Self] {
        if cfg!(target_os = "linux") {
            &[Self::SecretService, Self::Keyutils]
        } else if cfg!(any(
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd"
        )) {
            &[Self::SecretService]
        } else if cfg!(target_os = "macos") {
            &[Self::Keychain]
        } else if cfg!(windows) {
            &[Self::CredentialManager]
        } else {
            &[]
        }
    }

    /// The store that a setting names, if this system has it.
    pub(crate) fn chosen(name: &str) -> Result<Self> {
        let here = Self::here();
        if let Some(store) = here.iter().find(|store| store.name() == name) {
            return Ok(*store);
        }
        let message = if Self::ALL.iter().any(|store| store.name() == name) {
            format!("this system has no `{name}`")
        } else {
            "setting `store` names nothing that keeps credentials".to_owned()
        };
        let names: Vec<_> = here
            .iter()
            .map(|store| format!("`{}`", store.name()))
            .collect();
        let hint = if names.is_empty() {
            "no keyring is supported here: use an `age` store".to_owned()
        } else {
            format!("here it can be {}", names.join(" or "))
        };
        Err(Error::new(Kind::Misconfigured, message).with_hint(hint))
    }

    /// The word in the settings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SecretService => "secret-service",
            Self::Keyutils => "keyutils",
            Self::Keychain => "keychain",
            Self::CredentialManager => "credential-manager",
        }
    }

    /// What people call it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::SecretService => "the Secret Service",
            Self::Keyutils => "the kernel's keyring",
            Self::Keychain => "the Keychain",
            Self::CredentialManager => "the Credential Manager",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_another_system_is_misconfigured_and_those_of_this_one_are_named() {
        for store in Store::ALL {
            let chosen = Store::chosen(store.name());
            if Store::here().contains(&store) {
                assert_eq!(chosen.unwrap(), store);
                continue;
            }
            let error = chosen.unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
            assert!(error.message().contains(store.name()), "{error}");
            let hint = error.hint().unwrap();
            assert!(Store::here().iter().all(|here| hint.contains(here.name())));
        }
    }

    #[test]
    fn a_word_that_is_no_store_is_not_repeated() {
        let error = Store::chosen("canary").unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(!format!("{error:?}").contains("canary"));
    }
}
