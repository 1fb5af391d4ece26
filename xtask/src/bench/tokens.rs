//! Access tokens: at hand, wanted by many at once, and as a whole process.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use credchain_tests::faults::{FakeHttp, Reply};
use serde_json::{Value, json};

use super::spawn::{medians, quiet};
use super::table::Row;
use super::{Programs, told};
use crate::run::{Failure, Outcome};

/// How long the server takes for a token, so that everybody has to wait for it.
const LATENCY: Duration = Duration::from_millis(300);

const PROGRAMS: usize = 8;
const TASKS: usize = 10_000;
const KEYS: usize = 100_000;
const ROUNDS: usize = 200;

/// The rows on OAuth 2.0.
pub(super) fn run(programs: &Programs) -> Outcome<Vec<Row>> {
    let dir = std::env::temp_dir().join(format!("credchain-bench-tokens-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let mut rows = together(programs, &dir)?;
    rows.extend(at_hand(programs)?);
    rows.push(whole_process(programs, &dir)?);
    rows.push(many(programs)?);
    fs::remove_dir_all(dir)?;
    Ok(rows)
}

/// A server that gives a token to everybody who asks.
fn server(latency: Duration) -> FakeHttp {
    FakeHttp::start(move |_| {
        std::thread::sleep(latency);
        let token = json!({"access_token": "token-1", "token_type": "Bearer", "expires_in": 86400});
        Reply::json(200, &token)
    })
}

/// Eight programs of ten thousand tasks, nobody has a token.
fn together(programs: &Programs, dir: &Path) -> Outcome<Vec<Row>> {
    let server = server(LATENCY);
    let mut running: Vec<Child> = Vec::new();
    let mut outputs = Vec::new();
    for _ in 0..PROGRAMS {
        let mut command = Command::new(&programs.tokens);
        let url = format!("{}/token", server.url());
        command
            .arg("tasks")
            .arg(url)
            .arg(dir)
            .arg(TASKS.to_string());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let piped = child
            .stdout
            .take()
            .ok_or_else(|| Failure::new("no output"))?;
        let mut output = BufReader::new(piped);
        output.read_line(&mut String::new())?;
        running.push(child);
        outputs.push(output);
    }
    #[expect(clippy::disallowed_methods, reason = "it measures time")]
    let start = Instant::now();
    for child in &mut running {
        let input = child.stdin.as_mut();
        input
            .ok_or_else(|| Failure::new("no input"))?
            .write_all(b"go\n")?;
    }
    let mut got = 0;
    for output in &mut outputs {
        let mut line = String::new();
        output.read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line)
            .map_err(|error| Failure::new(format!("bench-tokens: {error}")))?;
        got += told["got"].as_u64().unwrap_or_default();
    }
    let beyond = start.elapsed().saturating_sub(LATENCY);
    for child in &mut running {
        child.wait()?;
    }
    if got != (PROGRAMS * TASKS) as u64 {
        return Err(Failure::new(format!("only {got} tasks have a token")));
    }
    let requests = server.count();
    let what = format!("{PROGRAMS} programs of {TASKS} tasks want one token at once: requests");
    Ok(vec![
        Row::new("B4", &what, requests.to_string(), "1", requests == 1),
        Row::new(
            "B4",
            "… until all have it, beyond the server's own 300 ms",
            format!("{:.0} ms", beyond.as_secs_f64() * 1e3),
            "≤ 250 ms",
            beyond <= Duration::from_millis(250),
        ),
    ])
}

fn at_hand(programs: &Programs) -> Outcome<Vec<Row>> {
    let server = server(Duration::ZERO);
    let url = format!("{}/token", server.url());
    let number = told(Command::new(&programs.tokens).args(["warm", &url]))?;
    let (time, allocations) = (number("ns")?, number("allocations")?);
    Ok(vec![
        Row::new(
            "",
            "an access token at hand",
            format!("{time:.0} ns"),
            "≤ 100 ns",
            time <= 100.0,
        ),
        Row::new(
            "",
            "… allocations",
            format!("{allocations:.0}"),
            "0",
            allocations == 0.0,
        ),
    ])
}

/// `resolve token` with a token on the disk.
fn whole_process(programs: &Programs, dir: &Path) -> Outcome<Row> {
    let server = server(Duration::ZERO);
    let config = dir.join("credchain.toml");
    fs::write(
        &config,
        format!(
            "[chain]\ndefault = [\"env\"]\n[credentials.secret]\n[oauth2.crm]\n\
             token_url = \"{}/token\"\nclient_id = \"etl\"\n\
             client_secret = {{ credential = \"secret\" }}\n",
            server.url()
        ),
    )?;
    let mut resolve = quiet(&programs.resolve, dir);
    resolve
        .args(["token", "crm"])
        .env("CREDCHAIN_CONFIG", config)
        .env("SECRET", "client secret");
    let mut baseline = quiet(&programs.baseline, dir);
    baseline.arg("API_KEY").env("API_KEY", "value");
    medians(&mut [&mut resolve], 1)?;
    let times = medians(&mut [&mut baseline, &mut resolve], ROUNDS)?;
    if server.count() != 1 {
        return Err(Failure::new("the token was not kept"));
    }
    let ratio = times[1].as_secs_f64() / times[0].as_secs_f64();
    Ok(Row::new(
        "",
        "`resolve token` with a token on the disk, whole process against a minimal program",
        format!("{ratio:.2}× ({:.2} ms)", times[1].as_secs_f64() * 1e3),
        "≤ 2×",
        ratio <= 2.0,
    ))
}

/// As many tokens as a big installation has clients.
fn many(programs: &Programs) -> Outcome<Row> {
    let server = server(Duration::ZERO);
    let url = format!("{}/token", server.url());
    let mut command = Command::new(&programs.tokens);
    let number = told(command.args(["many", &url, &KEYS.to_string()]))?;
    let (at_cores, twice) = (
        number("ns_as_many_threads_as_cores")?,
        number("ns_twice_as_many")?,
    );
    let growth = twice / at_cores;
    Ok(Row::new(
        "",
        "each of 100,000 tokens read, on twice as many threads as cores against as many",
        format!(
            "{growth:.2}× ({at_cores:.0} ns; requested in {:.0} s)",
            number("cold_seconds")?
        ),
        "≤ 1.20×",
        growth <= 1.2,
    ))
}
