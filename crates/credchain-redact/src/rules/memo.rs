//! What makes a search without keywords linear.
//!
//! Such a search tries one beginning after the other, and on text like `aaaa…` each of them reads as
//! far as the one before. But two runs that are in the same state at the same byte have the same
//! future. So the states of runs that failed are kept, and a run that meets one of them has failed.

use regex_automata::util::primitives::StateID;

/// How many states are kept that lie behind.
const SLACK: usize = 64 << 10;

/// The states of failed runs, by position in the stream.
#[derive(Default)]
pub(super) struct Memo {
    at: u64,
    states: Vec<StateID>,
}

impl Memo {
    /// Whether a failed run was in this state after this byte.
    pub(super) fn has_failed(&self, at: u64, state: StateID) -> bool {
        let index = at
            .checked_sub(self.at)
            .and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.states.get(index)) == Some(&state)
    }

    /// Keeps the states of a run that began here and failed.
    pub(super) fn failed(&mut self, at: u64, run: &[StateID]) {
        let Some(index) = at
            .checked_sub(self.at)
            .and_then(|index| usize::try_from(index).ok())
        else {
            return;
        };
        if index > self.states.len() {
            self.at = at;
            self.states.clear();
            self.states.extend_from_slice(run);
            return;
        }
        let known = run.len().min(self.states.len() - index);
        self.states[index..index + known].copy_from_slice(&run[..known]);
        self.states.extend_from_slice(&run[known..]);
        if index > SLACK {
            self.states.drain(..index);
            self.at = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(numbers: &[usize]) -> Vec<StateID> {
        numbers
            .iter()
            .map(|&number| StateID::must(number))
            .collect()
    }

    #[test]
    fn later_runs_write_over_what_they_share_and_leave_the_rest() {
        let mut memo = Memo::default();
        memo.failed(10, &states(&[1, 2, 3, 4]));
        memo.failed(11, &states(&[7]));
        for (at, state) in [(10, 1), (11, 7), (12, 3), (13, 4)] {
            assert!(memo.has_failed(at, StateID::must(state)), "{at}");
        }
        assert!(!memo.has_failed(11, StateID::must(2)));
        assert!(!memo.has_failed(14, StateID::must(4)));
        memo.failed(100_000_000, &states(&[9]));
        assert!(memo.has_failed(100_000_000, StateID::must(9)));
        assert!(!memo.has_failed(10, StateID::must(1)));
    }
}
