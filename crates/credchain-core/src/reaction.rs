//! What the chain does after each kind of failure, as data.

use crate::Kind;

/// What the chain does after a link failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reaction {
    /// Asks the next link.
    Next,
    /// Tries again within the budget, then serves a stale value if one is young enough, then
    /// stops.
    RetryThenStop,
    /// Drops every cached copy and stops.
    PurgeAndStop,
    /// Stops.
    Stop,
}

/// The default reaction to each kind. Retrying, stale values and purging are the work of the
/// [layers](crate::layers) around a provider; the chain itself distinguishes "next" from "stop".
pub(crate) const TABLE: [(Kind, Reaction); 13] = [
    (Kind::NotFound, Reaction::Next),
    (Kind::NotApplicable, Reaction::Next),
    (Kind::Absent, Reaction::Next),
    (Kind::Unavailable, Reaction::RetryThenStop),
    (Kind::Throttled, Reaction::RetryThenStop),
    (Kind::Denied, Reaction::PurgeAndStop),
    (Kind::Unauthenticated, Reaction::PurgeAndStop),
    (Kind::Misconfigured, Reaction::Stop),
    (Kind::Invalid, Reaction::Stop),
    (Kind::Untrusted, Reaction::Stop),
    (Kind::Unsupported, Reaction::Stop),
    (Kind::Conflict, Reaction::Stop),
    (Kind::Internal, Reaction::Stop),
];

impl Kind {
    /// The default reaction to this kind.
    ///
    /// ```
    /// use credchain_core::{Kind, Reaction};
    /// assert_eq!(Kind::NotFound.reaction(), Reaction::Next);
    /// assert_eq!(Kind::Denied.reaction(), Reaction::PurgeAndStop);
    /// ```
    pub fn reaction(self) -> Reaction {
        TABLE
            .iter()
            .find_map(|(kind, reaction)| (*kind == self).then_some(*reaction))
            .unwrap_or(Reaction::Stop)
    }
}

/// The overrides that one link may have; everything else follows [`Kind::reaction`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reactions {
    /// `on_unavailable = "next"`: an outage of this link moves on.
    pub next_on_unavailable: bool,
    /// `on_unauthenticated = "next"`: a missing login at this link moves on.
    pub next_on_unauthenticated: bool,
}

impl Reactions {
    /// No override: everything fails closed.
    pub const fn closed() -> Self {
        Self {
            next_on_unavailable: false,
            next_on_unauthenticated: false,
        }
    }

    /// Moves on when the link is unavailable or throttled.
    pub const fn next_on_unavailable(mut self, yes: bool) -> Self {
        self.next_on_unavailable = yes;
        self
    }

    /// Moves on when the link does not know who asks.
    pub const fn next_on_unauthenticated(mut self, yes: bool) -> Self {
        self.next_on_unauthenticated = yes;
        self
    }

    /// Whether the chain asks the next link after this kind.
    pub fn moves_on(self, kind: Kind) -> bool {
        match kind {
            Kind::Unavailable | Kind::Throttled => self.next_on_unavailable,
            Kind::Unauthenticated => self.next_on_unauthenticated,
            other => other.reaction() == Reaction::Next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_kind_once() {
        for kind in Kind::ALL {
            assert_eq!(
                TABLE.iter().filter(|(k, _)| *k == kind).count(),
                1,
                "{kind}"
            );
        }
    }

    #[test]
    fn only_misses_move_on_by_default() {
        for kind in Kind::ALL {
            assert_eq!(Reactions::closed().moves_on(kind), kind.is_miss(), "{kind}");
        }
    }

    #[test]
    fn a_denial_never_moves_on() {
        let open = Reactions::closed()
            .next_on_unavailable(true)
            .next_on_unauthenticated(true);
        assert!(!open.moves_on(Kind::Denied));
        assert!(open.moves_on(Kind::Unavailable) && open.moves_on(Kind::Unauthenticated));
    }
}
