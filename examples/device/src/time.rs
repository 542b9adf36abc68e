//! The time since the reset, and a watchdog that ends a program which does not feed it.
//!
//! The interrupt of a timer stands in for the watchdog. A product's would be started by the boot loader, so that it also
//! ends an application that never reaches its first line.

use crate::layout::Stop;
use crate::power;

/// How long a program may go without feeding the watchdog.
const WATCHDOG_MS: u32 = 100;

/// The board's first timer counts down at 25 MHz, and so does the processor's own.
#[cfg(target_arch = "arm")]
mod imp {
    use cortex_m::peripheral::syst::SystClkSource;
    use cortex_m::peripheral::{Peripherals, SYST};

    const TICKS_PER_MS: u32 = 25_000;
    const CONTROL: *mut u32 = 0x4000_0000 as *mut u32;
    const VALUE: *mut u32 = 0x4000_0004 as *mut u32;
    const RELOAD: *mut u32 = 0x4000_0008 as *mut u32;

    fn processor_timer() -> SYST {
        // SAFETY: nothing else uses it.
        unsafe { Peripherals::steal().SYST }
    }

    pub fn start() {
        // SAFETY: registers of a device that nothing else uses.
        unsafe {
            RELOAD.write_volatile(u32::MAX);
            VALUE.write_volatile(u32::MAX);
            CONTROL.write_volatile(1);
        }
        let mut timer = processor_timer();
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(super::WATCHDOG_MS * TICKS_PER_MS);
        feed();
        timer.enable_interrupt();
        timer.enable_counter();
    }

    pub fn feed() {
        processor_timer().clear_current();
    }

    pub fn now_ms() -> u32 {
        // SAFETY: as above; reading has no effect.
        (u32::MAX - unsafe { VALUE.read_volatile() }) / TICKS_PER_MS
    }

    #[cortex_m_rt::exception]
    fn SysTick() {
        super::bites()
    }
}

/// The machine timer counts up at 10 MHz, and compares.
#[cfg(target_arch = "riscv32")]
mod imp {
    use riscv::interrupt::Interrupt;
    use riscv::register::{mie, mstatus};

    const TICKS_PER_MS: u32 = 10_000;
    const COMPARE_LOW: *mut u32 = 0x0200_4000 as *mut u32;
    const COMPARE_HIGH: *mut u32 = 0x0200_4004 as *mut u32;
    const TIME: *const u32 = 0x0200_bff8 as *const u32;

    pub fn start() {
        feed();
        // SAFETY: the handler below is ready.
        unsafe {
            COMPARE_HIGH.write_volatile(0);
            mie::set_mtimer();
            mstatus::set_mie();
        }
    }

    pub fn feed() {
        // SAFETY: a register of a device that nothing else uses.
        unsafe { COMPARE_LOW.write_volatile(time() + super::WATCHDOG_MS * TICKS_PER_MS) }
    }

    pub fn now_ms() -> u32 {
        time() / TICKS_PER_MS
    }

    /// The lower word: enough for seven minutes.
    fn time() -> u32 {
        // SAFETY: as above; reading has no effect.
        unsafe { TIME.read_volatile() }
    }

    #[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
    fn machine_timer() -> ! {
        super::bites()
    }
}

pub use imp::{feed, now_ms, start};

fn bites() -> ! {
    power::stop(Stop::Watchdog)
}
