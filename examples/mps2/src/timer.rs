//! The two timers, which count down, are reloaded at zero, and then ask for their interrupt.

/// Both timers count at 25 MHz.
pub const TICKS_PER_US: u32 = 25;

const CLOCK_VALUE: *const u32 = 0x4000_0004 as *const u32;

/// The second timer; it belongs to one driver.
pub const SECOND_TIMER: Timer = Timer { registers: 0x4000_1000 };

/// A timer.
pub struct Timer {
    registers: usize,
}

const CONTROL: usize = 0x0;
const VALUE: usize = 0x4;
const RELOAD: usize = 0x8;
const CLEAR: usize = 0xc;

const ENABLE: u32 = 1;
const INTERRUPT: u32 = 1 << 3;

impl Timer {
    /// Asks for the interrupt in so many ticks, and again after as many more.
    pub fn every(&self, ticks: u32) {
        self.write(CONTROL, 0);
        self.write(RELOAD, ticks);
        self.write(VALUE, ticks);
        self.write(CONTROL, ENABLE | INTERRUPT);
    }

    /// Takes back its asking for the interrupt; called by the handler.
    pub fn acknowledge(&self) {
        self.write(CLEAR, 1);
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: registers of a timer, which do no more than make it count.
        unsafe { ((self.registers + register) as *mut u32).write_volatile(value) }
    }
}

/// Ticks of the first timer, which `time::start` of `examples/device` has started; they begin again every 171 s.
pub fn clock_ticks() -> u32 {
    // SAFETY: reading the register has no effect.
    u32::MAX - unsafe { CLOCK_VALUE.read_volatile() }
}
