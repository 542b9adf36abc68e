//! What a device with two slots does from its boot to the commit of an update: a boot loader and an application in one.
#![no_std]
#![no_main]

mod board;
mod device;
#[cfg(target_arch = "arm")]
mod memory;
mod verifier;

use whittle_patcher_nostd::any_signed_slot;

use board::output;
use device::{DEVICE, Memory, SLOTS};
use verifier::VERIFIER;

/// Of the flash, in bytes.
const READ_SIZE: usize = 1;

/// Called by the board.
fn run(memory: &mut Memory) {
    if device::open().and_then(|mut updater| device::update(&mut updater, memory)).is_err() {
        // A boot loader without a journal.
        let found = any_signed_slot(&DEVICE, &VERIFIER, &mut SLOTS.clone());
        output(found.map_or(2, |(slot, _)| slot as u32));
    }
}
