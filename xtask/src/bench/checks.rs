//! Big projects: many credentials in one `.env` file.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Programs;
use super::spawn::{medians, quiet};
use super::table::Row;
use crate::run::{Failure, Outcome, output};
use crate::tools;

/// How often each size is measured.
const ROUNDS: usize = 7;

/// The rows on many credentials.
pub(super) fn run(programs: &Programs) -> Outcome<Vec<Row>> {
    let dir = std::env::temp_dir().join(format!("credchain-bench-check-{}", std::process::id()));
    let mut rows = vec![long_dotenv(programs, &project(&dir, 1_000)?)?];
    let check = |count: usize| -> Outcome<Command> {
        let mut command = quiet(&programs.resolve, &project(&dir, count)?);
        command.args(["check", "--quiet", "--config", "credchain.toml"]);
        Ok(command)
    };
    let (mut few, mut half, mut many) = (check(10_000)?, check(50_000)?, check(100_000)?);
    let times = medians(&mut [&mut few, &mut half, &mut many], ROUNDS)?;
    let times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    let memory = [peak_memory(&few)?, peak_memory(&many)?];
    rows.push(Row::new(
        "B6",
        "`check` of 10,000 credentials",
        ms(times[0]),
        "",
        true,
    ));
    // Ten thousand fit into the processor's caches and a hundred thousand do not, so it is twice as
    // many that tell whether it is linear.
    let growth = times[2] / times[1];
    rows.push(Row::new(
        "B6",
        "`check` of 100,000 credentials, against 50,000",
        format!("{growth:.1}× ({})", ms(times[2])),
        "linear: ≤ 2.4×",
        growth <= 2.4,
    ));
    let each = (memory[1] - memory[0]) / 90_000.0;
    rows.push(Row::new(
        "B6",
        "… memory for each credential, configuration included",
        format!("{each:.1} KiB ({:.0} MiB in all)", memory[1] / 1024.0),
        "≤ 8 KiB",
        each <= 8.0,
    ));
    fs::remove_dir_all(dir)?;
    Ok(rows)
}

fn long_dotenv(programs: &Programs, dir: &Path) -> Outcome<Row> {
    let get = |env: bool| {
        let mut command = quiet(&programs.resolve, dir);
        command.args(["get", "KEY_00500", "--config", "chain.toml"]);
        if env {
            command.env("KEY_00500", "value");
        }
        command
    };
    fs::write(
        dir.join("chain.toml"),
        "[chain]\ndefault = [\"env\", \"dotenv\"]\n",
    )?;
    let times = medians(&mut [&mut get(true), &mut get(false)], 100)?;
    let ratio = times[1].as_secs_f64() / times[0].as_secs_f64();
    let measured = format!("{ratio:.2}× ({})", ms(times[1].as_secs_f64() * 1e3));
    let what = "`resolve get` from a `.env` of 1,000 lines, against the environment";
    Ok(Row::new("", what, measured, "", true))
}

/// A project with this many declared credentials, all of them in `.env`.
fn project(dir: &Path, count: usize) -> Outcome<PathBuf> {
    let dir = dir.join(count.to_string());
    fs::create_dir_all(dir.join(".git"))?;
    let mut config = String::from("[chain]\ndefault = [\"env\", \"dotenv\"]\n");
    let mut dotenv = String::new();
    for number in 0..count {
        // Writing to a string cannot fail.
        let _ = writeln!(config, "[credentials.key_{number:05}]");
        let _ = writeln!(dotenv, "KEY_{number:05}='value of credential {number}'");
    }
    fs::write(dir.join("credchain.toml"), config)?;
    fs::write(dir.join(".env"), dotenv)?;
    Ok(dir)
}

/// The most memory that a command has used at once, in KiB.
fn peak_memory(command: &Command) -> Outcome<f64> {
    let script = "import resource, subprocess, sys\n\
        subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n\
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let dir = command.get_current_dir().unwrap_or(Path::new("."));
    let mut python = Command::new(tools::python()?.join("python"));
    python
        .args(["-c", script])
        .arg(command.get_program())
        .args(command.get_args());
    let printed = output(python.current_dir(dir).env_clear().env("HOME", dir))?;
    printed
        .trim()
        .parse()
        .map_err(|_| Failure::new("no number of the memory used"))
}

fn ms(milliseconds: f64) -> String {
    format!("{milliseconds:.1} ms")
}
