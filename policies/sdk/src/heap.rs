//! The heap of a policy.
//!
//! Each call has an instance of its own, which is thrown away with all that is in it. So memory is handed out from its beginning to its
//! end, and only the last piece is ever taken back or grown in place, which is what a growing list or text wants. Against the
//! allocator of the standard library that is a third of the instructions of a call, and some kilobytes of a component.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::cell::Cell;

const PAGE_BYTES: usize = 1 << 16;

/// The memory grows by so many pages at least.
const LEAST_PAGES: usize = 4;

#[global_allocator]
static HEAP: Heap = Heap { next: Cell::new(0), end: Cell::new(0) };

struct Heap {
    /// The first byte that is free; 0 before anything was handed out.
    next: Cell<usize>,
    /// The end of the memory.
    end: Cell<usize>,
}

// SAFETY: an instance has one thread.
#[allow(unsafe_code)]
unsafe impl Sync for Heap {}

impl Heap {
    /// So many bytes from `start` on, which is free; false if there is no room.
    fn take(&self, start: usize, bytes: usize) -> bool {
        let Some(next) = start.checked_add(bytes) else { return false };
        let missing = next.saturating_sub(self.end.get());
        if missing > 0 {
            let pages = missing.div_ceil(PAGE_BYTES).max(LEAST_PAGES);
            if memory_grow::<0>(pages) == usize::MAX {
                return false;
            }
            self.end.set(memory_size::<0>() * PAGE_BYTES);
        }
        self.next.set(next);
        true
    }
}

// SAFETY: pieces lie behind one another in memory that nobody else uses: the linker puts `__heap_base` behind all else, and what is
// grown belongs to whoever grows it. A piece is given once, unless it was the last one and has been given back.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe extern "C" {
            static __heap_base: u8;
        }
        if self.next.get() == 0 {
            self.next.set((&raw const __heap_base).addr());
            self.end.set(memory_size::<0>() * PAGE_BYTES);
        }
        let start = self.next.get().next_multiple_of(layout.align());
        if self.take(start, layout.size()) {
            std::ptr::with_exposed_provenance_mut(start)
        } else {
            std::ptr::null_mut()
        }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if start.addr() + layout.size() == self.next.get() {
            self.next.set(start.addr());
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if start.addr() + layout.size() == self.next.get() {
            return if self.take(start.addr(), bytes) { start } else { std::ptr::null_mut() };
        }
        if bytes <= layout.size() {
            return start;
        }
        // SAFETY: the caller promises that both sizes and the alignment make layouts, and that `start` has the first.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(start, layout.size());
            }
            moved
        }
    }
}
