//! The same firmware without the decoder: what start-up, vectors, reading the parameters, and copying and clearing memory
//! take.
#![no_std]
#![no_main]

mod board;

use core::ptr::addr_of_mut;

use board::Inputs;
use whittle_delta::Images;

/// Keeps the inputs in use.
#[used]
static mut BYTES: usize = 0;

/// Words that are copied and cleared.
static mut WORDS: [u32; 64] = [0; 64];

/// Entered by the boards' start-up code.
fn run() -> ! {
    let mut inputs = Inputs::take();
    // Every firmware copies and clears bytes and words of some length; that is not the decoder's to pay for.
    let is_copied = inputs.images.append(inputs.payload).is_ok();
    inputs.images.clear();
    // SAFETY: one core, no interrupts, and this function runs once.
    let (words, rest) = unsafe { &mut *addr_of_mut!(WORDS) }.split_at_mut(32);
    let len = inputs.sizes.base as usize % 32;
    if let (Some(to), Some(from)) = (words.get_mut(..len), rest.get_mut(..len)) {
        to.copy_from_slice(from);
        from.fill(0);
    }
    // SAFETY: one core, no interrupts, and this function runs once.
    unsafe {
        addr_of_mut!(BYTES).write_volatile(usize::from(is_copied));
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
