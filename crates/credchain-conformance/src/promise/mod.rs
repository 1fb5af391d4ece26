//! The promises, as functions. Each answers how it was broken, if it was.
//!
//! They leave the values they made behind and use names that differ from one
//! [`Subject`](crate::Subject) to the next, so a shared backend can serve several of them.

mod concurrency;
mod history;
mod honesty;
mod interruption;
mod leaks;
mod reading;
mod runtimes;
mod values;
mod writing;

use crate::{Check, Flavour};

pub use self::concurrency::{
    exactly_one_of_many_racers_wins, parallel_reads_agree, parallel_writes_all_survive,
};
pub use self::history::a_history_can_be_read_and_pruned;
pub use self::honesty::{
    capabilities_and_facets_are_constant, conventional_places_work,
    is_honest_about_what_it_cannot_do, refuses_values_over_its_limit,
};
pub use self::interruption::{
    a_cancelled_read_leaves_it_working, a_cancelled_write_is_all_or_nothing,
    an_expired_deadline_ends_at_once,
};
pub use self::leaks::{errors_are_one_short_line, shows_no_secret};
pub use self::reading::{
    batch_agrees_with_single, describes_what_it_gets, misses_are_not_found,
    tells_missing_from_empty,
};
pub use self::runtimes::{outlives_the_runtime_it_was_first_used_on, works_on_many_threads};
pub use self::values::{holds_hostile_names, keeps_names_apart_by_case, reads_back_every_byte};
pub use self::writing::{
    a_deleted_value_is_not_found, a_repeated_write_counts_once, a_written_version_can_be_read,
    expectations_hold, lists_what_was_set,
};

/// One promise of the suite.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Promise {
    /// The name of its function, and of the test made of it.
    pub name: &'static str,
    /// The runtime it is tested on.
    pub flavour: Flavour,
    /// The function.
    pub check: Check,
}

/// All promises, in the order of the suite.
pub const ALL: &[Promise] = crate::__each_promise! { __all {} };

#[doc(hidden)]
#[macro_export]
macro_rules! __all {
    ({} $($flavour:ident $promise:ident)*) => {
        &[$(Promise {
            name: stringify!($promise),
            flavour: Flavour::$flavour,
            check: |subject| Box::pin($promise(subject)),
        }),*]
    };
}
