//! What a program left running goes on writing, and is not to be without its output or without a
//! mask, although the program's exit code has to be told now.
#![expect(
    unsafe_code,
    reason = "a copy of this process does the rest: nothing else has the values and the state of \
              the stream. All other threads wait in system calls by now, for signals and for keys, \
              so that no lock is held that the copy could need"
)]

use nix::unistd::{ForkResult, fork};

use super::filter::Filter;

/// Lets a copy of this process work until nobody can write any more.
pub(super) fn leave_behind(filter: Filter) {
    // SAFETY: see the head of this module. The copy reads, filters and writes, and ends by itself.
    if let Ok(ForkResult::Child) = unsafe { fork() } {
        filter.run_to_end();
        std::process::exit(0);
    }
}
