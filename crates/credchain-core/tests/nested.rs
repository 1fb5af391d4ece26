//! A blocking call inside of a runtime waits for nothing that only this runtime could do.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use credchain_core::layers::{CacheSettings, LayerSettings, RateLimitSettings, wrap};
use credchain_core::{
    Capabilities, Context, Lease, Leased, Leases, Provider, Reference, Result, Secret, async_trait,
    block_on,
};
use tokio::sync::Notify;

/// The first reader waits for a word; every later one is answered at once.
#[derive(Debug, Default)]
struct Slow {
    readers: AtomicUsize,
    word: Notify,
}

#[async_trait]
impl Provider for Slow {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, _: &Reference, _: &Context) -> Result<Secret> {
        if self.readers.fetch_add(1, Ordering::SeqCst) == 0 {
            self.word.notified().await;
        }
        Ok(Secret::new("v"))
    }
}

async fn a_blocking_call_beside_a_read_under_way(settings: LayerSettings) {
    let slow = Arc::new(Slow::default());
    let provider = wrap(slow.clone(), &settings);
    let cx = Context::system();
    let first = {
        let (provider, cx) = (provider.clone(), cx.clone());
        tokio::spawn(async move { provider.get(&"k".parse()?, &cx).await })
    };
    while slow.readers.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let second = block_on(async { provider.get(&"k".parse()?, &cx).await }).unwrap();
    assert_eq!(second.unwrap().expose(), b"v");
    slow.word.notify_one();
    assert_eq!(first.await.unwrap().unwrap().expose(), b"v");
}

fn limited() -> LayerSettings {
    let rate = RateLimitSettings::new(NonZeroU32::new(1_000_000).unwrap());
    LayerSettings::default()
        .with_cache(CacheSettings::new(Duration::from_mins(1)))
        .with_rate_limit(rate)
}

#[tokio::test]
async fn on_a_single_thread() {
    a_blocking_call_beside_a_read_under_way(LayerSettings::default()).await;
    a_blocking_call_beside_a_read_under_way(limited()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn on_the_only_worker() {
    a_blocking_call_beside_a_read_under_way(LayerSettings::default()).await;
    a_blocking_call_beside_a_read_under_way(limited()).await;
}

struct NoLeases;

#[async_trait]
impl Leased for NoLeases {
    async fn renew(&self, lease: &str, increment: Duration, _: &Context) -> Result<Lease> {
        Ok(Lease::new(lease, increment, true))
    }

    async fn revoke(&self, _: &str, _: &Context) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_lease_that_somebody_else_reads_is_not_waited_for() {
    let leases = Arc::new(Leases::new(Arc::new(NoLeases)));
    let cx = Context::system();
    let (begun, word) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = {
        let (leases, cx, begun, word) = (leases.clone(), cx.clone(), begun.clone(), word.clone());
        tokio::spawn(async move {
            let slow = || async {
                begun.notify_one();
                word.notified().await;
                Ok((1, None))
            };
            leases.get_or("k", &cx, slow).await
        })
    };
    begun.notified().await;
    let second = block_on(leases.get_or("k", &cx, || async { Ok((2, None)) }));
    assert_eq!(second.unwrap().unwrap().0, 2);
    word.notify_one();
    assert_eq!(first.await.unwrap().unwrap().0, 1);
}
