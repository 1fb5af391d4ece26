//! The same work on many things, on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Does the work for each thing; each thread has something of its own to work with. The answers
/// come in no order.
pub(crate) fn each<T: Sync, W, A: Send>(
    threads: usize,
    things: &[T],
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, &T) -> A + Sync,
) -> Vec<A> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::new());
    let run = || {
        let mut own = worker();
        let mut mine = Vec::new();
        while let Some(thing) = things.get(next.fetch_add(1, Ordering::Relaxed)) {
            mine.push(work(&mut own, thing));
        }
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.append(&mut mine);
    };
    let threads = threads.min(things.len());
    std::thread::scope(|scope| {
        // The caller's thread is one of them: one thing needs no other.
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    answers.into_inner().unwrap_or_else(PoisonError::into_inner)
}
