//! The same firmware without the decoder: what start-up, vectors and reading the parameters take.
#![no_std]
#![no_main]

mod board;

use core::ptr::addr_of_mut;

use board::Inputs;

/// Keeps the inputs in use.
#[used]
static mut BYTES: usize = 0;

/// Entered by the boards' start-up code.
fn run() -> ! {
    let inputs = Inputs::take();
    // SAFETY: one core, no interrupts, and this function runs once.
    unsafe {
        addr_of_mut!(BYTES).write_volatile(inputs.payload.len());
        addr_of_mut!(BYTES).write_volatile(inputs.sizes.base as usize);
        addr_of_mut!(BYTES).write_volatile(inputs.images.decoded().len());
    }
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
