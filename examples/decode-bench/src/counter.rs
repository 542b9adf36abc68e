//! Counts instructions, under QEMU with `-icount shift=0`: every instruction takes a nanosecond there.

/// Instructions between two readings of the counter, at best.
#[cfg(target_arch = "arm")]
pub const RESOLUTION: u64 = 40;
/// Instructions between two readings of the counter, at best.
#[cfg(target_arch = "riscv32")]
pub const RESOLUTION: u64 = 1;

/// The board's first timer, which counts down at 25 MHz.
#[cfg(target_arch = "arm")]
mod timer {
    pub const CONTROL: *mut u32 = 0x4000_0000 as *mut u32;
    pub const VALUE: *mut u32 = 0x4000_0004 as *mut u32;
    pub const RELOAD: *mut u32 = 0x4000_0008 as *mut u32;
}

/// Starts counting.
#[cfg(target_arch = "arm")]
pub fn start() {
    // SAFETY: registers of a device that nothing else uses.
    unsafe {
        timer::RELOAD.write_volatile(u32::MAX);
        timer::VALUE.write_volatile(u32::MAX);
        timer::CONTROL.write_volatile(1);
    }
}

/// Instructions since the start, up to 1.7 * 10^11 of them.
#[cfg(target_arch = "arm")]
pub fn instructions() -> u64 {
    // SAFETY: as above; reading has no effect.
    u64::from(u32::MAX - unsafe { timer::VALUE.read_volatile() }) * RESOLUTION
}

/// Starts counting.
#[cfg(target_arch = "riscv32")]
pub fn start() {}

/// Instructions since the start.
#[cfg(target_arch = "riscv32")]
pub fn instructions() -> u64 {
    riscv::register::minstret::read64()
}

/// Runs two instructions `iterations` times.
#[inline(never)]
pub fn loop_of_two(iterations: u32) {
    // SAFETY: changes nothing but the register that it is given.
    #[cfg(target_arch = "arm")]
    unsafe {
        core::arch::asm!("2: subs {n}, {n}, #1", "bne 2b", n = inout(reg) iterations => _);
    }
    // SAFETY: as above.
    #[cfg(target_arch = "riscv32")]
    unsafe {
        core::arch::asm!("2: addi {n}, {n}, -1", "bnez {n}, 2b", n = inout(reg) iterations => _);
    }
}
