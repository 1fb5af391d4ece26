//! Notes: they neither wait nor fail, and what becomes of them is known.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![cfg(unix)]

mod support;

use std::fs::{self, File};
use std::path::Path;

use credchain_audit::{
    Action, Actor, Destination, Event, Filter, Finding, FollowFrom, Follower, GapReason, Log,
    Outcome, read,
};
use credchain_core::{Clock, Environment, Error, Kind, Reference, Secret};

use crate::support::{World, event};

/// As many events as wait at most.
const CAPACITY: u64 = 1024;

/// Keeps every writer out, as a process that does not finish would.
fn hold(world: &World) -> File {
    let options = File::options().write(true).open(world.file("lock"));
    let lock = options.unwrap();
    lock.lock().unwrap();
    lock
}

/// How many threads of this process write in the background.
fn writers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm"));
    let names = tasks.flatten().filter_map(|task| name(task).ok());
    names
        .filter(|name| name.trim() == "credchain-audit")
        .count()
}

#[test]
fn a_note_is_written_without_anybody_asking() {
    let world = World::new();
    let log = world.log();
    log.note(event(1));
    let mut follower = Follower::new(&world.settings, Filter::new(), FollowFrom::Start).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(follower.poll().unwrap());
        std::thread::yield_now();
    }
    assert_eq!(seen[1].content.as_ref().unwrap().generation, Some(1));
    assert!(log.failure().is_none());
    world.is_intact();
}

#[cfg(target_os = "linux")]
#[test]
fn a_short_program_has_no_thread_for_it() {
    let world = World::new();
    let settings = world.settings.clone().write_on_flush(true);
    let log = support::open(&settings);
    log.record(event(0)).unwrap();
    log.note(event(1));
    log.flush().unwrap();
    assert_eq!(writers(), 0);
    for number in 0..64 {
        log.note(event(number));
    }
    // It gives itself its name.
    while writers() == 0 {
        std::thread::yield_now();
    }
    drop(log);
    assert_eq!(writers(), 0);
    assert_eq!(world.is_intact().records, 1 + 66);
}

#[test]
fn what_was_noted_is_written_before_what_is_recorded_and_when_the_log_goes() {
    let world = World::new();
    let log = world.log();
    log.note(event(1));
    log.note(event(2));
    let recorded = log.record(event(3)).unwrap();
    assert_eq!(recorded.seq, 4);
    let other = log.clone();
    other.note(event(4));
    drop(other);
    drop(log);
    let records = read(&world.settings, Filter::new().action("resolve")).unwrap();
    let numbers = records.map(|entry| entry.unwrap().content.unwrap().generation.unwrap());
    assert!(numbers.eq(1..=4));
}

#[test]
fn a_durable_note_is_on_the_disk_at_once() {
    let world = World::new();
    let log = support::open(&world.settings.clone().durable(true));
    log.note(event(1));
    assert_eq!(world.is_intact().records, 2);
}

#[test]
fn what_a_full_queue_drops_is_counted_and_recorded() {
    let world = World::with(1);
    let log = support::open(&world.settings.clone().write_on_flush(true));
    let held = hold(&world);
    for number in 0..CAPACITY + 500 {
        log.note(event(number));
    }
    // The background may hold a batch that it cannot write.
    let dropped = log.dropped();
    assert!((436..=500).contains(&dropped), "{dropped}");
    let error = log.flush().unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("another process"), "{error}");
    drop(held);
    log.flush().unwrap();
    assert_eq!(log.dropped(), 0);
    let report = world.is_intact();
    let counts = report.findings.iter().map(|finding| match finding {
        Finding::Gap {
            reason: GapReason::Dropped,
            count,
            ..
        } => count.unwrap(),
        other => panic!("{other}"),
    });
    let counted: u64 = counts.sum();
    let gaps = report.findings.len() as u64;
    // Each event is in the log or in the count of those that are not.
    assert_eq!(report.records - 2 - gaps + counted, CAPACITY + 500);
}

#[test]
fn what_cannot_be_written_in_the_background_is_known() {
    let world = World::with(1);
    let log = world.log();
    let held = hold(&world);
    log.note(event(1));
    let failure = loop {
        match log.failure() {
            Some(failure) => break failure,
            None => std::thread::yield_now(),
        }
    };
    assert_eq!(failure.error.kind(), Kind::Unavailable);
    drop(held);
    log.flush().unwrap();
    assert_eq!(world.is_intact().records, 3);
}

#[test]
fn a_record_waits_no_longer_than_two_seconds_for_others() {
    let world = World::with(1);
    let log = world.log();
    let _held = hold(&world);
    let clock = Clock::system();
    let start = clock.monotonic();
    let error = log.record(event(1)).unwrap_err();
    let waited = clock.monotonic().saturating_sub(start).as_secs_f32();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!((1.9..10.0).contains(&waited), "{waited}");
}

#[test]
fn everything_that_is_known_of_an_event_is_in_its_record() {
    let world = World::new();
    let job = [("GITHUB_ACTIONS", "true"), ("GITHUB_RUN_ID", "7")];
    let actor = Actor::detect(&Environment::fixed(job));
    let log = Log::open(&world.settings, &actor, Clock::system()).unwrap();
    let reference: Reference = "prod/db#password?version=3".parse().unwrap();
    let refused = Error::new(Kind::Denied, "by policy")
        .for_credential(&"db".parse().unwrap())
        .at("vault".parse().unwrap());
    let fingerprint = log.fingerprint(&Secret::new("generated"));
    let event = Event::new(Action::rotate("promote"))
        .reference(&reference)
        .failed(&refused)
        .fingerprint(fingerprint)
        .destination(Destination::File(Path::new("/run/x")))
        .latency(std::time::Duration::from_micros(77))
        .cached(true)
        .stale(true)
        .reason("nightly");
    let recorded = log.record(event).unwrap();
    let now = Clock::system().now();
    log.record(Event::cache_hits(&"db".parse().unwrap(), 12, now, now))
        .unwrap();
    let entries = read(&world.settings, Filter::new()).unwrap();
    let records: Vec<_> = entries
        .map(|entry| entry.unwrap().content.unwrap())
        .collect();
    let record = &records[1];
    let text = |value: &Option<String>| value.clone().unwrap();
    assert_eq!(record.action, "rotate.promote");
    assert_eq!(text(&record.id), recorded.id);
    assert_eq!(text(&record.outcome), Outcome::Denied.as_str());
    assert_eq!(text(&record.kind), "denied");
    assert_eq!(text(&record.credential), "db");
    assert_eq!(text(&record.link), "vault");
    assert_eq!(text(&record.reference), "prod/db#password");
    assert_eq!(text(&record.version), "3");
    assert_eq!(text(&record.dest), "file:/run/x");
    assert_eq!(text(&record.reason), "nightly");
    assert_eq!(text(&record.actor.ci), "github:7");
    assert!(text(&record.value_fp).starts_with("hmac-sha256:"));
    assert_eq!(
        (record.latency_us, record.cached, record.stale),
        (Some(77), true, true)
    );
    assert!(record.time().unwrap() <= now);
    #[cfg(target_os = "linux")]
    assert!(record.boot.is_some() && record.mono.unwrap() > 0);
    assert_eq!(
        (&*records[2].action, records[2].count),
        ("cache.hit", Some(12))
    );
    assert!(log.fingerprint(&Secret::new("generated")) == fingerprint);
    assert!(log.fingerprint(&Secret::new("another")) != fingerprint);
}

#[test]
fn neither_a_value_nor_the_key_is_in_anything_that_is_written_or_shown() {
    let world = World::new();
    let log = world.log();
    let canary = format!("canary-{}", "x7Q".repeat(5));
    let value = Secret::new(canary.clone());
    let error = Error::new(Kind::Denied, canary.clone()).with_hint(canary.clone());
    let address = Reference::new(format!("https://user:{canary}@host/a?token={canary}")).unwrap();
    let event = Event::new(Action::Set)
        .credential(&"api_key".parse().unwrap())
        .reference(&address)
        .failed(&error)
        .fingerprint(log.fingerprint(&value));
    let mut shown = format!("{event:?} {log:?} {:?}", world.settings);
    shown.push_str(&format!("{:?}", log.record(event.clone()).unwrap()));
    log.note(event);
    log.flush().unwrap();
    shown.push_str(&format!("{:?}", world.verify()));
    let key = fs::read_to_string(world.file("key")).unwrap();
    for entry in fs::read_dir(world.directory()).unwrap() {
        let path = entry.unwrap().path();
        if path != world.file("key") {
            shown.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    shown.push_str(&fs::read_to_string(world.anchor()).unwrap());
    assert!(shown.contains("https://host/a"));
    assert!(!shown.contains(&canary) && !shown.contains(key.trim()));
}
