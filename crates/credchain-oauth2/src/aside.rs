//! Work that outlives whoever asked for it.

use std::thread;

use credchain_core::{Error, Kind, Result};

/// Runs work on a thread with a runtime of its own.
///
/// An exchange must not end with the caller, nor with the runtime that the caller happens to be
/// on: an answer with the next refresh token that nobody reads is a lost login. It also reads and
/// writes files and waits for locks, which must hold up nobody else's tasks. It happens once in a
/// token's life, so that a thread costs nothing that counts.
pub(crate) fn aside<F: Future<Output = ()>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<()> {
    let failed = |_| {
        Error::new(
            Kind::Internal,
            "no thread can be started to ask for a token",
        )
    };
    let span = tracing::Span::current();
    let subscriber = tracing::dispatcher::get_default(Clone::clone);
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        // Without one the work is dropped, and whoever waits sees that.
        if let Ok(runtime) = runtime {
            let work = || span.in_scope(|| runtime.block_on(work()));
            tracing::dispatcher::with_default(&subscriber, work);
        }
    };
    thread::Builder::new()
        .name("credchain-oauth2".to_owned())
        .spawn(run)
        .map(drop)
        .map_err(failed)
}
