//! An allocator that counts what each thread asks of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

/// How often this thread has asked for memory.
pub fn count() -> usize {
    COUNT.with(Cell::get)
}

/// How many bytes this thread has asked for and not given back, without what the allocator adds.
pub fn live_bytes() -> usize {
    LIVE.with(Cell::get)
}

fn change(back: usize, more: usize) {
    // What another thread gave back may be more than this one asked for.
    LIVE.with(|live| live.set(live.get().wrapping_sub(back).wrapping_add(more)));
}

// SAFETY: everything is left to the system's allocator. The counters are plain thread-local cells
// without destructors, so that they can be used at any time and allocate nothing themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        change(0, layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        change(layout.size(), 0);
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        change(layout.size(), size);
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
