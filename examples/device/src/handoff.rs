//! What the boot loader tells the application: which slot it has started. A product whose images run where they lie knows by its
//! own address.

use whittle_patcher_nostd::SlotId;

use crate::board::BOARD;

const SLOT: *mut u32 = BOARD.handoff as *mut u32;

/// Told by the boot loader.
#[allow(dead_code, reason = "by the boot loader")]
pub fn tell(slot: SlotId) {
    // SAFETY: RAM that nothing else uses, and there is one thread.
    unsafe { SLOT.write_volatile(slot as u32) }
}

/// The slot that runs.
#[allow(dead_code, reason = "by the application")]
pub fn slot() -> SlotId {
    // SAFETY: as above.
    if unsafe { SLOT.read_volatile() } == SlotId::A as u32 { SlotId::A } else { SlotId::B }
}
