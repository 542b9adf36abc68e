//! The mps2-an386, as far as the examples under embassy and RTIC use it: what a chip's peripheral access crate would bring.
//!
//! The first timer is the clock of `examples/device`, and the processor's own its watchdog; the second one is free.
#![no_std]

mod pace;
mod timer;

use cortex_m::interrupt::InterruptNumber;

pub use Interrupt as interrupt;
pub use pace::Pace;
pub use timer::{SECOND_TIMER, TICKS_PER_US, Timer, clock_ticks};

/// Bits of an interrupt's priority.
pub const NVIC_PRIO_BITS: u8 = 3;

/// Interrupts by number; those that no example uses are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Interrupt {
    /// The second timer.
    TIMER1 = 9,
}

// SAFETY: each number is that of one interrupt of the chip.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

unsafe extern "C" {
    fn TIMER1();
}

/// An entry of the vector table.
#[repr(C)]
pub union Vector {
    handler: unsafe extern "C" fn(),
    reserved: u32,
}

const NONE: Vector = Vector { reserved: 0 };

/// The interrupts' part of the vector table; cortex-m-rt has the processor's own.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [Vector; 32] = {
    let mut table = [NONE; 32];
    table[Interrupt::TIMER1 as usize] = Vector { handler: TIMER1 };
    table
};
