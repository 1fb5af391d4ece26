//! A writer is killed at every step. What it was told is recorded is recorded.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![cfg(unix)]

#[path = "support/program.rs"]
mod program;
mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use credchain_audit::{Filter, Finding, read};
use rustix::process::{Signal, getpid, kill_process};

use crate::program::{Program, ready, told};
use crate::support::{World, event, open, settings, shown};

/// The steps of appending, and of beginning another file.
const STEPS: [&str; 6] = [
    "after_lock",
    "mid_write",
    "before_head",
    "before_anchor",
    "after_rename",
    "before_removal",
];

/// Not a test of its own: the program that is killed, `STEP#TIMES`, while it records.
#[test]
fn the_program() {
    let Some((home, what)) = told() else { return };
    let (step, times) = what.split_once('#').unwrap();
    let left = AtomicUsize::new(times.parse().unwrap());
    if !step.is_empty() {
        fail::cfg_callback(step, move || {
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                kill_process(getpid(), Signal::KILL).unwrap();
            }
        })
        .unwrap();
    }
    let log = open(&settings(&home).max_bytes(1).keep(2));
    ready();
    for number in 0..500 {
        // Long ones, so that files are full soon.
        let event = event(number).reason(&"long ".repeat(50));
        let recorded = log.record(event).unwrap();
        println!("\nTOLD {} {}", recorded.seq, recorded.id);
    }
}

fn numbers(told: &[String]) -> BTreeMap<u64, String> {
    let pair = |line: &String| {
        let (seq, id) = line.split_once(' ').unwrap();
        (seq.parse().unwrap(), id.to_owned())
    };
    told.iter().map(pair).collect()
}

/// Everything that is in the log and was not removed for its age.
fn recorded(world: &World) -> BTreeMap<u64, String> {
    let entries = read(&world.settings, Filter::new()).unwrap();
    let records = entries.filter_map(|entry| entry.unwrap().content.ok());
    records
        .map(|record| (record.seq, record.id.unwrap()))
        .collect()
}

/// All that was told is there, from the oldest record that is kept on.
fn assert_nothing_is_lost(world: &World, told: &BTreeMap<u64, String>) {
    let recorded = recorded(world);
    let oldest = *recorded.keys().next().unwrap();
    for (seq, id) in told.range(oldest..) {
        assert_eq!(recorded.get(seq), Some(id), "{seq}");
    }
}

#[test]
fn nothing_that_was_told_is_lost_wherever_the_writer_is_killed() {
    for step in STEPS {
        for times in [1, 2, 3] {
            let world = World::new();
            let mut program =
                Program::start("the_program", world.home(), &format!("{step}#{times}"));
            program.go();
            let (told, well) = program.lines("TOLD");
            assert!(!well && told.len() < 500, "{step}#{times}");
            let told = numbers(&told);
            // As it is found, and as the next writer leaves it.
            if world.current().exists() && !told.is_empty() {
                assert_nothing_is_lost(&world, &told);
                world.is_intact();
            }
            world.record(1);
            let report = world.is_intact();
            let only_torn = |finding: &Finding| matches!(finding, Finding::Torn { .. });
            assert!(
                report.findings.iter().all(only_torn),
                "{step}: {}",
                shown(&report)
            );
            assert_eq!(
                report.findings.len(),
                usize::from(step == "mid_write"),
                "{step}"
            );
            assert_nothing_is_lost(&world, &told);
        }
    }
}

#[test]
fn writers_that_are_killed_in_the_midst_of_others_lose_nothing() {
    let world = World::new();
    let plans = [
        "#0",
        "mid_write#40",
        "#0",
        "before_head#30",
        "after_lock#50",
        "before_anchor#20",
        "mid_write#7",
        "#0",
    ];
    let mut programs = plans.map(|plan| Program::start("the_program", world.home(), plan));
    programs.iter_mut().for_each(Program::go);
    let mut told = BTreeMap::new();
    for (program, plan) in programs.into_iter().zip(plans) {
        let (lines, well) = program.lines("TOLD");
        assert_eq!(well, plan == "#0", "{plan}");
        told.extend(numbers(&lines));
    }
    assert!(told.len() > 1500, "{}", told.len());
    world.is_intact();
    assert_nothing_is_lost(&world, &told);
}

#[test]
fn a_writer_that_is_killed_at_any_time_loses_nothing() {
    let world = World::new();
    let mut all = BTreeMap::new();
    for after in [1, 5, 17, 40] {
        let mut program = Program::start("the_program", world.home(), "#0");
        program.go();
        let mut lines: Vec<_> = (0..after).filter_map(|_| program.line("TOLD")).collect();
        program.kill();
        lines.extend(program.lines("TOLD").0);
        all.extend(numbers(&lines));
        world.is_intact();
    }
    assert_nothing_is_lost(&world, &all);
}
