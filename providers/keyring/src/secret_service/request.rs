//! What can be asked of a Secret Service.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use credchain_core::{Listed, Secret, async_trait};
use futures_util::future::{join_all, try_join_all};
use secret_service::{Collection, Item, SecretService};

use crate::error::Failure;
use crate::place::Place;

/// The attributes that Python's `keyring` looks for. An item may have others; nobody asks for
/// them, so that an item is found whoever made it.
const SERVICE: &str = "service";
const USER: &str = "username";

/// What Python's `keyring` gives an item besides. It replaces items only that have this too: over
/// one without it, `keyring set` would make a second item, and each program would read another.
const APPLICATION: (&str, &str) = ("application", "Python keyring library");

/// One question, which may be asked again on another session.
#[async_trait]
pub(crate) trait Request: Sync {
    type Answer: Send;

    async fn ask(&self, keyring: &DefaultKeyring<'_>) -> Result<Self::Answer, Failure>;
}

/// The default keyring, unlocked: where Python's `keyring` and the desktop's programs look.
pub(crate) struct DefaultKeyring<'a>(Collection<'a>);

impl<'a> DefaultKeyring<'a> {
    /// Opens it. A locked one is not searched: services differ in what they find in it, and
    /// "locked" must not be taken for "not there".
    pub(crate) async fn open(
        service: &'a SecretService<'static>,
        interactive: bool,
    ) -> Result<Self, Failure> {
        let collection = service.get_default_collection().await?;
        if collection.is_locked().await? {
            if !interactive {
                return Err(Failure::Locked);
            }
            collection.unlock().await?;
            if collection.is_locked().await? {
                return Err(Failure::Dismissed);
            }
        }
        Ok(Self(collection))
    }

    async fn items(&self, place: &Place) -> Result<Vec<Item<'_>>, Failure> {
        let items = self.0.search_items(attributes(place)).await?;
        Ok(items)
    }
}

/// Reads a value.
pub(crate) struct Read(pub(crate) Place);

#[async_trait]
impl Request for Read {
    type Answer = Secret;

    async fn ask(&self, keyring: &DefaultKeyring<'_>) -> Result<Secret, Failure> {
        let items = keyring.items(&self.0).await?;
        let (item, written) = newest(items).await.ok_or(Failure::NotFound)?;
        let value = Secret::new(item.get_secret().await?);
        Ok(value.with_meta(|meta| meta.created = written))
    }
}

/// Writes a value.
pub(crate) struct Write {
    pub(crate) place: Place,
    pub(crate) value: Secret,
}

#[async_trait]
impl Request for Write {
    type Answer = ();

    async fn ask(&self, keyring: &DefaultKeyring<'_>) -> Result<(), Failure> {
        let content = match self.value.expose_text() {
            Some(_) => "text/plain",
            None => "application/octet-stream",
        };
        let items = keyring.items(&self.place).await?;
        // Every one of several: whoever reads the other one would get an old value.
        for item in &items {
            item.set_secret(self.value.expose(), content).await?;
        }
        if items.is_empty() {
            let Place { service, user } = &self.place;
            let label = format!("Password for '{user}' on '{service}'");
            let mut attributes = attributes(&self.place);
            attributes.extend([APPLICATION]);
            // `true`: of two who make the item at once, the second replaces the first's.
            let made =
                keyring
                    .0
                    .create_item(&label, attributes, self.value.expose(), true, content);
            made.await?;
        }
        Ok(())
    }
}

/// Removes a value.
pub(crate) struct Delete(pub(crate) Place);

#[async_trait]
impl Request for Delete {
    type Answer = ();

    async fn ask(&self, keyring: &DefaultKeyring<'_>) -> Result<(), Failure> {
        let items = keyring.items(&self.0).await?;
        if items.is_empty() {
            return Err(Failure::NotFound);
        }
        for item in &items {
            item.delete().await?;
        }
        Ok(())
    }
}

/// Lists the places of one service, or of every service.
pub(crate) struct List {
    pub(crate) own: String,
    pub(crate) everywhere: bool,
}

#[async_trait]
impl Request for List {
    type Answer = Vec<Listed>;

    async fn ask(&self, keyring: &DefaultKeyring<'_>) -> Result<Vec<Listed>, Failure> {
        let items = if self.everywhere {
            keyring.0.get_all_items().await?
        } else {
            let of_service = HashMap::from([(SERVICE, self.own.as_str())]);
            keyring.0.search_items(of_service).await?
        };
        let entries = try_join_all(items.iter().map(|item| self.entry(item))).await?;
        let entries: BTreeMap<_, _> = entries.into_iter().flatten().collect();
        let listed = entries.into_iter().map(|(reference, written)| {
            let mut listed = Listed::new(reference);
            listed.created = written;
            listed
        });
        Ok(listed.collect())
    }
}

impl List {
    /// What is listed of an item: nothing, if it is not one that a reference can name.
    async fn entry(
        &self,
        item: &Item<'_>,
    ) -> Result<Option<(credchain_core::Reference, Option<SystemTime>)>, Failure> {
        let mut attributes = match item.get_attributes().await.map_err(Failure::from) {
            Ok(attributes) => attributes,
            // Removed since the list was made.
            Err(Failure::Stale) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let names = (attributes.remove(SERVICE), attributes.remove(USER));
        let (Some(service), Some(user)) = names else {
            return Ok(None);
        };
        let Some(reference) = (Place { service, user }).reference(&self.own) else {
            return Ok(None);
        };
        Ok(Some((reference, time_of(item).await)))
    }
}

fn attributes(place: &Place) -> HashMap<&str, &str> {
    HashMap::from([(SERVICE, &*place.service), (USER, &*place.user)])
}

/// The item that was written last, and when.
async fn newest(items: Vec<Item<'_>>) -> Option<(Item<'_>, Option<SystemTime>)> {
    let times = join_all(items.iter().map(time_of)).await;
    let dated = items.into_iter().zip(times);
    dated.max_by_key(|(_, written)| *written)
}

/// When the value was written, if the service keeps it.
async fn time_of(item: &Item<'_>) -> Option<SystemTime> {
    let seconds = item.get_modified().await.ok().filter(|time| *time > 0)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
