//! How much memory 10,000 cached secrets take; prints one line of JSON.

#![expect(clippy::print_stdout, reason = "its standard output is its result")]

use std::sync::Arc;
use std::time::Duration;

use benches::{Counting, live_bytes};
use credchain::layers::{Cache, CacheSettings};
use credchain::{Context, Memory, Provider as _, Reference};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SECRETS: usize = 10_000;

/// As long as a usual key.
const VALUE: usize = 40;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut memory = Memory::new();
    let mut references = Vec::with_capacity(SECRETS);
    for n in 0..SECRETS {
        let name = format!("project/default/key_{n}");
        memory = memory.with(&name, &[b'v'; VALUE]);
        references.push(Reference::new(&name)?);
    }
    let settings = CacheSettings::new(Duration::from_mins(5));
    let cache = Cache::new(Arc::new(memory), settings);
    let cx = Context::system();
    let before = live_bytes();
    let read = credchain::block_on(cache.get_many(&references, &cx))?;
    let found = read.iter().filter(|answer| answer.is_ok()).count();
    drop(read);
    let held = live_bytes().saturating_sub(before);
    println!(
        "{}",
        serde_json::json!({"found": found, "bytes": held, "secrets": SECRETS})
    );
    Ok(())
}
