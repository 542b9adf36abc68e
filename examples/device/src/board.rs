//! The board, and what happens when a program on it faults.

use crate::layout::Stop;
use crate::power;

#[cfg(target_arch = "arm")]
pub use crate::layout::MPS2 as BOARD;
#[cfg(target_arch = "riscv32")]
pub use crate::layout::VIRT as BOARD;

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
