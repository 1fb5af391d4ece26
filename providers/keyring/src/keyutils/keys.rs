//! The system calls on one keyring.

use credchain_core::Secret;
use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier};

use super::description::Description;
use super::refusal;
use crate::config::Ring;
use crate::error::Failure;
use crate::place::Place;

/// How many keys of one description a search may find one after the other: keyrings are nested
/// to this depth, and each may have one.
const NESTED: usize = 6;

/// The keys of one keyring, and of those linked to it.
pub(super) struct Keys(KeyRing);

impl Keys {
    /// Reaches the keyring, and makes its keys this thread's own.
    ///
    /// Only who *possesses* a key may read it: its keyring must be linked to one of the thread's
    /// own. A login session links the user's keyring to the session's, a service of systemd does
    /// not, and nobody links the persistent one. So it is linked here to a keyring that ends with
    /// this thread, and not, as other programs do, to the session's, where it would stay.
    pub(super) fn open(ring: Ring) -> Result<Self, Failure> {
        let opened = match ring {
            Ring::Session => special(KeyRingIdentifier::Session, false),
            Ring::User => special(KeyRingIdentifier::Process, true).and_then(|own| {
                let user = special(KeyRingIdentifier::User, false)?;
                own.link_keyring(user).map(|()| user)
            }),
            Ring::Persistent => KeyRing::get_persistent(KeyRingIdentifier::Process),
        };
        opened.map(Self).map_err(refusal::opening)
    }

    pub(super) fn read(&self, description: &Description) -> Result<Secret, Failure> {
        let value = self.find(description)?.read_to_vec()?;
        Ok(Secret::new(value))
    }

    pub(super) fn write(&self, description: &Description, value: &Secret) -> Result<(), Failure> {
        // Changes the key if this keyring has it; there is no moment without one.
        self.0.add_key(description.as_str(), value.expose())?;
        Ok(())
    }

    /// Removes the key, and those of the same description that it hid.
    pub(super) fn delete(&self, description: &Description) -> Result<(), Failure> {
        let mut found = self.find(description)?;
        for _ in 0..NESTED {
            // Not unlinked: other keyrings may have it, and a search is to find it in none.
            match found.invalidate().map_err(Failure::from) {
                // Somebody was faster.
                Ok(()) | Err(Failure::NotFound) => {}
                Err(failure) => return Err(failure),
            }
            match self.find(description) {
                Ok(next) => found = next,
                Err(Failure::NotFound) => return Ok(()),
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::Garbled)
    }

    /// Those of the places whose key is in this keyring.
    pub(super) fn within_reach(&self, places: Vec<Place>) -> Result<Vec<Place>, Failure> {
        let mut reached = Vec::with_capacity(places.len());
        for place in places {
            match self.find(&Description::of(&place)?) {
                Ok(_) => reached.push(place),
                // In another keyring, or not for this program.
                Err(Failure::NotFound | Failure::Denied) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(reached)
    }

    fn find(&self, description: &Description) -> Result<Key, Failure> {
        Ok(self.0.search(description.as_str())?)
    }
}

fn special(id: KeyRingIdentifier, create: bool) -> Result<KeyRing, KeyError> {
    KeyRing::from_special_id(id, create)
}
