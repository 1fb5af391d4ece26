//! Access tokens: `bench-tokens warm URL` measures one at hand, `many URL COUNT` many of them, both
//! print one line of JSON; `tasks URL DIRECTORY COUNT` waits for a line, lets so many tasks want the
//! same one at once, and prints how many there are.

#![expect(clippy::print_stdout, reason = "its standard output is its result")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Instant;

use benches::{Counting, count};
use credchain::oauth2::{Authentication, Client, Endpoints, Sealing, Store, TokenSource};
use credchain::{Context, CredentialSource, Name, Result, Secret, async_trait};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const READS: u32 = 2_000_000;
const ROUNDS: usize = 7;

/// The client's secret is always the same.
#[derive(Debug)]
struct Constant;

#[async_trait]
impl CredentialSource for Constant {
    async fn credential(&self, _: &Name, _: &Context) -> Result<Secret> {
        Ok(Secret::new("client secret"))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let json = match &arguments[..] {
        ["warm", url] => warm(url)?,
        ["many", url, count] => many(url, count.parse()?)?,
        ["tasks", url, directory, count] => tasks(url, Path::new(directory), count.parse()?)?,
        _ => return Err("unknown arguments".into()),
    };
    println!("{json}");
    Ok(())
}

fn source(url: &str, scope: &str, store: &Store) -> Result<TokenSource, Box<dyn Error>> {
    let client = Client::new("crm".parse()?, Endpoints::token(url), "etl")
        .authentication(Authentication::Post("secret".parse()?))
        .scopes([scope]);
    Ok(TokenSource::new(client, Arc::new(Constant), store.clone())?)
}

/// Asks for a token that is at hand: nothing is waited for.
fn read(source: &TokenSource, cx: &Context) -> bool {
    let token = pin!(source.token(cx));
    let mut task = std::task::Context::from_waker(Waker::noop());
    matches!(black_box(token.poll(&mut task)), Poll::Ready(Ok(_)))
}

fn warm(url: &str) -> Result<serde_json::Value, Box<dyn Error>> {
    let cx = Context::system();
    let source = source(url, "read", &Store::memory())?;
    credchain::block_on(source.token(&cx))??;
    let round = || {
        let start = Instant::now();
        assert!((0..READS).all(|_| read(black_box(&source), &cx)));
        start.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
    };
    let nanoseconds = (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min);
    let before = count();
    assert!((0..1000).all(|_| read(&source, &cx)));
    let allocations = count() - before;
    Ok(serde_json::json!({ "ns": nanoseconds, "allocations": allocations }))
}

/// Reads this many tokens in turn, from each thread in another order.
fn many(url: &str, sources: usize) -> Result<serde_json::Value, Box<dyn Error>> {
    let cx = Context::system();
    let store = Store::memory();
    let start = Instant::now();
    let sources: Vec<TokenSource> = (0..sources)
        .map(|n| source(url, &format!("scope-{n}"), &store))
        .collect::<Result<_, _>>()?;
    thread::scope(|scope| {
        for part in sources.chunks(sources.len().div_ceil(64)) {
            let cx = &cx;
            scope.spawn(move || {
                for source in part {
                    let token = credchain::block_on(source.token(cx));
                    assert!(matches!(token, Ok(Ok(_))), "{token:?}");
                }
            });
        }
    });
    let cold = start.elapsed().as_secs_f64();
    let cores = thread::available_parallelism()?.get();
    let nanoseconds = |threads: usize| {
        let round = || {
            let barrier = Barrier::new(threads + 1);
            thread::scope(|scope| {
                let workers: Vec<_> = (0..threads)
                    .map(|thread| {
                        let (sources, cx, barrier) = (&sources, &cx, &barrier);
                        scope.spawn(move || {
                            let (before, behind) =
                                sources.split_at(sources.len() * thread / threads);
                            barrier.wait();
                            behind.iter().chain(before).all(|source| read(source, cx))
                        })
                    })
                    .collect();
                barrier.wait();
                let start = Instant::now();
                assert!(
                    workers
                        .into_iter()
                        .all(|worker| worker.join().unwrap_or(false))
                );
                let reads = as_f64(sources.len()) * as_f64(threads) / as_f64(threads.min(cores));
                start.elapsed().as_secs_f64() * 1e9 / reads
            })
        };
        (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
    };
    Ok(serde_json::json!({
        "cold_seconds": cold,
        "ns_as_many_threads_as_cores": nanoseconds(cores),
        "ns_twice_as_many": nanoseconds(2 * cores),
    }))
}

/// All want the same token at the same time, and so do those of other programs.
fn tasks(url: &str, directory: &Path, count: usize) -> Result<serde_json::Value, Box<dyn Error>> {
    let store = Store::directory(
        directory.join("tokens"),
        Sealing::key_file(directory.join("state/key")),
    );
    let source = source(url, "read", &store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    println!("READY");
    std::io::stdin().read_line(&mut String::new())?;
    let got = runtime.block_on(async {
        let ask = || {
            let source = source.clone();
            tokio::spawn(async move { source.token(&Context::system()).await.is_ok() })
        };
        let asked: Vec<_> = (0..count).map(|_| ask()).collect();
        let mut got = 0;
        for task in asked {
            got += usize::from(matches!(task.await, Ok(true)));
        }
        got
    });
    Ok(serde_json::json!({ "got": got }))
}

#[expect(clippy::cast_precision_loss, reason = "a few threads")]
fn as_f64(number: usize) -> f64 {
    number as f64
}
