//! Hiding secrets: how fast beside a search that hides nothing, and what a masked program costs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Programs;
use super::spawn::quiet;
use super::table::Row;
use crate::run::{Failure, Outcome, output};

/// How many lines are sent through a masked program.
const LINES: usize = 500;

/// The rows on redaction.
pub(super) fn run(programs: &Programs) -> Outcome<Vec<Row>> {
    let text = output(&mut Command::new(&programs.redact))?;
    let told: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("bench-redact: {error}")))?;
    let mut rows = throughput(&told)?;
    rows.extend(registering(&told)?);
    rows.push(latency(programs)?);
    Ok(rows)
}

fn throughput(told: &Value) -> Outcome<Vec<Row>> {
    let memchr = number(told, "/memchr_gb_s")?;
    let mut rows = Vec::new();
    for (at, row) in told["rows"].as_array().into_iter().flatten().enumerate() {
        let get = |key: &str| number(row, key);
        let (clean, hits) = (get("/clean_gb_s")?, get("/hits_gb_s")?);
        let (bare, bare_hits) = (
            get("/aho_corasick_clean_gb_s")?,
            get("/aho_corasick_hits_gb_s")?,
        );
        let secrets = get("/secrets")?;
        let what = format!("{secrets:.0} secrets in all encodings, a log without any of them");
        let measured = format!(
            "{clean:.1} GB/s ({:.2} of `memchr`, {:.1}× `aho-corasick`)",
            clean / memchr,
            clean / bare
        );
        rows.push(match at {
            1 => Row::new("B5", &what, measured, "≥ 3 GB/s", clean >= 3.0),
            3 => Row::new(
                "B5",
                &what,
                measured,
                "≥ 1 GB/s, ≥ 5×",
                clean >= 1.0 && clean >= 5.0 * bare,
            ),
            _ => Row::new("", &what, measured, "", true),
        });
        let measured = format!("{hits:.1} GB/s ({:.1}× `aho-corasick`)", hits / bare_hits);
        let what = "… one in every 20 lines";
        rows.push(match at {
            3 => Row::new(
                "B5",
                what,
                measured,
                "≥ 1 GB/s, ≥ 5×",
                hits >= 1.0 && hits >= 5.0 * bare_hits,
            ),
            _ => Row::new("", what, measured, "", true),
        });
        if at == 3 {
            let with = get("/clean_with_patterns_gb_s")?;
            let measured = format!("{with:.1} GB/s ({:.1}× the time)", clean / with);
            rows.push(Row::new(
                "B5",
                "… and all patterns",
                measured,
                "≤ 1.4×",
                clean <= 1.4 * with,
            ));
        }
    }
    Ok(rows)
}

fn registering(told: &Value) -> Outcome<Vec<Row>> {
    let (all, more) = (
        number(told, "/register/all_ms")?,
        number(told, "/register/one_more_ms")?,
    );
    Ok(vec![
        Row::new(
            "",
            "registering 10,000 secrets",
            format!("{all:.0} ms"),
            "≤ 250 ms",
            all <= 250.0,
        ),
        Row::new(
            "",
            "… and one more",
            format!("{more:.2} ms"),
            "≤ 1 ms",
            more <= 1.0,
        ),
    ])
}

/// One line through a program and back, beside the program without a mask.
fn latency(programs: &Programs) -> Outcome<Row> {
    let dir = std::env::temp_dir();
    let mut masked = quiet(&programs.resolve, &dir);
    masked
        .args(["exec", "--", "cat"])
        .env("API_KEY", "s3cret value");
    let config = dir.join(format!("credchain-bench-exec-{}.toml", std::process::id()));
    std::fs::write(
        &config,
        "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n",
    )?;
    masked
        .env("CREDCHAIN_CONFIG", &config)
        .env("PATH", "/usr/bin:/bin");
    let masked = lines(masked);
    std::fs::remove_file(&config)?;
    let (masked, bare) = (masked?, lines(quiet(Path::new("cat"), &dir))?);
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let measured = format!("{:.0} µs (without: {:.0} µs)", micros(masked), micros(bare));
    Ok(Row::new(
        "",
        "a line through `resolve exec -- cat` and back",
        measured,
        "",
        true,
    ))
}

/// The middle of many rounds.
#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn lines(mut command: Command) -> Outcome<Duration> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let gone = || Failure::new("a program that echoes has no pipes");
    let mut input = child.stdin.take().ok_or_else(gone)?;
    let mut output = BufReader::new(child.stdout.take().ok_or_else(gone)?);
    let mut times = Vec::with_capacity(LINES);
    let mut back = String::new();
    for _ in 0..LINES {
        let start = Instant::now();
        input.write_all(b"a line of a log without anything to hide\n")?;
        back.clear();
        output.read_line(&mut back)?;
        times.push(start.elapsed());
    }
    drop(input);
    child.wait()?;
    times.sort_unstable();
    Ok(times[LINES / 2])
}

fn number(told: &Value, pointer: &str) -> Outcome<f64> {
    told.pointer(pointer)
        .and_then(Value::as_f64)
        .ok_or_else(|| Failure::new(format!("bench-redact: no `{pointer}`")))
}
