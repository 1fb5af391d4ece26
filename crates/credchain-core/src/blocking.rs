//! One way in for programs without a runtime.

use std::future::Future;

use crate::{Error, Kind, Result};

/// Runs a future to its end on the current thread, with a runtime of its own.
///
/// Inside another runtime it moves the work to a thread of its own and blocks the caller until
/// that is done, so it cannot panic or deadlock there; it does occupy the calling worker, which
/// is why asynchronous programs should `await` instead.
///
/// # Errors
/// [`Kind::Internal`] if the system refuses a runtime or a thread.
///
/// ```
/// let four = credchain_core::block_on(async { 2 + 2 })?;
/// assert_eq!(four, 4);
/// # Ok::<(), credchain_core::Error>(())
/// ```
pub fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> Result<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Ok(runtime()?.block_on(work));
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("credchain-blocking".into())
            .spawn_scoped(scope, || Ok(runtime()?.block_on(work)))
            .map_err(|error| Error::new(Kind::Internal, "no thread to be had").with_source(error))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, "no runtime to be had").with_source(error))
}

/// Runs an example and panics if it fails.
#[doc(hidden)]
pub fn doctest(example: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) {
    let outcome = runtime().map(|runtime| runtime.block_on(example));
    assert!(matches!(outcome, Ok(Ok(()))), "{outcome:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_outside_a_runtime() {
        assert_eq!(block_on(async { 1 }).unwrap(), 1);
    }

    #[tokio::test]
    async fn works_inside_a_single_threaded_runtime() {
        let answer = block_on(async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            2
        });
        assert_eq!(answer.unwrap(), 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn works_inside_the_only_worker_of_a_runtime() {
        assert_eq!(block_on(tokio::task::yield_now()).map(|()| 3).unwrap(), 3);
    }
}
