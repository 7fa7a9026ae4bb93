//! Counts what is asked of the allocator.

#![expect(unsafe_code, reason = "an allocator cannot be had without it")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts the requests of each thread for memory.
pub(crate) struct CountingAllocator;

fn count_one() {
    // While a thread ends, nobody counts any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every method hands its arguments to the system's allocator unchanged and gives back what
// that gives, so this keeps the contract of `GlobalAlloc` because the system's allocator does.
// Counting neither allocates nor panics: the counter is a number that is there when its thread
// is, without an initialiser or a destructor.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the same contract, and all memory comes from `System`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract, and all memory comes from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often this thread asks for memory, or for more of it, during each operation.
pub(crate) fn per_operation(
    operations: u64,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let before = COUNT.get();
    work()?;
    Ok((COUNT.get() - before) as f64 / operations as f64)
}
