//! Many programs that write one log at the same time: real processes.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![cfg(unix)]

#[path = "support/program.rs"]
mod program;
mod support;

use std::collections::BTreeMap;

use credchain_audit::{Filter, Log, read};
use credchain_core::Clock;

use crate::program::{Program, ready, told};
use crate::support::{World, event, open, settings};

const PROCESSES: u64 = 8;
const EVENTS: u64 = 10_000;

/// Not a test of its own: what each of the programs below does.
#[test]
fn one_of_many() {
    let Some((home, what)) = told() else { return };
    let log = open(&settings(&home).max_bytes(1 << 20).keep(1000));
    ready();
    match &*what {
        "notes" => notes(&log),
        _ => records(&log),
    }
    assert!(log.failure().is_none(), "{:?}", log.failure());
    println!("\nDONE");
}

fn notes(log: &Log) {
    for number in 0..EVENTS {
        log.note(event(number));
        if number % 64 == 63 {
            log.flush().unwrap();
        }
    }
    log.flush().unwrap();
}

fn records(log: &Log) {
    for number in 0..100 {
        log.record(event(number)).unwrap();
    }
}

fn run(world: &World, what: &str) {
    let mut programs: Vec<_> = (0..PROCESSES)
        .map(|_| Program::start("one_of_many", world.home(), what))
        .collect();
    programs.iter_mut().for_each(Program::go);
    for program in programs {
        let (done, well) = program.lines("DONE");
        assert!(done.len() == 1 && well);
    }
}

/// The events of each process, in the order of the log.
fn by_process(world: &World) -> BTreeMap<u64, Vec<u64>> {
    let mut found: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for entry in read(&world.settings, Filter::new().action("resolve")).unwrap() {
        let record = entry.unwrap().content.unwrap();
        let events = found.entry(record.actor.pid.unwrap()).or_default();
        events.push(record.generation.unwrap());
    }
    found
}

#[test]
fn eight_processes_append_ten_thousand_events_each_and_none_is_lost() {
    let world = World::new();
    let clock = Clock::system();
    let start = clock.monotonic();
    run(&world, "notes");
    let written = clock.monotonic().saturating_sub(start);
    let report = world.is_intact();
    let both = clock.monotonic().saturating_sub(start);
    println!(
        "written in {written:?}, with verification {both:?}, {} files, {} bytes",
        report.files, report.bytes
    );
    assert_eq!(report.findings, []);
    assert!(report.files > 10, "{}", report.files);
    let found = by_process(&world);
    assert_eq!(found.len() as u64, PROCESSES);
    for events in found.values() {
        assert!(events.iter().copied().eq(0..EVENTS));
    }
}

#[test]
fn what_eight_processes_record_one_by_one_is_one_chain() {
    let world = World::new();
    run(&world, "records");
    let report = world.is_intact();
    assert_eq!(report.records, PROCESSES * 100 + 1);
    assert_eq!(report.findings, []);
}
