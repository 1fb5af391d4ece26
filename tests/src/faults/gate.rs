//! A server that waits for the test.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Lets a fake server's answer wait until a test lets it go on. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Waits until it is open.
    pub fn pass(&self) {
        let (state, opened) = &*self.0;
        let open = state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = opened.wait_while(open, |open| !*open);
        drop(open.unwrap_or_else(PoisonError::into_inner));
    }

    /// Opens it, for good.
    pub fn open(&self) {
        let (state, opened) = &*self.0;
        *state.lock().unwrap_or_else(PoisonError::into_inner) = true;
        opened.notify_all();
    }
}
