//! The boot loader: chooses a slot, copies its image to RAM, and jumps.
//!
//! It is small because it decides nothing: `Updater::boot` counts the boot, and returns only an image whose signature and
//! hash it has checked. Command line: the cause of the reset, and at which write to flash the power fails.
#![no_std]
#![no_main]

mod board;
mod device;
mod entry;
mod flash;
mod handoff;
mod jump;
mod key;
#[allow(dead_code, reason = "the linker and the application use the rest")]
mod layout;
mod power;
mod stack;

use semihosting::experimental::env;
use semihosting::println;
use whittle_patcher_nostd::{Boot, ResetCause, SlotId, VerifiedManifest, any_signed_slot};

use device::{DEVICE, Flash, KEYS};
use layout::Stop;

/// Entered by the boards' start-up code.
fn run() -> ! {
    let cause = power_comes();
    let mut flash = Flash::open();
    let stack = stack::Painted::new();
    let chosen = choose(&mut flash, cause);
    println!("boot loader: stack_bytes={}", stack.used());
    let Some((slot, manifest)) = chosen else {
        // A product would listen on its serial port now.
        println!("boot loader: cause={cause:?} recovery");
        power::stop(Stop::Recovery)
    };
    let version = core::str::from_utf8(manifest.target_version.as_bytes()).unwrap_or("?");
    println!("boot loader: cause={cause:?} slot={slot:?} version={version}");
    handoff::tell(slot);
    let [a, b] = &flash.slots;
    let slot = if slot == SlotId::A { a } else { b };
    // SAFETY: a key that we trust signed these bytes as the application of this device.
    unsafe { jump::to(&slot.cells()[..manifest.target_size as usize]) }
}

/// The image to start; none if there is none left.
#[inline(never)]
fn choose(flash: &mut Flash, cause: ResetCause) -> Option<(SlotId, VerifiedManifest)> {
    let booted = flash.updater().and_then(|mut updater| updater.boot(cause));
    match booted {
        Ok(Boot::Slot(slot, manifest)) => Some((slot, manifest)),
        Ok(Boot::Recovery) => None,
        // Without a journal nobody knows about trials and counters, but a signed image is better than a brick.
        Err(error) => {
            println!("boot loader: {error}");
            any_signed_slot(&DEVICE, &KEYS, &mut flash.slots)
        }
    }
}

/// Reads the command line, in place of the chip's register for the cause of a reset.
fn power_comes() -> ResetCause {
    let (mut cause, mut last_write) = (ResetCause::Unknown, None);
    let arguments = env::args::<64>().expect("a command line");
    for word in (&arguments).flatten() {
        match word {
            "power-on" => cause = ResetCause::PowerOn,
            "software" => cause = ResetCause::Software,
            "watchdog" => cause = ResetCause::Watchdog,
            number => last_write = number.parse().ok().or(last_write),
        }
    }
    power::on(last_write);
    cause
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("boot loader: panics: {}", info.message());
    power::stop(Stop::Software)
}
