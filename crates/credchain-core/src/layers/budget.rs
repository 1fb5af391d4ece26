//! How many retries all callers of one provider may spend together.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one retry costs, in tokens.
const COST: u32 = 5;
/// What an answer at the first attempt gives back.
const REFUND: u32 = 1;

/// A bucket of retries. When a backend is down, each caller alone would be right to ask again;
/// all of them together would keep it down. So retries cost, answers give back, and with an empty
/// bucket everybody fails at the first attempt until the backend answers again.
#[derive(Debug)]
pub(super) struct Budget {
    tokens: AtomicU32,
    capacity: u32,
}

impl Budget {
    /// A full budget of so many retries.
    pub(super) fn new(retries: u32) -> Self {
        let capacity = retries.saturating_mul(COST);
        Self {
            tokens: AtomicU32::new(capacity),
            capacity,
        }
    }

    /// Pays for one retry, if there is enough.
    pub(super) fn withdraw(&self) -> bool {
        let paid = |tokens: u32| tokens.checked_sub(COST);
        self.tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid)
            .is_ok()
    }

    /// Notes that the backend answered: at the first attempt, or at a retry, which is then free.
    pub(super) fn refund(&self, retried: bool) {
        let refund = if retried { COST } else { REFUND };
        let refunded = |tokens: u32| Some(tokens.saturating_add(refund).min(self.capacity));
        let _ = self
            .tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, refunded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_cost_and_answers_give_back() {
        let budget = Budget::new(2);
        assert!(budget.withdraw() && budget.withdraw());
        assert!(!budget.withdraw());
        budget.refund(true);
        assert!(budget.withdraw() && !budget.withdraw());
        (0..COST).for_each(|_| budget.refund(false));
        assert!(budget.withdraw() && !budget.withdraw());
    }

    #[test]
    fn a_budget_never_holds_more_than_it_began_with() {
        let budget = Budget::new(1);
        (0..100).for_each(|_| budget.refund(true));
        assert!(budget.withdraw() && !budget.withdraw());
    }
}
