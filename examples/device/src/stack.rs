//! The stack's high-water mark: paint what is free, run, and look how far the paint is gone.

use core::ptr;

const PAINT: u32 = 0xc5c5_c5c5;

/// How much stack is painted; deeper use is reported as this much.
const DEPTH_BYTES: usize = 64 * 1024;

/// Left unpainted below the current frame.
const MARGIN_BYTES: usize = 256;

/// The stack below a point in time.
pub struct Painted {
    top: usize,
}

impl Painted {
    /// Paints the free stack.
    #[inline(never)]
    pub fn new() -> Self {
        let here = 0u32;
        let top = (&raw const here as usize - MARGIN_BYTES) & !3;
        for address in (top - DEPTH_BYTES..top).step_by(4) {
            // SAFETY: free stack below the current frame; both boards have far more of it.
            unsafe { ptr::write_volatile(address as *mut u32, PAINT) }
        }
        Self { top }
    }

    /// Bytes that have been used since, at most.
    #[inline(never)]
    pub fn used(&self) -> usize {
        let mut address = self.top - DEPTH_BYTES;
        // SAFETY: as above.
        while address < self.top && unsafe { ptr::read_volatile(address as *const u32) } == PAINT {
            address += 4;
        }
        self.top - address + MARGIN_BYTES
    }
}
