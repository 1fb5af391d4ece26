//! How fast the redactor is beside `memchr` and a bare `aho-corasick`, on the same bytes in the same
//! run, and how long registering takes; prints one line of JSON.
//!
//! The text is larger than any cache. `bench-redact MEBIBYTES` measures with less of it, and
//! `bench-redact MEBIBYTES SECRETS` with so many secrets alone.

#![expect(clippy::print_stdout, reason = "its standard output is its result")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

mod text;

use std::hint::black_box;
use std::time::Instant;

use aho_corasick::{AhoCorasick, MatchKind};
use credchain_redact::{Options, Redactor, Rules};
use serde_json::{Value, json};

use self::text::{Random, log, secrets};

const ROUNDS: usize = 3;

/// How many bytes a caller gives the stream at once.
const PIECE: usize = 256 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mebibytes = std::env::args()
        .nth(1)
        .map_or(Ok(256), |text| text.parse())?;
    let mut random = Random::new();
    let values = secrets(&mut random, 10_000);
    let clean = log(&mut random, mebibytes << 20, 1, &[]);
    let memchr = rate(&clean, |text| memchr::memchr_iter(b'\x01', text).count());
    let mut rows = Vec::new();
    let only: Option<usize> = std::env::args()
        .nth(2)
        .map(|text| text.parse())
        .transpose()?;
    let counts = [1, 10, 100, 1_000, 10_000];
    for count in counts
        .into_iter()
        .filter(|count| only.is_none_or(|only| only == *count))
    {
        rows.push(row(&mut random, &values[..count], &clean)?);
    }
    let patterns = Redactor::builder().patterns(Rules::builtin()).build();
    let result = json!({
        "memchr_gb_s": memchr,
        "rows": rows,
        "patterns_only_gb_s": rate(&clean, |text| redact(&patterns, text)),
        "register": registering(&values),
    });
    println!("{result}");
    Ok(())
}

/// Everything about one number of secrets.
fn row(
    random: &mut Random,
    values: &[Vec<u8>],
    clean: &[u8],
) -> Result<Value, Box<dyn std::error::Error>> {
    let redactor = Redactor::new();
    let with_patterns = Redactor::builder().patterns(Rules::builtin()).build();
    register(&redactor, values);
    register(&with_patterns, values);
    let forms: Vec<Vec<u8>> = values
        .iter()
        .flat_map(|value| redactor.forms(value))
        .map(|form| form.to_vec())
        .collect();
    let hits = log(random, clean.len(), 20, &forms);
    // Every byte is a step in its table, so a part of the text tells as much.
    let part = clean.len() / 4;
    let bare = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(&forms)?;
    let search = |text: &[u8]| bare.find_iter(text).count();
    let (bare_clean, bare_hits) = (rate(&clean[..part], search), rate(&hits[..part], search));
    Ok(json!({
        "secrets": values.len(),
        "needles": forms.len(),
        "clean_gb_s": rate(clean, |text| redact(&redactor, text)),
        "hits_gb_s": rate(&hits, |text| redact(&redactor, text)),
        "clean_with_patterns_gb_s": rate(clean, |text| redact(&with_patterns, text)),
        "aho_corasick_clean_gb_s": bare_clean,
        "aho_corasick_hits_gb_s": bare_hits,
    }))
}

fn register(redactor: &Redactor, values: &[Vec<u8>]) {
    for (i, value) in values.iter().enumerate() {
        let registration = redactor.register(&format!("secret_{i}"), value, Options::default());
        assert!(registration.is_masked());
    }
    // The first use makes what it needs.
    black_box(redactor.redact(b""));
}

/// Streams a text through a redactor, as one that copies it somewhere would.
fn redact(redactor: &Redactor, text: &[u8]) -> usize {
    let mut stream = redactor.stream();
    let mut out = Vec::with_capacity(PIECE + 4096);
    let mut written = 0;
    for piece in text.chunks(PIECE) {
        out.clear();
        stream.push(piece, &mut out);
        written += black_box(&out).len();
    }
    stream.finish(&mut out);
    written
}

/// Milliseconds for all, and for one more and its first use.
fn registering(values: &[Vec<u8>]) -> Value {
    let redactor = Redactor::new();
    let start = Instant::now();
    register(&redactor, values);
    let all = start.elapsed();
    let mut more: Vec<_> = (0..21)
        .map(|i| {
            let value = format!("another value that is number {i}");
            let start = Instant::now();
            register(&redactor, &[value.into_bytes()]);
            start.elapsed()
        })
        .collect();
    more.sort_unstable();
    json!({
        "values": values.len(),
        "all_ms": all.as_secs_f64() * 1e3,
        "one_more_ms": more[more.len() / 2].as_secs_f64() * 1e3,
    })
}

/// Gigabytes a second: the best of several rounds.
#[expect(clippy::cast_precision_loss, reason = "a few hundred megabytes")]
fn rate(text: &[u8], work: impl Fn(&[u8]) -> usize) -> f64 {
    let round = || {
        let start = Instant::now();
        black_box(work(black_box(text)));
        start.elapsed().as_secs_f64()
    };
    let best = (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min);
    text.len() as f64 / best / 1e9
}
