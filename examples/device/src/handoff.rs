//! What the boot loader tells the application: which slot it has started. A product whose images run where they lie knows by its
//! own address.

use whittle_patcher_nostd::SlotId;

use crate::board::BOARD;

const TOLD: *mut u32 = BOARD.handoff as *mut u32;

/// By slot; nothing that RAM holds by itself, in case an older boot loader tells nothing.
const WORDS: [(SlotId, u32); 2] = [(SlotId::A, 0x510f_000a), (SlotId::B, 0x510f_000b)];

/// Told by the boot loader.
#[allow(dead_code, reason = "by the boot loader")]
pub fn tell(slot: SlotId) {
    for (_, word) in WORDS.iter().filter(|(of, _)| *of == slot) {
        // SAFETY: RAM that nothing else uses, and there is one thread.
        unsafe { TOLD.write_volatile(*word) }
    }
}

/// The slot that runs, if the boot loader has told.
#[allow(dead_code, reason = "by the application")]
pub fn slot() -> Option<SlotId> {
    // SAFETY: as above.
    let told = unsafe { TOLD.read_volatile() };
    WORDS.iter().find(|(_, word)| *word == told).map(|(slot, _)| *slot)
}
