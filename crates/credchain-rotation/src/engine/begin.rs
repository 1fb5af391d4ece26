//! Everything that can be found out before anything is changed.

use credchain_core::{Account, Context, Error, Kind, Maker, Result, Secret, Verdict};

use super::{Observer, Rotation, Store, probe};
use crate::record::{Document, Login, Stored, Strategy};

/// What a rotation starts from.
pub(super) struct Begun {
    pub(super) old: Option<Login>,
    pub(super) stores: Vec<Stored>,
}

pub(super) async fn begin(
    rotation: &Rotation,
    document: &Document,
    observer: &dyn Observer,
    cx: &Context,
) -> Result<Begun> {
    let (values, stores) = read(rotation, cx).await?;
    let Some(value) = values.into_iter().next().flatten() else {
        if rotation.strategy == Strategy::Delegated {
            rotation.target()?.rotated(cx).await?;
            return Ok(Begun { old: None, stores });
        }
        return Err(Error::new(Kind::NotFound, "there is no value to rotate")
            .for_credential(&rotation.name)
            .with_hint(format!(
                "`resolve generate --set {0}` or `resolve set {0}` stores the first one",
                rotation.name
            )));
    };
    observer.value(&value);
    let account = old_account(rotation, document, &value, cx).await?;
    observer.value(&account.secret);
    if let Some(target) = &rotation.target {
        let next = next_account(rotation, &account)?;
        target.preflight(&account, next.as_deref(), cx).await?;
        if probe::once(rotation, &account, cx).await? == Verdict::Refused {
            let message =
                "the target refuses the value that is stored: somebody changed one of them";
            return Err(Error::new(Kind::Unauthenticated, message)
                .for_credential(&rotation.name)
                .with_hint("`resolve set` stores the value that the target accepts"));
        }
        probe::refuses_what_is_wrong(rotation, &account, cx).await?;
    }
    Ok(Begun {
        old: Some(Login {
            id: account.id,
            secret: account.secret,
            value,
        }),
        stores,
    })
}

/// What every store holds. All that hold something hold the same.
async fn read(rotation: &Rotation, cx: &Context) -> Result<(Vec<Option<Secret>>, Vec<Stored>)> {
    let mut values: Vec<Option<Secret>> = Vec::new();
    let mut stores = Vec::new();
    for store in &rotation.stores {
        let value = read_one(store, cx).await?;
        let differs = |first: &Secret| {
            value
                .as_ref()
                .is_some_and(|value| value.expose() != first.expose())
        };
        if values.first().and_then(Option::as_ref).is_some_and(differs) {
            let message = format!(
                "`{}` and `{}` hold different values",
                rotation.stores[0].link, store.link
            );
            return Err(Error::new(Kind::Conflict, message)
                .for_credential(&rotation.name)
                .with_hint("`resolve copy` makes them agree"));
        }
        stores.push(Stored {
            link: store.link.to_string(),
            version: version_of(value.as_ref()),
            written: false,
        });
        values.push(value);
    }
    Ok((values, stores))
}

/// What a store holds now.
pub(super) async fn read_one(store: &Store, cx: &Context) -> Result<Option<Secret>> {
    match store.provider.get(&store.place, cx).await {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error.at(store.link.clone())),
    }
}

pub(super) fn version_of(value: Option<&Secret>) -> Option<String> {
    value?
        .meta()
        .version
        .as_ref()
        .map(|version| version.as_str().to_owned())
}

/// Whose the stored value is.
async fn old_account(
    rotation: &Rotation,
    document: &Document,
    value: &Secret,
    cx: &Context,
) -> Result<Account> {
    let made = document.current.as_ref().map(|current| current.id.as_str());
    let known = match rotation.strategy {
        Strategy::Issue => made,
        _ => rotation.accounts.first().map(String::as_str),
    };
    let account = rotation.form.read(value, known);
    let mut account = account.map_err(|error| error.for_credential(&rotation.name))?;
    if rotation.strategy == Strategy::Issue && account.id.is_empty() {
        account.id = only_key(rotation, cx).await?;
    }
    let fits = match rotation.strategy {
        Strategy::Swap => rotation
            .accounts
            .first()
            .is_none_or(|only| *only == account.id),
        Strategy::Alternate => rotation.accounts.contains(&account.id),
        _ => true,
    };
    if fits {
        return Ok(account);
    }
    let message = format!(
        "the stored value is of the account `{}`, which its rotation does not know",
        credchain_core::printable(&account.id)
    );
    Err(Error::new(Kind::Misconfigured, message).for_credential(&rotation.name))
}

/// The id of a key that was made before its rotation was: it is clear if there is only one.
async fn only_key(rotation: &Rotation, cx: &Context) -> Result<String> {
    let target = rotation.target()?;
    if target.abilities().maker != Maker::Target {
        return Ok(String::new());
    }
    let mut keys = target.issued(cx).await?.into_iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key.id),
        _ => Err(Error::new(
            Kind::Conflict,
            "the issuer lists more than one key, or none: nobody knows which one is stored",
        )
        .for_credential(&rotation.name)
        .with_hint(
            "revoke those that are not in use, or store key and id together: `format = \"json\"`",
        )),
    }
}

/// The account that gets a new value; nothing where an issuer makes it.
pub(super) fn next_account(rotation: &Rotation, old: &Account) -> Result<Option<String>> {
    Ok(match rotation.strategy {
        Strategy::Swap => Some(old.id.clone()),
        Strategy::Alternate => {
            let other = rotation.accounts.iter().find(|account| **account != old.id);
            let message = "the two accounts in turn are one";
            Some(
                other
                    .cloned()
                    .ok_or_else(|| Error::new(Kind::Misconfigured, message))?,
            )
        }
        _ => None,
    })
}
