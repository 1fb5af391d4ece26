//! What must never be served: values that were overwritten, and values that are refused now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use credchain_core::layers::{Cache, CacheSettings};
use credchain_core::{
    Context, Error, Kind, Memory, Provider as _, Reference, Secret, SetOptions, delegate_provider,
};

use crate::support::{MINUTE, Say, Scripted, all, at, kind, reading, settle, text, until, world};

fn cache(scripted: &Arc<Scripted>) -> Arc<Cache> {
    let settings = CacheSettings::new(MINUTE).with_max_stale(MINUTE * 60);
    Arc::new(Cache::new(scripted.clone(), settings))
}

async fn fill(cache: &Cache, references: &[&str], cx: &Context) {
    for answer in cache.get_many(&all(references), cx).await {
        answer.unwrap();
    }
}

/// Which of the references a cache still has.
async fn kept(cache: &Cache, references: &[&str], cx: &Context) -> Vec<bool> {
    let answers = cache.get_many(&all(references), cx).await;
    answers
        .into_iter()
        .map(|answer| answer.unwrap().meta().cached)
        .collect()
}

async fn write(cache: &Cache, reference: &str, value: &str, cx: &Context) -> Result<(), Error> {
    let options = SetOptions::default();
    cache
        .set(&at(reference), &Secret::new(value), &options, cx)
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_write_forgets_every_version_and_field_of_the_path_and_nothing_else() {
    let names = [
        "doc",
        "doc#a",
        "doc#b",
        "doc?version=1",
        "/mount/doc",
        "doc2",
        "other/doc",
    ];
    let forgotten = [true, true, true, true, true, false, false];
    for write_it in [true, false] {
        let (_, cx) = world();
        let cache = cache(&Scripted::new());
        fill(&cache, &names, &cx).await;
        if write_it {
            write(&cache, "doc#a", "v2", &cx).await.unwrap();
        } else {
            cache.delete(&at("doc#a"), &cx).await.unwrap();
        }
        assert_eq!(kept(&cache, &names, &cx).await, forgotten.map(|f| !f));
    }
}

#[tokio::test]
async fn a_write_that_failed_or_was_cancelled_is_forgotten_as_well() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    fill(&cache, &["a"], &cx).await;
    scripted.say_to_write(Say::Fail(Error::new(
        Kind::Unavailable,
        "the answer was lost",
    )));
    assert!(write(&cache, "a", "v2", &cx).await.is_err());
    assert_eq!(text(cache.get(&at("a"), &cx).await), "v2");

    scripted.say_to_write(Say::Hang);
    let cancelled = {
        let (cache, cx) = (cache.clone(), cx.clone());
        tokio::spawn(async move { write(&cache, "a", "v3", &cx).await })
    };
    until(|| scripted.writes() == 2).await;
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    assert_eq!(text(cache.get(&at("a"), &cx).await), "v3");
}

#[tokio::test]
async fn a_read_that_began_before_a_write_does_not_bring_the_old_value_back() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    scripted.hold();
    let early = reading(&cache, "a", &cx);
    scripted.until_reads(1).await;
    write(&cache, "a", "v2", &cx).await.unwrap();
    let late = reading(&cache, "a", &cx);
    settle().await;
    scripted.release();
    assert_eq!(text(early.await.unwrap()), "v1", "it asked before");
    assert_eq!(text(late.await.unwrap()), "v2");
    settle().await;
    let hit = cache.get(&at("a"), &cx).await.unwrap();
    assert!(hit.meta().cached && hit.expose() == b"v2");
}

#[tokio::test]
async fn a_refresh_in_the_background_does_not_bring_the_old_value_back() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    fill(&cache, &["a"], &cx).await;
    clock.advance(MINUTE);
    scripted.hold();
    assert_eq!(text(cache.get(&at("a"), &cx).await), "v1");
    scripted.until_reads(2).await;
    write(&cache, "a", "v2", &cx).await.unwrap();
    scripted.release();
    settle().await;
    assert_eq!(text(cache.get(&at("a"), &cx).await), "v2");
}

#[tokio::test]
async fn an_overwritten_value_never_bridges_an_outage() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    fill(&cache, &["a"], &cx).await;
    write(&cache, "a", "v2", &cx).await.unwrap();
    scripted.fail("a", Kind::Unavailable);
    assert_eq!(kind(cache.get(&at("a"), &cx).await), Kind::Unavailable);
}

#[tokio::test]
async fn a_denial_purges_the_whole_path_and_no_other() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    let others = ["doc", "doc#b", "doc?version=1", "doc2"];
    fill(&cache, &["doc#a"], &cx).await;
    clock.advance(MINUTE * 2);
    fill(&cache, &others, &cx).await;
    scripted.fail("doc#a", Kind::Denied);
    assert_eq!(kind(cache.get(&at("doc#a"), &cx).await), Kind::Denied);
    assert_eq!(
        kept(&cache, &others, &cx).await,
        [false, false, false, true]
    );
    scripted.fail("doc#a", Kind::Unavailable);
    assert_eq!(
        kind(cache.get(&at("doc#a"), &cx).await),
        Kind::Unavailable,
        "nothing stale left"
    );
}

#[tokio::test]
async fn a_denial_of_a_background_refresh_ends_the_value_too() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    fill(&cache, &["a"], &cx).await;
    clock.advance(MINUTE);
    scripted.fail("a", Kind::Denied).fail("a", Kind::Denied);
    assert_eq!(text(cache.get(&at("a"), &cx).await), "v1", "not known yet");
    settle().await;
    assert_eq!(kind(cache.get(&at("a"), &cx).await), Kind::Denied);
}

#[tokio::test]
async fn a_denied_description_purges_the_path() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    fill(&cache, &["a", "b"], &cx).await;
    scripted.fail("a", Kind::Denied);
    assert_eq!(
        cache.describe(&at("a"), &cx).await.unwrap_err().kind(),
        Kind::Denied
    );
    assert_eq!(kept(&cache, &["a", "b"], &cx).await, [false, true]);
}

#[tokio::test]
async fn a_lost_login_purges_everything() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    fill(&cache, &["a", "b"], &cx).await;
    scripted.fail("c", Kind::Unauthenticated);
    assert_eq!(kind(cache.get(&at("c"), &cx).await), Kind::Unauthenticated);
    assert_eq!(kept(&cache, &["a", "b"], &cx).await, [false, false]);
}

#[tokio::test]
async fn a_lost_login_at_a_write_purges_everything() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    fill(&cache, &["a", "b"], &cx).await;
    scripted.say_to_write(Say::Fail(Error::new(Kind::Unauthenticated, "log in")));
    assert!(write(&cache, "c", "v", &cx).await.is_err());
    assert_eq!(kept(&cache, &["a", "b"], &cx).await, [false, false]);
}

#[tokio::test]
async fn no_other_failure_purges_anything() {
    for failure in Kind::ALL {
        if matches!(failure, Kind::Denied | Kind::Unauthenticated) {
            continue;
        }
        let (_, cx) = world();
        let scripted = Scripted::new();
        let cache = cache(&scripted);
        fill(&cache, &["doc#a"], &cx).await;
        scripted.fail("doc#b", failure);
        assert_eq!(kind(cache.get(&at("doc#b"), &cx).await), failure);
        assert_eq!(kept(&cache, &["doc#a"], &cx).await, [true], "{failure}");
    }
}

#[tokio::test]
async fn a_read_under_way_at_a_denial_does_not_fill_the_path_again() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted);
    scripted.hold();
    let slow = reading(&cache, "doc#a", &cx);
    scripted.until_reads(1).await;
    scripted.fail("doc#b", Kind::Denied);
    let denied = {
        let (cache, cx) = (cache.clone(), cx.clone());
        tokio::spawn(async move { cache.get_many(&all(&["doc#b"]), &cx).await.remove(0) })
    };
    scripted.until_reads(2).await;
    scripted.release();
    assert_eq!(text(slow.await.unwrap()), "v1");
    assert_eq!(kind(denied.await.unwrap()), Kind::Denied);
    assert_eq!(kept(&cache, &["doc#a"], &cx).await, [false]);
}

#[tokio::test]
async fn clearing_forgets_everything() {
    let (_, cx) = world();
    let cache = cache(&Scripted::new());
    fill(&cache, &["a", "b"], &cx).await;
    cache.clear();
    assert_eq!(kept(&cache, &["a", "b"], &cx).await, [false, false]);
}

/// Writers and readers at once, while time runs: a read that starts after a write has returned
/// sees that write or a later one, whatever was cached, refreshed or under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_goes_back_behind_a_finished_write() {
    const WRITES: u64 = 300;
    let (clock, cx) = world();
    let settings = CacheSettings::new(MINUTE).with_max_stale(MINUTE * 60);
    let memory = Memory::new().with("doc", b"0");
    let cache = Arc::new(Cache::new(Arc::new(Unhurried(memory)), settings));
    let (finished, hits) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut readers = Vec::new();
    for _ in 0..8 {
        let (cache, cx) = (cache.clone(), cx.clone());
        let (finished, hits) = (finished.clone(), hits.clone());
        readers.push(tokio::spawn(async move {
            while finished.load(Ordering::SeqCst) < WRITES {
                let floor = finished.load(Ordering::SeqCst);
                let secret = cache.get(&at("doc"), &cx).await.unwrap();
                let seen: u64 = secret.expose_text().unwrap().parse().unwrap();
                assert!(
                    seen >= floor,
                    "{seen} was read after {floor} had been written"
                );
                hits.fetch_add(u64::from(secret.meta().cached), Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }));
    }
    for number in 1..=WRITES {
        write(&cache, "doc", &number.to_string(), &cx)
            .await
            .unwrap();
        finished.store(number, Ordering::SeqCst);
        clock.advance(MINUTE / 4);
        // Now and then the cache has to take part before the next write; else they race.
        if number % 10 == 5 {
            let before = hits.load(Ordering::SeqCst);
            until(|| hits.load(Ordering::SeqCst) > before).await;
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

/// Yields before and after it reads, so that everything overlaps.
#[derive(Debug)]
struct Unhurried(Memory);

delegate_provider! {
    impl Provider for Unhurried, through |this| &this.0, overrides [get] {
        async fn get(&self, reference: &Reference, cx: &Context) -> credchain_core::Result<Secret> {
            tokio::task::yield_now().await;
            let answer = self.0.get(reference, cx).await;
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            answer
        }
    }
}
