//! How old a hundred thousand credentials are.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Programs;
use super::spawn::{medians, quiet};
use super::table::Row;
use crate::run::Outcome;

/// How often each size is measured.
const ROUNDS: usize = 7;

/// The rows on the ages of credentials.
pub(super) fn run(programs: &Programs) -> Outcome<Vec<Row>> {
    let dir = std::env::temp_dir().join(format!("credchain-bench-ages-{}", std::process::id()));
    let status = |count: usize, only: bool| -> Outcome<Command> {
        let mut command = quiet(&programs.resolve, &project(&dir, count)?);
        command.args([
            "rotation",
            "status",
            "--config",
            "credchain.toml",
            "--now",
            "2026-04-13",
        ]);
        if only {
            // Everything is read, and nothing but this one is shown.
            command.arg("key_00000");
        }
        Ok(command)
    };
    let (mut half, mut many) = (status(50_000, false)?, status(100_000, false)?);
    let mut one = status(100_000, true)?;
    let times = medians(&mut [&mut half, &mut many, &mut one], ROUNDS)?;
    let times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    let rows = vec![
        Row::new(
            "B6",
            "`rotation status` of 100,000 credentials, reading included",
            format!("{:.1} ms", times[1]),
            "≤ 200 ms beyond reading",
            times[1] <= 200.0 + times[2],
        ),
        Row::new(
            "B6",
            "… against 50,000",
            format!("{:.1}×", times[1] / times[0]),
            "linear: ≤ 2.4×",
            times[1] / times[0] <= 2.4,
        ),
    ];
    fs::remove_dir_all(dir)?;
    Ok(rows)
}

/// A project with this many registered credentials.
fn project(dir: &Path, count: usize) -> Outcome<PathBuf> {
    let dir = dir.join(count.to_string());
    fs::create_dir_all(dir.join(".git"))?;
    let mut register = String::from("[default]\n");
    for number in 0..count {
        let (month, day) = (number % 3 + 1, number % 28 + 1);
        // Writing to a string cannot fail.
        let _ = writeln!(
            register,
            "key_{number:05} = {{ created = 2026-{month:02}-{day:02} }}"
        );
    }
    fs::write(dir.join("credchain.toml"), "[chain]\ndefault = [\"env\"]\n")?;
    fs::write(dir.join("credchain.rotation.toml"), register)?;
    Ok(dir)
}
