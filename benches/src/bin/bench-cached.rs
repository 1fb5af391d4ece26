//! How long a cached read takes, alone and on many threads at once; prints one line of JSON.

#![expect(clippy::print_stdout, reason = "its standard output is its result")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use benches::{Counting, count};
use credchain::{Context, Credential, Link, LinkName, Memory, Name, Resolver};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const READS: u32 = 2_000_000;
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let memory = Arc::new(Memory::new().with("api_key", b"the value of the credential"));
    let name: Name = "api_key".parse()?;
    let link = LinkName::literal("memory");
    let resolver = Resolver::builder("bench", "default")
        .context(Context::system())
        .link(Link::new("memory", Arc::clone(&memory) as _))
        .default_chain([link])
        .credential(Credential::new(name.clone()))
        .build()?;
    credchain::block_on(resolver.resolve(&name))?.result?;
    let asked = memory.reads() + memory.batches();

    let cores = thread::available_parallelism()?.get();
    let json = serde_json::json!({
        "ns_one_thread": nanoseconds(&resolver, &name, 1, cores),
        "ns_as_many_threads_as_cores": nanoseconds(&resolver, &name, cores, cores),
        "ns_twice_as_many": nanoseconds(&resolver, &name, 2 * cores, cores),
        "allocations": allocations(&resolver, &name),
        "backend_calls": memory.reads() + memory.batches() - asked,
        "cores": cores,
    });
    println!("{json}");
    Ok(())
}

/// How much of one core a read costs while this many threads read: the best of several rounds.
fn nanoseconds(resolver: &Resolver, name: &Name, threads: usize, cores: usize) -> f64 {
    let round = || {
        let barrier = Barrier::new(threads + 1);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        read(resolver, name, READS)
                    })
                })
                .collect();
            barrier.wait();
            let start = Instant::now();
            let found = workers
                .into_iter()
                .all(|worker| worker.join().unwrap_or(false));
            assert!(found, "the value has left the cache");
            let reads = f64::from(READS) * as_f64(threads) / as_f64(threads.min(cores));
            start.elapsed().as_secs_f64() * 1e9 / reads
        })
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// What the reads of this thread allocate.
fn allocations(resolver: &Resolver, name: &Name) -> usize {
    // The first read of a thread may set up what belongs to the thread.
    read(resolver, name, 1);
    let before = count();
    read(resolver, name, 1_000);
    count() - before
}

fn read(resolver: &Resolver, name: &Name, times: u32) -> bool {
    (0..times).all(|_| {
        let cached = resolver.cached(black_box(name));
        cached.is_some_and(|secret| !black_box(secret.expose()).is_empty())
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few threads")]
fn as_f64(threads: usize) -> f64 {
    threads as f64
}
