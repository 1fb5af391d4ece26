//! What the measured programs share: an allocator that counts.

#[expect(
    unsafe_code,
    reason = "an allocator can only be written with unsafe functions"
)]
mod allocations;

pub use crate::allocations::{Counting, count, live_bytes};
