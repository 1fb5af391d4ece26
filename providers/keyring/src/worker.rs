//! Threads for calls that block.

use std::sync::Arc;
use std::thread;

use credchain_core::Context;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::backend::patience;
use crate::error::Failure;

/// Runs what blocks where it stalls nobody, a few calls at a time.
///
/// Each call has a thread of its own that ends with it, and none of the runtime's: a runtime
/// waits for its blocking threads when it ends, and a question on the desktop may never be
/// answered. On Linux the thread takes with it the keyring through which it reached the key.
#[derive(Debug)]
pub(crate) struct Workers(Arc<Semaphore>);

impl Workers {
    /// Makes up to `at_once` calls at a time.
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Waits for the answer of a call as long as there is time. A call that was started goes on
    /// to its end, whoever still waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        cx: &Context,
        call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let left = patience(cx);
        if left.is_zero() {
            return Err(Failure::Silent);
        }
        let answer = timeout(left, self.answer(call)).await;
        answer.unwrap_or(Err(Failure::Silent))
    }

    async fn answer<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = self.0.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Failure::BrokeOff)?;
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let done = call();
            // Another call may start before this one's answer has been read.
            drop(permit);
            // Nobody may be waiting any more.
            let _ = answer.send(done);
        };
        let name = "credchain-keyring".to_owned();
        let started = thread::Builder::new().name(name).spawn(work);
        started.map_err(|_| Failure::NoThread)?;
        // Nobody sends if the call panicked.
        answered.await.unwrap_or(Err(Failure::BrokeOff))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_next_call_works() {
        let workers = Workers::new(1);
        let cx = Context::system();
        let broken = workers.run(&cx, || -> Result<(), _> { panic!("on purpose") });
        assert_eq!(broken.await, Err(Failure::BrokeOff));
        assert_eq!(workers.run(&cx, || Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn a_call_that_hangs_holds_up_neither_the_caller_nor_the_runtime() {
        let workers = Workers::new(1);
        let short = Context::system().with_timeout(Duration::from_millis(50));
        let (release, held) = mpsc::channel::<()>();
        let hangs = workers.run(&short, move || {
            let _ = held.recv();
            Ok(())
        });
        // On one thread: a call that blocked would keep the timer from firing.
        assert_eq!(hangs.await, Err(Failure::Silent));
        let waits = Context::system().with_timeout(Duration::from_millis(50));
        assert_eq!(workers.run(&waits, || Ok(())).await, Err(Failure::Silent));
        drop(release);
        assert_eq!(workers.run(&Context::system(), || Ok(2)).await, Ok(2));
    }

    #[tokio::test]
    async fn nothing_is_begun_when_time_is_up() {
        let late = Context::system().with_timeout(Duration::ZERO);
        let workers = Workers::new(1);
        let begun = workers.run(&late, || -> Result<(), _> { panic!("begun") });
        assert_eq!(begun.await, Err(Failure::Silent));
    }
}
