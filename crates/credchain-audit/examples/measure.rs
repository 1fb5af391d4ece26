//! What the access log costs, on this disk: verifying, appending from many processes, and one
//! record in a process of its own.
//!
//! `cargo run --release -p credchain-audit --example measure [DIRECTORY]`

#![allow(clippy::print_stdout, reason = "it shows what it measured")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use credchain_audit::{Action, Actor, Event, Log, Settings, verify};
use credchain_core::{Clock, Environment, LinkName, Result};

const PROCESSES: u64 = 8;
const EVENTS: u64 = 10_000;
const RUNS: u32 = 200;
/// Fewer than make anybody write.
const NOTES: u32 = 60;

/// Says to a copy of this program where it appends.
const WRITER: &str = "MEASURE_WRITER";

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    if let Some(home) = Environment::process().text(WRITER) {
        return Ok(append(&open(Path::new(&home))?)?);
    }
    let home = match std::env::args_os().nth(1) {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let appended = timed(|| all_at_once(home.path()))?;
    let events = PROCESSES * EVENTS;
    let rate = f64::from(u32::try_from(events)?) / appended.as_secs_f64();
    println!("{PROCESSES} processes append {events} events in {appended:.2?}: {rate:.0}/s");
    let mut report = None;
    let verified = timed(|| verify(&settings(home.path())).map(|made| report = Some(made)))?;
    let report = report.ok_or("no report")?;
    let megabytes = f64::from(u32::try_from(report.bytes / 1000)?) / 1000.0;
    let speed = megabytes / verified.as_secs_f64();
    println!(
        "{megabytes:.1} MB are verified in {verified:.2?}: {speed:.0} MB/s, {:?}",
        report.verdict()
    );
    let log = open(home.path())?;
    let noted = timed(|| (0..NOTES).try_for_each(|_| event().map(|event| log.note(event))))?;
    println!(
        "one note of a log that is open: {:.1?} on average",
        noted / NOTES
    );
    drop(log);
    for (what, note) in [("recorded", false), ("noted and flushed", true)] {
        let mut fastest = Duration::MAX;
        let mut all = Duration::ZERO;
        for _ in 0..RUNS {
            let took = timed(|| one(home.path(), note))?;
            fastest = fastest.min(took);
            all += took;
        }
        println!(
            "one event, opened and {what}: {:.0?} on average, {fastest:.0?} at best",
            all / RUNS
        );
    }
    Ok(())
}

fn settings(home: &Path) -> Settings {
    Settings::new(home.join("audit"))
        .anchor(home.join("elsewhere/anchor"))
        .write_on_flush(true)
}

fn open(home: &Path) -> Result<Log> {
    let actor = Actor::detect(&Environment::process());
    Log::open(&settings(home), &actor, Clock::system())
}

fn event() -> Result<Event> {
    let name = "api_key".parse();
    let name = name.map_err(|_| credchain_core::Error::not_found())?;
    Ok(Event::new(Action::Resolve)
        .credential(&name)
        .link(&LinkName::literal("vault")))
}

/// Everything that a short program does for one event.
fn one(home: &Path, note: bool) -> Result<()> {
    let log = open(home)?;
    if note {
        log.note(event()?);
        return log.flush();
    }
    log.record(event()?).map(drop)
}

fn append(log: &Log) -> Result<()> {
    for number in 1..=EVENTS {
        log.note(event()?);
        if number % 64 == 0 {
            log.flush()?;
        }
    }
    log.flush()
}

fn all_at_once(home: &Path) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let program = std::env::current_exe()?;
    let start = || Command::new(&program).env(WRITER, home).spawn();
    let children: Vec<_> = (0..PROCESSES).map(|_| start()).collect();
    for child in children {
        if !child?.wait()?.success() {
            return Err("a writer failed".into());
        }
    }
    Ok(())
}

fn timed<E>(work: impl FnOnce() -> std::result::Result<(), E>) -> std::result::Result<Duration, E> {
    let clock = Clock::system();
    let start = clock.monotonic();
    work()?;
    Ok(clock.monotonic().saturating_sub(start))
}
