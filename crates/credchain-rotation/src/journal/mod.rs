//! Where the state of a rotation is kept: beside the secret, or in a file of this machine.

mod beside;
mod local;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use credchain_core::files::PrivateDirectory;
use credchain_core::{Context, Error, Kind, Provider, Reference, Result, Version};

use self::beside::Beside;
use self::local::Local;
use crate::record::{Document, VERSION};

/// Where the state of one credential's rotations is kept, pending values included.
///
/// [`beside`](Journal::beside) the secret it is seen by every machine, and where the backend
/// compares before it sets, only one of them is at work at a time. A [`local`](Journal::local)
/// journal is for backends that have no room for it; it protects from crashes, and from other
/// programs of this user on this machine.
#[derive(Clone)]
pub struct Journal {
    place: Place,
    /// Where the locks of this user's programs are.
    locks: PrivateDirectory,
    /// The name of this one.
    lock: String,
}

#[derive(Clone)]
enum Place {
    Beside(Arc<Beside>),
    Local(Arc<Local>),
}

/// What was found, and what a change of it has to be based on.
pub(crate) struct Loaded {
    pub(crate) document: Document,
    pub(crate) version: Option<Version>,
}

impl Journal {
    /// In this place of a provider, which holds nothing else. `locks` is a directory of this user
    /// on this machine.
    pub fn beside(
        provider: Arc<dyn Provider>,
        place: Reference,
        locks: impl Into<PathBuf>,
    ) -> Self {
        let lock = file_name(&place.to_string());
        Self {
            place: Place::Beside(Arc::new(Beside::new(provider, place))),
            locks: PrivateDirectory::new(locks),
            lock,
        }
    }

    /// In a file with this name in a directory of this user.
    pub fn local(directory: impl Into<PathBuf>, name: &str) -> Self {
        let directory = PrivateDirectory::new(directory);
        let name = file_name(name);
        Self {
            place: Place::Local(Arc::new(Local::new(
                directory.clone(),
                format!("{name}.journal"),
            ))),
            locks: directory,
            lock: name,
        }
    }

    /// Whether other machines see it, and only one of them can be at work.
    pub fn is_shared(&self) -> bool {
        match &self.place {
            Place::Beside(beside) => beside.compares(),
            Place::Local(_) => false,
        }
    }

    pub(crate) fn lock_file(&self) -> (&PrivateDirectory, String) {
        (&self.locks, format!("{}.lock", self.lock))
    }

    pub(crate) async fn load(&self, cx: &Context) -> Result<Loaded> {
        match &self.place {
            Place::Beside(beside) => beside.load(cx).await,
            Place::Local(local) => local.load().map(|document| Loaded {
                document,
                version: None,
            }),
        }
    }

    /// Keeps the document, if it is still based on the newest one, and tells its version.
    pub(crate) async fn save(
        &self,
        document: &Document,
        based_on: Option<&Version>,
        cx: &Context,
    ) -> Result<Option<Version>> {
        match &self.place {
            Place::Beside(beside) => beside.save(document, based_on, cx).await.map(Some),
            Place::Local(local) => local.save(document).map(|()| None),
        }
    }

    /// The backend's time: when it noted the version that was just written.
    pub(crate) async fn time(&self, cx: &Context) -> Option<SystemTime> {
        match &self.place {
            Place::Beside(beside) => beside.time(cx).await,
            Place::Local(_) => None,
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Beside(beside) => fmt::Debug::fmt(beside, f),
            Place::Local(local) => fmt::Debug::fmt(local, f),
        }
    }
}

/// A name that is a file's on every system, and different for every text.
fn file_name(text: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let readable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let start: String = text.chars().filter(|c| readable(*c)).take(48).collect();
    format!("{start}-{hash:016x}")
}

/// Reads a document, and refuses one that says something else.
pub(crate) fn read(bytes: &[u8]) -> Result<Document> {
    #[derive(serde::Deserialize)]
    struct Form {
        credchain_rotation: u32,
    }
    let damaged = || {
        Error::new(Kind::Invalid, "the state of its rotation cannot be read").with_hint(
            "restore it from a backup of the store; it may hold the only copy of a value",
        )
    };
    let form: Form = serde_json::from_slice(bytes).map_err(|_| damaged())?;
    if form.credchain_rotation > VERSION {
        let message = "the state of its rotation was written by a newer credchain";
        return Err(Error::new(Kind::Unsupported, message).with_hint("update this one"));
    }
    serde_json::from_slice(bytes).map_err(|_| damaged())
}
