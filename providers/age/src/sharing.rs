//! Who a store is shared with: making it, listing and changing who can open it.

use credchain_core::{Context, Error, Kind, Result};

use crate::error::Fault;
use crate::provider::{Age, blocking};
use crate::recipients::Recipient;
use crate::store::{Change, Keyring, Protection, Store};

/// A recipient that was removed from a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// Who was removed.
    pub recipient: Recipient,
    /// How many can still open the store.
    pub remaining: usize,
}

impl Removed {
    /// What a removal does not do; to be shown with every one.
    pub const NOTICE: &str = "earlier copies of the store, such as those in the git history, \
                              still open with the removed key: change every value it could read";
}

impl Age {
    /// Makes an empty store where there is none.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if there is a file already: it is never overwritten.
    pub async fn create_store(&self, protection: Protection) -> Result<()> {
        let store = self.store.clone();
        blocking(move || store.create(protection)).await
    }

    /// How the store is encrypted. Opens it: the list of recipients is inside.
    pub async fn protection(&self, cx: &Context) -> Result<Protection> {
        self.with_store(cx, Store::protection).await
    }

    /// Who can open the store; nobody is listed for a store with a passphrase.
    pub async fn recipients(&self, cx: &Context) -> Result<Vec<Recipient>> {
        Ok(match self.protection(cx).await? {
            Protection::Recipients(recipients) => recipients,
            Protection::Passphrase(_) => Vec::new(),
        })
    }

    /// Lets one more key open the store; `false` if it could already. A new label replaces
    /// the old one.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a store with a passphrase: the age format allows nothing beside.
    pub async fn add_recipient(&self, recipient: Recipient, cx: &Context) -> Result<bool> {
        self.with_store(cx, move |store, unlock| {
            store.update(unlock, false, |_, protection, keyring| {
                let mut list = recipients(protection, keyring)?;
                let known = list.iter().position(|one| *one == recipient);
                match known {
                    None => list.push(recipient.clone()),
                    Some(at) if recipient.label().is_some() => list[at] = recipient.clone(),
                    Some(_) => {}
                }
                Ok(Change::Protected(
                    Protection::Recipients(list),
                    known.is_none(),
                ))
            })
        })
        .await
    }

    /// Encrypts the store anew without one of its recipients, named by key or by label. Show
    /// [`Removed::NOTICE`] with the answer.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is no such recipient, [`Kind::Invalid`] if a label fits
    /// several or the last one would go, and without `force` if none of the identities at hand
    /// would open the store afterwards.
    pub async fn remove_recipient(&self, who: &str, force: bool, cx: &Context) -> Result<Removed> {
        let who = who.trim().to_owned();
        self.with_store(cx, move |store, unlock| {
            store.update(unlock, false, |_, protection, keyring| {
                let mut list = recipients(protection, keyring)?;
                let at = position(&list, &who)?;
                let recipient = list.remove(at);
                check_way_back(&list, force, keyring)?;
                let removed = Removed {
                    recipient,
                    remaining: list.len(),
                };
                Ok(Change::Protected(Protection::Recipients(list), removed))
            })
        })
        .await
    }

    /// Encrypts the store anew in another way: for other recipients, or with a passphrase.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if there are no recipients, and without `force` if none of the
    /// identities at hand would open the store afterwards.
    pub async fn protect(&self, protection: Protection, force: bool, cx: &Context) -> Result<()> {
        self.with_store(cx, move |store, unlock| {
            store.update(unlock, false, |_, _, keyring| {
                if let Protection::Recipients(list) = &protection {
                    check_way_back(list, force, keyring)?;
                }
                Ok(Change::Protected(protection.clone(), ()))
            })
        })
        .await
    }
}

/// The recipients of a store that has some. A store that does not name them was made by hand;
/// its own keys are the ones to begin with.
fn recipients(protection: &Protection, keyring: &mut Keyring<'_>) -> Result<Vec<Recipient>> {
    match protection {
        Protection::Passphrase(_) => Err(Fault::PassphraseStore.plain()),
        Protection::Recipients(list) if list.is_empty() => keyring.own_recipients(),
        Protection::Recipients(list) => Ok(list.clone()),
    }
}

fn position(list: &[Recipient], who: &str) -> Result<usize> {
    let key = who.parse::<Recipient>().ok();
    let fits = |one: &Recipient| match &key {
        Some(key) => one == key,
        None => one.label() == Some(who),
    };
    let mut found = list.iter().enumerate().filter(|(_, one)| fits(one));
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at),
        (None, _) => Err(
            Error::new(Kind::NotFound, "the store has no such recipient")
                .with_hint("`resolve recipients list` shows them"),
        ),
        (Some(_), Some(_)) => Err(
            Error::new(Kind::Invalid, "several recipients have this label")
                .with_hint("name one by its key"),
        ),
    }
}

fn check_way_back(list: &[Recipient], force: bool, keyring: &mut Keyring<'_>) -> Result<()> {
    if list.is_empty() {
        return Err(
            Error::new(Kind::Invalid, "a store needs at least one recipient")
                .with_hint("add another one first"),
        );
    }
    let own = if force {
        return Ok(());
    } else {
        keyring.own_recipients()?
    };
    if own.iter().any(|one| list.contains(one)) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Invalid,
        "afterwards you could not open the store yourself",
    )
    .with_hint("repeat it with `--force` if that is what you want; nothing was changed"))
}
