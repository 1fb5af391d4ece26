//! Whole processes, started again and again in turn, so that whatever else the machine does meets
//! all of them alike.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Programs;
use super::table::Row;
use crate::run::{Failure, Outcome};

const ROUNDS: usize = 500;

/// `resolve get` from the environment beside the least that a Rust program can do.
pub(super) fn get_from_environment(programs: &Programs, full: bool) -> Outcome<Row> {
    let dir = std::env::temp_dir().join(format!("credchain-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let mut baseline = quiet(&programs.baseline, &dir);
    baseline.arg("API_KEY").env("API_KEY", "value");
    let mut resolve = quiet(&programs.resolve, &dir);
    resolve.args(["get", "API_KEY"]).env("API_KEY", "value");
    let medians = medians(&mut [&mut baseline, &mut resolve], ROUNDS)?;
    std::fs::remove_dir_all(&dir)?;
    let ratio = medians[1].as_secs_f64() / medians[0].as_secs_f64();
    let (what, budget) = if full {
        (
            "`resolve get` with every provider linked, whole process against a minimal program",
            2.0,
        )
    } else {
        (
            "`resolve get` from the environment, whole process against a minimal program",
            1.5,
        )
    };
    let measured = format!("{ratio:.2}× ({:.2} ms)", medians[1].as_secs_f64() * 1e3);
    Ok(Row::new(
        "B1",
        what,
        measured,
        &format!("≤ {budget}×"),
        ratio <= budget,
    ))
}

/// A program with an empty environment and nobody listening.
pub(super) fn quiet(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).env_clear().env("HOME", dir);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// How long each command takes, from start to end, in the middle of many rounds.
pub(super) fn medians(commands: &mut [&mut Command], rounds: usize) -> Outcome<Vec<Duration>> {
    let mut times = vec![Vec::with_capacity(rounds); commands.len()];
    for _ in 0..rounds {
        for (command, times) in commands.iter_mut().zip(&mut times) {
            times.push(time(command)?);
        }
    }
    let middle = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    Ok(times.into_iter().map(middle).collect())
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn time(command: &mut Command) -> Outcome<Duration> {
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    if status.success() {
        return Ok(time);
    }
    let program = command.get_program().display();
    Err(Failure::new(format!(
        "{program} failed while it was measured"
    )))
}
