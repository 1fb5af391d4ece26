//! Any Tokio runtime will do.

use credchain_core::{Error, Kind};

use crate::verdict::must;
use crate::{Broken, Subject, Verdict};

/// A provider that was first used on a runtime that has ended works on the next one: a program
/// without a runtime of its own makes one for each call.
pub async fn outlives_the_runtime_it_was_first_used_on(subject: &Subject) -> Verdict {
    let place = subject.planted("runtimes").await?;
    for round in 0..3 {
        let (provider, place) = (subject.provider().clone(), place.clone());
        let cx = subject.context();
        let (done, read) = tokio::sync::oneshot::channel();
        // On a thread of its own, so that a backend that lives on this runtime keeps running.
        let thread = std::thread::Builder::new().spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let read = match runtime {
                Ok(runtime) => runtime.block_on(provider.get(&place, &cx)),
                Err(error) => Err(Error::new(Kind::Internal, "no runtime").with_source(error)),
            };
            let _ = done.send(read);
        });
        thread.map_err(|_| Broken::new("no thread to be had"))?;
        let read = read
            .await
            .map_err(|_| Broken::new("a read on another runtime panicked"))?;
        must(&format!("a read on runtime {round}"), read)?;
    }
    subject
        .reads(
            "a value after other runtimes ended",
            &place,
            &subject.value("runtimes"),
        )
        .await
}

/// Reads from many tasks on several threads each get the value.
pub async fn works_on_many_threads(subject: &Subject) -> Verdict {
    let place = subject.planted("threads").await?;
    let value = subject.value("threads");
    // The thread that waits for the runtime is none of its workers.
    subject
        .reads("a value on the first thread", &place, &value)
        .await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (provider, place, cx) = (subject.provider().clone(), place.clone(), subject.context());
        tasks.spawn(async move { provider.get(&place, &cx).await });
    }
    while let Some(read) = tasks.join_next().await {
        let read = read.map_err(|_| Broken::new("a read on a worker thread panicked"))?;
        let secret = must("a read on a worker thread", read)?;
        if secret.expose() != value {
            return Err(Broken::new("a read on a worker thread gave another value"));
        }
    }
    Ok(())
}
