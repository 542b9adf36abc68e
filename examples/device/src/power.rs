//! The power: it fails at the write to flash that the command line of the boot loader names.
//!
//! Two words of RAM keep count over both programs. QEMU starts with zeros there, and no program clears them.

use semihosting::{println, process};

use crate::board::BOARD;
use crate::layout::Stop;

const WRITES: *mut u32 = BOARD.power as *mut u32;
const LAST_WRITE: *mut u32 = (BOARD.power + 4) as *mut u32;

/// Switches the power on, to fail at this write; called by the boot loader.
#[allow(dead_code, reason = "by the boot loader")]
pub fn on(last_write: Option<u32>) {
    // SAFETY: RAM that nothing else uses, and there is one thread.
    unsafe { LAST_WRITE.write_volatile(last_write.unwrap_or(u32::MAX)) }
}

/// How much of a write of `len` bytes reaches the cells; less than all, and the power fails.
pub fn reaches(len: usize) -> usize {
    // SAFETY: as above.
    let (write, last) = unsafe { (WRITES.read_volatile(), LAST_WRITE.read_volatile()) };
    // SAFETY: as above.
    unsafe { WRITES.write_volatile(write + 1) }
    // Nothing, a third or two thirds: half a word, half a page, or half a sector.
    if write == last { len * (write as usize % 3) / 3 } else { len }
}

/// Stops the processor.
pub fn stop(why: Stop) -> ! {
    // SAFETY: as above.
    println!("stop: {why:?} writes={}", unsafe { WRITES.read_volatile() });
    process::exit(why as i32)
}
