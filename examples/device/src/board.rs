//! What differs between the boards: how a program begins, and how the boot loader leaves for the application.

use crate::layout::Stop;
use crate::power;

#[cfg(target_arch = "arm")]
pub use crate::layout::MPS2 as BOARD;
#[cfg(target_arch = "riscv32")]
pub use crate::layout::VIRT as BOARD;

#[cfg(target_arch = "arm")]
#[cortex_m_rt::entry]
fn main() -> ! {
    crate::run()
}

#[cfg(target_arch = "riscv32")]
#[riscv_rt::entry]
fn main() -> ! {
    crate::run()
}

/// A fault resets the processor as a panic does: an image on trial that faults has crashed.
#[cfg(target_arch = "arm")]
#[cortex_m_rt::exception]
unsafe fn HardFault(_: &cortex_m_rt::ExceptionFrame) -> ! {
    power::stop(Stop::Software)
}

/// A fault resets the processor as a panic does: an image on trial that faults has crashed.
#[cfg(target_arch = "riscv32")]
#[unsafe(export_name = "ExceptionHandler")]
fn exception(_: &riscv_rt::TrapFrame) -> ! {
    power::stop(Stop::Software)
}

/// Copies an image to where it is linked to, and starts it.
///
/// # Safety
/// The image must be the application's: what it does is out of our hands.
#[allow(dead_code, reason = "by the boot loader")]
pub unsafe fn start(image: &[u8]) -> ! {
    let address = BOARD.application.code.start;
    // SAFETY: RAM of the board that is set aside for this.
    unsafe { core::ptr::copy_nonoverlapping(image.as_ptr(), address as *mut u8, image.len()) }
    // SAFETY: the image begins with its vector table, which tells its stack and its entry.
    #[cfg(target_arch = "arm")]
    unsafe {
        (*cortex_m::peripheral::SCB::PTR).vtor.write(address as u32);
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
        cortex_m::asm::bootload(address as *const u32)
    }
    // SAFETY: the image begins with its entry, which sets up a stack.
    #[cfg(target_arch = "riscv32")]
    unsafe {
        core::arch::asm!("fence.i", "jr {}", in(reg) address, options(noreturn))
    }
}
