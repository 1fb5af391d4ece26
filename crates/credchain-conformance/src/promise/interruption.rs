//! Futures that are dropped, and time that has run out.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use credchain_core::{Kind, Secret, SetOptions};

use crate::verdict::{ensure, must, must_fail};
use crate::{Broken, Subject, Verdict};

/// Dropping points that are tried: a future is dropped after it was polled this often.
const POINTS: [usize; 10] = [1, 2, 3, 4, 5, 6, 8, 11, 15, 20];

/// What "at once" means for a deadline that has passed; generous for slow machines.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Dropping a read, at any point, leaves the provider working.
pub async fn a_cancelled_read_leaves_it_working(subject: &Subject) -> Verdict {
    let place = subject.planted("cancelled_read").await?;
    let value = subject.value("cancelled_read");
    for polls in POINTS {
        let context = subject.context();
        let ended = drop_after(polls, subject.provider().get(&place, &context)).await;
        subject
            .reads(
                &format!("a value after a read was dropped ({polls})"),
                &place,
                &value,
            )
            .await?;
        if ended.is_some() {
            break;
        }
    }
    let several = vec![place.clone(); 3];
    for polls in POINTS {
        let context = subject.context();
        let ended = drop_after(polls, subject.provider().get_many(&several, &context)).await;
        subject
            .reads(
                &format!("a value after a batch was dropped ({polls})"),
                &place,
                &value,
            )
            .await?;
        if ended.is_some() {
            break;
        }
    }
    Ok(())
}

/// A write that is dropped, at any point, has either happened or not: the old value or the new
/// one is there, whole, and the next write works.
pub async fn a_cancelled_write_is_all_or_nothing(subject: &Subject) -> Verdict {
    if !subject.capabilities().write {
        return Ok(());
    }
    let options = SetOptions::default();
    let (old, new) = (b"old".repeat(4000), b"new, and longer".repeat(4000));
    let (old, new) = if subject.can_hold(&new) {
        (old, new)
    } else {
        (subject.value("old"), subject.value("new_and_longer"))
    };
    for polls in POINTS {
        let place = subject.fresh(&format!("cancelled_write{polls}"));
        must(
            "writing the old value",
            subject.set(&place, &old, &options).await,
        )?;
        let (context, value) = (subject.context(), Secret::new(new.as_slice()));
        let write = subject.provider().set(&place, &value, &options, &context);
        let ended = drop_after(polls, write).await;
        let after = must(
            "reading after a write was dropped",
            subject.get(&place).await,
        )?;
        ensure!(
            after.expose() == old || after.expose() == new,
            "after a write was dropped ({polls}) the value is neither the old nor the new one"
        );
        let last = subject.value("last");
        must(
            "a write after one was dropped",
            subject.set(&place, &last, &options).await,
        )?;
        let after = must("reading after the next write", subject.get(&place).await)?;
        // A request that was under way may arrive after the one that followed it.
        ensure!(
            after.expose() == last || after.expose() == new,
            "a write after a dropped one ({polls}) did not take effect"
        );
        if ended.is_some() {
            break;
        }
    }
    Ok(())
}

/// When the deadline has passed already, an operation answers at once, or fails with
/// `Unavailable`; it never waits, and the provider works afterwards.
pub async fn an_expired_deadline_ends_at_once(subject: &Subject) -> Verdict {
    let place = subject.planted("deadline").await?;
    let late = || subject.context().with_timeout(Duration::ZERO);
    let cx = late();
    let read = at_once("a read", subject.provider().get(&place, &cx)).await?;
    if read.is_err() {
        must_fail("a read after its deadline", &[Kind::Unavailable], &read)?;
    }
    let several = [place.clone(), place.clone()];
    let batch = at_once("a batch", subject.provider().get_many(&several, &cx)).await?;
    ensure!(
        batch.len() == 2,
        "a batch after its deadline still has one answer per reference"
    );
    for read in batch.iter().filter(|read| read.is_err()) {
        must_fail("a batch after its deadline", &[Kind::Unavailable], read)?;
    }
    if subject.capabilities().write {
        let (target, value) = (subject.fresh("deadline_write"), Secret::new("value"));
        let options = SetOptions::default();
        let write = subject.provider().set(&target, &value, &options, &cx);
        let written = at_once("a write", write).await?;
        if written.is_err() {
            must_fail("a write after its deadline", &[Kind::Unavailable], &written)?;
        }
    }
    subject
        .reads(
            "a value after a deadline passed",
            &place,
            &subject.value("deadline"),
        )
        .await
}

async fn at_once<T>(what: &str, work: impl Future<Output = T>) -> Result<T, Broken> {
    tokio::time::timeout(AT_ONCE, work)
        .await
        .map_err(|_| Broken::new(format!("{what} went on after its deadline had passed")))
}

/// Polls `work` up to `polls` times, then drops it. Its answer, if it ended before.
async fn drop_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut polled = 0;
    poll_fn(|cx| {
        polled += 1;
        match work.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if polled >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
