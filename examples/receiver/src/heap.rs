//! The heap of the `zstd` codec.

use core::mem::MaybeUninit;

use embedded_alloc::LlffHeap;

const HEAP_BYTES: usize = 640 * 1024;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

static mut MEMORY: [MaybeUninit<u8>; HEAP_BYTES] = [MaybeUninit::uninit(); HEAP_BYTES];

/// Hands the heap its memory; called once, before anything is allocated.
pub fn init() {
    // SAFETY: called once, and nothing else names the memory.
    unsafe { HEAP.init(&raw mut MEMORY as usize, HEAP_BYTES) }
}
