//! `cargo xtask bench`: the project's budgets, measured. Every number that depends on the machine
//! is a ratio of two things measured in the same run.

mod ages;
mod backends;
mod checks;
mod redaction;
mod spawn;
mod table;
mod tokens;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use self::table::Row;
use crate::check::budget;
use crate::run::{Failure, Outcome, cargo, output, step, target_dir};

const MIB: f64 = 1_048_576.0;

/// The programs under test, compiled as packagers ship them.
struct Programs {
    resolve: PathBuf,
    baseline: PathBuf,
    cached: PathBuf,
    memory: PathBuf,
    redact: PathBuf,
    tokens: PathBuf,
}

/// Measures and writes the table into `docs/performance.md`; `full` links every provider.
pub(crate) fn run(full: bool) -> Outcome {
    let programs = Programs::build(full)?;
    let mut rows = vec![spawn::get_from_environment(&programs, full)?];
    rows.push(size(&programs)?);
    if full {
        rows.extend(backends::run(&programs)?);
        // It leaves thousands of connections behind, whose ports nobody can have for a minute.
        rows.extend(tokens::run(&programs)?);
    } else {
        rows.extend(cached_reads(&programs)?);
        rows.push(memory(&programs)?);
        rows.extend(checks::run(&programs)?);
        rows.extend(ages::run(&programs)?);
        rows.push(dependencies()?);
        rows.extend(redaction::run(&programs)?);
    }
    let table = table::render(&rows);
    print!("{table}");
    table::write(if full { "full" } else { "local" }, &table)
}

impl Programs {
    fn build(full: bool) -> Outcome<Self> {
        let mut args = vec![
            "build",
            "--profile=dist",
            "--package=credchain-cli",
            "--package=benches",
        ];
        if full {
            args.push("--features=benches/oauth2");
        } else {
            args.extend(["--no-default-features", "--features=credchain-cli/local"]);
        }
        step(&mut cargo(&args))?;
        Ok(Self {
            resolve: installed("resolve")?,
            baseline: installed("bench-baseline")?,
            cached: installed("bench-cached")?,
            memory: installed("bench-memory")?,
            redact: installed("bench-redact")?,
            tokens: if full {
                installed("bench-tokens")?
            } else {
                PathBuf::new()
            },
        })
    }
}

/// A copy of a program, as an installation makes one. What a linker has just written lies in the
/// page cache in single pages, which makes a program start a third slower than a copy of it.
fn installed(name: &str) -> Outcome<PathBuf> {
    let built = target_dir().join("dist").join(name);
    let bin = target_dir().join("dist/installed");
    std::fs::create_dir_all(&bin)?;
    let copy = bin.join(name);
    // Not `fs::copy`, which may share the blocks of the file that was linked.
    std::fs::write(&copy, std::fs::read(&built)?)?;
    std::fs::set_permissions(&copy, std::fs::metadata(&built)?.permissions())?;
    Ok(copy)
}

/// The numbers that a program prints, as one line of JSON.
fn told(command: &mut Command) -> Outcome<impl Fn(&str) -> Outcome<f64> + use<>> {
    let program = command.get_program().display().to_string();
    let told: Value = serde_json::from_str(&output(command)?)
        .map_err(|error| Failure::new(format!("{program}: {error}")))?;
    Ok(move |key: &str| {
        let number = told[key].as_f64();
        number.ok_or_else(|| Failure::new(format!("{program}: no `{key}`")))
    })
}

fn cached_reads(programs: &Programs) -> Outcome<Vec<Row>> {
    let number = told(&mut Command::new(&programs.cached))?;
    let (alone, at_cores) = (
        number("ns_one_thread")?,
        number("ns_as_many_threads_as_cores")?,
    );
    let (twice, cores) = (number("ns_twice_as_many")?, number("cores")?);
    let (allocations, calls) = (number("allocations")?, number("backend_calls")?);
    let growth = twice / at_cores;
    Ok(vec![
        Row::new(
            "B3",
            "cached read",
            format!("{alone:.0} ns"),
            "≤ 100 ns",
            alone <= 100.0,
        ),
        Row::new(
            "B3",
            "… allocations and backend calls",
            format!("{allocations:.0} and {calls:.0}"),
            "0 and 0",
            allocations + calls == 0.0,
        ),
        Row::new(
            "B3",
            &format!(
                "… on {:.0} threads against {cores:.0}, each core's time",
                2.0 * cores
            ),
            format!("{growth:.2}×"),
            "≤ 1.20×",
            growth <= 1.2,
        ),
    ])
}

fn memory(programs: &Programs) -> Outcome<Row> {
    let number = told(&mut Command::new(&programs.memory))?;
    let (bytes, secrets) = (number("bytes")?, number("secrets")?);
    let measured = format!("{:.1} MiB ({:.0} B each)", bytes / MIB, bytes / secrets);
    let what = "memory of 10,000 cached secrets of 40 bytes";
    Ok(Row::new("", what, measured, "", true))
}

/// The program without its symbols, as a packager ships it.
fn size(programs: &Programs) -> Outcome<Row> {
    let bare = programs.resolve.with_extension("stripped");
    step(
        Command::new("strip")
            .arg("-o")
            .arg(&bare)
            .arg(&programs.resolve),
    )?;
    let kib = u32::try_from(std::fs::metadata(&bare)?.len() / 1024).unwrap_or(u32::MAX);
    std::fs::remove_file(&bare)?;
    let measured = format!("{:.1} MiB", f64::from(kib) / 1024.0);
    Ok(Row::new(
        "",
        "size of `resolve`, stripped",
        measured,
        "",
        true,
    ))
}

fn dependencies() -> Outcome<Row> {
    let count = budget::dependencies()?.len();
    let most = budget::MOST_DEPENDENCIES;
    let what = "dependencies of the library, default features";
    Ok(Row::new(
        "B7",
        what,
        count.to_string(),
        &format!("≤ {most}"),
        count <= most,
    ))
}
