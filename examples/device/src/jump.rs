//! How the boot loader leaves for the application.

use crate::board::BOARD;

/// Copies an image to where it is linked to, and starts it.
///
/// # Safety
/// The image must be the application's: what it does is out of our hands.
pub unsafe fn to(image: &[u8]) -> ! {
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
