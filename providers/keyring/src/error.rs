//! What can go wrong in any store, and what it means for the chain.

use credchain_core::{Error, Kind};

use crate::message::text;
use crate::store::Store;

/// Everything that can go wrong between this program and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "no system has all of the stores")
)]
pub(crate) enum Failure {
    /// There is no session bus.
    NoBus,
    /// The environment names a session bus in a way that nobody understands.
    BadAddress,
    /// Nobody on the bus keeps secrets.
    NoService,
    /// The service has no default keyring.
    NoCollection,
    /// The system has the store, and not for this program: the kernel lacks keyrings or a filter
    /// keeps them from it, there is no default keychain, nobody has logged in.
    NoStore,
    /// The kernel has keyrings, but none that outlive a session.
    NoPersistent,
    /// The kernel does not show which keys there are.
    Hidden,
    /// The keyring is locked, and nobody can be asked to unlock it.
    Locked,
    /// Somebody was asked, and declined.
    Dismissed,
    /// The store refuses this program.
    Denied,
    /// The store has no such item.
    NotFound,
    /// The store cannot name this place.
    BadName,
    /// The store cannot hold this value.
    BadValue,
    /// The user's share of the store is used up.
    Full,
    /// What was talked to a moment ago is gone: the service or the bus has been restarted.
    Stale,
    /// No answer in time.
    Silent,
    /// No thread could be started to wait for the answer.
    NoThread,
    /// The answer is none that is known.
    Garbled,
    /// The call ended without an answer.
    BrokeOff,
    /// The store answered with another error; its name or number.
    Other(String),
}

/// The only place that decides. `expected` says whether the keyring has to be there: somebody
/// configured it, or it was there before.
pub(crate) fn kind_of(failure: &Failure, expected: bool) -> Kind {
    match failure {
        Failure::NoBus | Failure::NoService | Failure::NoCollection | Failure::NoStore
            if !expected =>
        {
            Kind::Absent
        }
        Failure::NoBus
        | Failure::NoService
        | Failure::NoCollection
        | Failure::NoStore
        | Failure::Hidden
        | Failure::Stale
        | Failure::Silent
        | Failure::NoThread
        | Failure::Other(_) => Kind::Unavailable,
        Failure::BadAddress | Failure::NoPersistent => Kind::Misconfigured,
        Failure::Locked | Failure::Dismissed => Kind::Unauthenticated,
        Failure::Denied => Kind::Denied,
        Failure::NotFound => Kind::NotFound,
        Failure::BadName | Failure::BadValue | Failure::Full | Failure::Garbled => Kind::Invalid,
        Failure::BrokeOff => Kind::Internal,
    }
}

impl Failure {
    /// The whole error: what is wrong, and what to do.
    pub(crate) fn into_error(self, store: Store, expected: bool) -> Error {
        if self == Self::NotFound {
            return Error::not_found();
        }
        let (message, hint) = text(&self, store);
        Error::new(kind_of(&self, expected), message).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each failure; its kind where nobody asked for the store, and where somebody did.
    fn every() -> Vec<(Failure, Kind, Kind)> {
        let always = |failure, kind| (failure, kind, kind);
        vec![
            (Failure::NoBus, Kind::Absent, Kind::Unavailable),
            (Failure::NoService, Kind::Absent, Kind::Unavailable),
            (Failure::NoCollection, Kind::Absent, Kind::Unavailable),
            (Failure::NoStore, Kind::Absent, Kind::Unavailable),
            always(Failure::BadAddress, Kind::Misconfigured),
            always(Failure::NoPersistent, Kind::Misconfigured),
            always(Failure::Hidden, Kind::Unavailable),
            always(Failure::Locked, Kind::Unauthenticated),
            always(Failure::Dismissed, Kind::Unauthenticated),
            always(Failure::Denied, Kind::Denied),
            always(Failure::NotFound, Kind::NotFound),
            always(Failure::BadName, Kind::Invalid),
            always(Failure::BadValue, Kind::Invalid),
            always(Failure::Full, Kind::Invalid),
            always(Failure::Stale, Kind::Unavailable),
            always(Failure::Silent, Kind::Unavailable),
            always(Failure::NoThread, Kind::Unavailable),
            always(Failure::Garbled, Kind::Invalid),
            always(Failure::BrokeOff, Kind::Internal),
            always(Failure::Other("odd".to_owned()), Kind::Unavailable),
        ]
    }

    #[test]
    fn each_failure_has_its_kind_and_a_next_step() {
        for (failure, unexpected, expected) in every() {
            assert_eq!(kind_of(&failure, false), unexpected, "{failure:?}");
            assert_eq!(kind_of(&failure, true), expected, "{failure:?}");
            for store in Store::ALL {
                let error = failure.clone().into_error(store, true);
                assert_eq!(error.kind(), expected);
                let needs_none = failure == Failure::NotFound;
                assert!(needs_none || error.hint().is_some(), "{error}");
                assert!(!error.message().ends_with('.'), "{error}");
            }
        }
    }
}
