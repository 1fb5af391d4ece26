//! One way in for programs without a runtime.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::{Error, Kind, Result};

/// How long work on other threads that nobody waits for any more may hold up the end. It may hang
/// for good, in a mount that does not answer.
const FAREWELL: Duration = Duration::from_millis(500);

thread_local! {
    static NESTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a future to its end on the current thread, with a runtime of its own.
///
/// Inside another runtime it moves the work to a thread of its own and blocks the caller until
/// that is done. It does occupy the calling worker, which is why asynchronous programs should
/// `await` instead; but it waits for nothing that this worker would have to do: it shares no
/// flight, turn or lease with requests that belong to another runtime.
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
        return run(builder().enable_all(), work);
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("credchain-blocking".into())
            .spawn_scoped(scope, || {
                NESTED.set(true);
                run(builder().enable_all(), work)
            })
            .map_err(|error| Error::new(Kind::Internal, "no thread to be had").with_source(error))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// [`block_on`] for work that opens no socket and starts no program, such as a look into the
/// environment and into files: what those need is a fifth of a short program's whole time.
///
/// # Errors
/// As [`block_on`].
///
/// # Panics
/// If the work does open a socket or start a program.
pub fn block_on_at_hand<T: Send>(work: impl Future<Output = T> + Send) -> Result<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return run(builder().enable_time(), work);
    }
    block_on(work)
}

/// Whether this is work of a [`block_on`] inside of another runtime, which may stand still until
/// this is done.
pub(crate) fn is_nested() -> bool {
    NESTED.get()
}

fn run<T>(builder: &mut Builder, work: impl Future<Output = T>) -> Result<T> {
    let runtime = runtime(builder)?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(FAREWELL);
    Ok(done)
}

fn builder() -> Builder {
    Builder::new_current_thread()
}

fn runtime(builder: &mut Builder) -> Result<Runtime> {
    builder
        .build()
        .map_err(|error| Error::new(Kind::Internal, "no runtime to be had").with_source(error))
}

/// Runs an example and panics if it fails.
#[doc(hidden)]
pub fn doctest(example: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) {
    let outcome = runtime(builder().enable_all()).map(|runtime| runtime.block_on(example));
    assert!(matches!(outcome, Ok(Ok(()))), "{outcome:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_outside_a_runtime() {
        assert_eq!(block_on(async { 1 }).unwrap(), 1);
    }

    #[test]
    fn what_is_at_hand_needs_no_more_than_a_timer() {
        let work = async {
            let file = tokio::task::spawn_blocking(|| 5).await;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            file.unwrap()
        };
        assert_eq!(block_on_at_hand(work).unwrap(), 5);
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

    #[test]
    fn work_that_hangs_on_another_thread_does_not_hold_up_the_end() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let done = block_on(async {
            drop(tokio::task::spawn_blocking(move || held.recv()));
            tokio::task::yield_now().await;
            4
        });
        assert_eq!(done.unwrap(), 4);
        drop(release);
    }
}
