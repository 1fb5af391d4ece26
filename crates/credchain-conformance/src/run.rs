//! Runs one promise as a test: with a runtime of its own and a watchdog.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::{Broken, Fixture, Subject, Verdict};

/// One promise: a function of this crate's [`promise`](crate::promise) module, boxed.
pub type Check = for<'a> fn(&'a Subject) -> LocalBoxFuture<'a, Verdict>;

/// How much longer than the promise itself the thread that runs it may take, at most.
const GRACE: Duration = Duration::from_secs(15);

/// Which runtime a promise runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flavour {
    /// Everything on one thread.
    CurrentThread,
    /// Several worker threads.
    MultiThread,
}

/// Runs one promise against a fresh backend.
///
/// # Panics
/// If the promise is broken, does not end in the time allowed, or the backend does not start.
pub fn run<S: 'static>(
    name: &'static str,
    flavour: Flavour,
    fixture: impl Fn() -> Fixture<S> + Send + 'static,
    check: Check,
) {
    let allowed = fixture().time_allowed();
    let (done, verdict) = mpsc::channel();
    // A thread of its own, so that a provider that blocks is found out as well.
    let runner = std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            let fixture = fixture();
            let work = async {
                let subject = fixture.subject().await;
                check(&subject).await
            };
            let verdict = runtime(flavour).block_on(async {
                match tokio::time::timeout(allowed, AssertUnwindSafe(work).catch_unwind()).await {
                    Ok(Ok(verdict)) => verdict,
                    Ok(Err(_)) => Err(Broken::new("panicked; see above")),
                    Err(_) => Err(Broken::new(format!("did not end within {allowed:?}"))),
                }
            });
            // The receiver is gone only when it has given up on us.
            let _ = done.send(verdict);
        });
    let verdict = match runner {
        Err(error) => panic!("no thread for `{name}`: {error}"),
        Ok(_) => verdict.recv_timeout(allowed + allowed.min(GRACE)),
    };
    match verdict {
        Ok(Ok(())) => {}
        Ok(Err(broken)) => panic!("promise `{name}` is broken: {broken}"),
        Err(RecvTimeoutError::Timeout) => {
            panic!("promise `{name}` is broken: it blocks its thread and did not end")
        }
        Err(RecvTimeoutError::Disconnected) => panic!("promise `{name}` is broken: it panicked"),
    }
}

fn runtime(flavour: Flavour) -> tokio::runtime::Runtime {
    let mut builder = match flavour {
        Flavour::CurrentThread => tokio::runtime::Builder::new_current_thread(),
        Flavour::MultiThread => tokio::runtime::Builder::new_multi_thread(),
    };
    match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime to be had: {error}"),
    }
}
