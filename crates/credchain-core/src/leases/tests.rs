use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{Error, ManualClock, async_trait};

/// Grants what it is told, in order; then an hour each time.
#[derive(Default)]
struct Backend {
    answers: Mutex<Vec<Result<Lease>>>,
    renewals: AtomicUsize,
    revoked: Mutex<Vec<String>>,
}

impl Backend {
    fn answering(answers: impl IntoIterator<Item = Result<Lease>>) -> Arc<Self> {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Arc::new(Self {
            answers: Mutex::new(answers),
            ..Self::default()
        })
    }

    fn renewals(&self) -> usize {
        self.renewals.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Leased for Backend {
    async fn renew(&self, lease: &str, _: Duration, _: &Context) -> Result<Lease> {
        let answer = self.answers.lock().unwrap().pop();
        self.renewals.fetch_add(1, Ordering::SeqCst);
        answer.unwrap_or_else(|| Ok(Lease::new(lease, HOUR, true)))
    }

    async fn revoke(&self, lease: &str, _: &Context) -> Result<()> {
        self.revoked.lock().unwrap().push(lease.to_owned());
        match lease {
            "gone" => Err(Error::not_found()),
            "stuck" => Err(Error::new(Kind::Denied, "not yours")),
            _ => Ok(()),
        }
    }
}

const HOUR: Duration = Duration::from_hours(1);
const KEY: &str = "database/creds/app";

fn world() -> (Arc<ManualClock>, Context) {
    let manual = ManualClock::new();
    let cx = Context::system().with_clock(manual.clock());
    (manual, cx)
}

async fn read(leases: &Leases<u32>, cx: &Context, value: u32, lease: Lease) -> u32 {
    let issue = || async { Ok((value, Some(lease))) };
    leases.get_or(KEY, cx, issue).await.unwrap().0
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if what() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it did not come to that");
}

#[tokio::test]
async fn a_lease_is_renewed_at_two_thirds_and_stays_for_many_lives() {
    let (manual, cx) = world();
    let backend = Backend::answering([]);
    let leases = Leases::new(backend.clone());
    assert_eq!(read(&leases, &cx, 1, Lease::new("l1", HOUR, true)).await, 1);
    for life in 1..=5 {
        until(|| manual.sleepers() > 0).await;
        manual.advance(HOUR.mul_f64(0.66));
        tokio::task::yield_now().await;
        assert_eq!(backend.renewals(), life - 1, "not before two thirds");
        manual.advance(HOUR.mul_f64(0.01));
        until(|| backend.renewals() == life).await;
        let other = Lease::new("l2", HOUR, true);
        assert_eq!(read(&leases, &cx, 2, other).await, 1);
    }
}

#[tokio::test]
async fn a_value_whose_lease_cannot_be_renewed_is_replaced_before_it_ends() {
    let (manual, cx) = world();
    let leases = Leases::new(Backend::answering([]));
    read(&leases, &cx, 1, Lease::new("l1", HOUR, false)).await;
    manual.advance(HOUR.mul_f64(0.5));
    assert_eq!(
        read(&leases, &cx, 2, Lease::new("l2", HOUR, false)).await,
        1
    );
    manual.advance(HOUR.mul_f64(0.2));
    assert_eq!(
        read(&leases, &cx, 2, Lease::new("l2", HOUR, false)).await,
        2
    );
}

#[tokio::test]
async fn a_lease_near_its_maximum_gives_way_to_a_new_one() {
    let (manual, cx) = world();
    let minute = Duration::from_mins(1);
    let backend = Backend::answering([Ok(Lease::new("l1", minute, true))]);
    let leases = Leases::new(backend.clone());
    read(&leases, &cx, 1, Lease::new("l1", HOUR, true)).await;
    until(|| manual.sleepers() > 0).await;
    manual.advance(HOUR.mul_f64(0.67));
    until(|| backend.renewals() == 1).await;
    manual.advance(minute.mul_f64(0.7));
    assert_eq!(read(&leases, &cx, 2, Lease::new("l2", HOUR, true)).await, 2);
}

#[tokio::test]
async fn a_renewal_during_an_outage_is_tried_again() {
    let (manual, cx) = world();
    let down = || Err(Error::new(Kind::Unavailable, "sealed"));
    let backend = Backend::answering([down(), down()]);
    let leases = Leases::new(backend.clone());
    read(&leases, &cx, 1, Lease::new("l1", HOUR, true)).await;
    until(|| manual.sleepers() > 0).await;
    manual.advance(HOUR.mul_f64(0.67));
    until(|| backend.renewals() == 1).await;
    for attempt in 2..=3 {
        until(|| manual.sleepers() > 0).await;
        manual.advance(Duration::from_mins(6));
        until(|| backend.renewals() >= attempt).await;
    }
    manual.advance(HOUR.mul_f64(0.6));
    assert_eq!(read(&leases, &cx, 2, Lease::new("l2", HOUR, true)).await, 1);
}

#[tokio::test]
async fn a_refused_renewal_ends_the_holding() {
    let (manual, cx) = world();
    let backend = Backend::answering([Err(Error::new(Kind::Denied, "revoked"))]);
    let leases = Leases::new(backend.clone());
    read(&leases, &cx, 1, Lease::new("l1", HOUR, true)).await;
    until(|| manual.sleepers() > 0).await;
    manual.advance(HOUR.mul_f64(0.67));
    until(|| backend.renewals() == 1).await;
    until(|| leases.shared.lock().held.is_empty()).await;
    assert_eq!(read(&leases, &cx, 2, Lease::new("l2", HOUR, true)).await, 2);
}

#[tokio::test]
async fn concurrent_readers_of_one_key_get_one_lease() {
    let (_, cx) = world();
    let leases = Arc::new(Leases::new(Backend::answering([])));
    let issued = Arc::new(AtomicUsize::new(0));
    let readers = (0..50_u32).map(|_| {
        let (leases, cx, issued) = (leases.clone(), cx.clone(), issued.clone());
        tokio::spawn(async move {
            let issue = || async {
                tokio::task::yield_now().await;
                let number = issued.fetch_add(1, Ordering::SeqCst);
                Ok((number, Some(Lease::new("l", HOUR, true))))
            };
            leases.get_or(KEY, &cx, issue).await.unwrap().0
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.unwrap(), 0);
    }
    assert_eq!(issued.load(Ordering::SeqCst), 1);
}

#[test]
fn renewing_goes_on_in_another_runtime() {
    let (manual, cx) = world();
    let backend = Backend::answering([]);
    let leases = Leases::new(backend.clone());
    let run = |work: &mut dyn FnMut() -> futures_util::future::LocalBoxFuture<'static, ()>| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(work());
    };
    let leases = Arc::new(leases);
    let (first, world) = (leases.clone(), cx.clone());
    run(&mut move || {
        let (leases, cx) = (first.clone(), world.clone());
        Box::pin(async move {
            read(&leases, &cx, 1, Lease::new("l1", HOUR, true)).await;
        })
    });
    manual.advance(HOUR.mul_f64(0.7));
    assert_eq!(backend.renewals(), 0, "nobody drives the first runtime");
    let seen = backend.clone();
    run(&mut move || {
        let (leases, cx, seen) = (leases.clone(), cx.clone(), seen.clone());
        Box::pin(async move {
            leases.resume(&cx);
            until(|| seen.renewals() == 1).await;
        })
    });
}

#[tokio::test]
async fn after_a_sleep_of_the_machine_nothing_dead_is_served() {
    let (manual, cx) = world();
    let leases = Leases::new(Backend::answering([]));
    read(&leases, &cx, 1, Lease::new("l1", HOUR, true)).await;
    // Both clocks of a manual clock move together; what matters is that nothing ran meanwhile.
    manual.advance(HOUR * 3);
    assert_eq!(read(&leases, &cx, 2, Lease::new("l2", HOUR, true)).await, 2);
}

#[tokio::test]
async fn all_are_revoked_whatever_becomes_of_one() {
    let (_, cx) = world();
    let backend = Backend::answering([]);
    let leases = Leases::new(backend.clone());
    for name in ["stuck", "gone", "l1"] {
        let issue = || async { Ok((1, Some(Lease::new(name, HOUR, true)))) };
        leases.get_or(name, &cx, issue).await.unwrap();
    }
    let error = leases.revoke_all(&cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert_eq!(backend.revoked.lock().unwrap().len(), 3);
    leases.revoke_all(&cx).await.unwrap();
    assert_eq!(
        backend.revoked.lock().unwrap().len(),
        3,
        "nothing is held any more"
    );
}

#[tokio::test]
async fn what_has_no_lease_is_read_each_time() {
    let (_, cx) = world();
    let leases = Leases::new(Backend::answering([]));
    for value in 1..=3 {
        let issue = || async move { Ok((value, None)) };
        assert_eq!(leases.get_or(KEY, &cx, issue).await.unwrap(), (value, None));
    }
}

#[tokio::test]
async fn the_task_ends_with_the_holder() {
    let (manual, cx) = world();
    let leases = Leases::new(Backend::answering([]));
    read(&leases, &cx, 1, Lease::new("l1", HOUR, true)).await;
    until(|| manual.sleepers() > 0).await;
    drop(leases);
    until(|| manual.sleepers() == 0).await;
}
