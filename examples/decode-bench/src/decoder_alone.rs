//! The least firmware that decodes: payload and images are slices of memory, and there is one class of tables.
#![no_std]
#![no_main]

mod board;

use core::ptr::addr_of_mut;

use whittle_delta::Decoder;
use whittle_delta::compact::MediumTables;

use board::Inputs;

static mut TABLES: MediumTables = MediumTables::NEW;

/// Whether it worked, for a debugger.
#[used]
static mut IS_DECODED: bool = false;

/// Entered by the boards' start-up code.
fn run() -> ! {
    let mut inputs = Inputs::take();
    // SAFETY: one core, no interrupts, and this function runs once.
    let tables = unsafe { &mut *addr_of_mut!(TABLES) };
    // Used where it was lent: moved, it would bring `memcpy` along.
    let mut memory = tables.lend();
    let decoder = memory.decoder();
    decoder.begin(inputs.sizes);
    let outcome = decoder
        .push(&mut &*inputs.payload, &mut inputs.images)
        .and_then(|_| decoder.finish(&mut inputs.images));
    // SAFETY: as above.
    unsafe { addr_of_mut!(IS_DECODED).write_volatile(outcome.is_ok()) }
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
