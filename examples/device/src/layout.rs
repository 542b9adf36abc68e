//! Where everything lies, and what the exit codes mean: written once, for the firmware, its linker and the test.

use core::ops::Range;

/// Erased at once.
pub const SECTOR: usize = 4096;

// The flash, by offset. Two sectors are the least that a journal lives in: it moves from one to the other.
pub const JOURNAL: Range<usize> = 0..0x2000;
pub const SLOT_A: Range<usize> = 0x2000..0x2_2000;
pub const SLOT_B: Range<usize> = 0x2_2000..0x4_2000;
pub const STAGING: Range<usize> = 0x4_2000..0x6_2000;
pub const FLASH_BYTES: usize = STAGING.end;

/// Where a program is linked to.
pub struct Memory {
    pub code: Range<usize>,
    pub ram: Range<usize>,
}

/// A board's memory.
pub struct Board {
    pub boot_loader: Memory,
    /// The boot loader copies the application here from either slot, so one image fits both.
    pub application: Memory,
    /// Two words that no program clears: see `power.rs`.
    pub power: usize,
    /// One more: see `handoff.rs`.
    pub handoff: usize,
    /// QEMU maps the file that stands for the flash here, to be read.
    pub flash: usize,
}

/// QEMU's mps2-an386, a Cortex-M4.
pub const MPS2: Board = Board {
    boot_loader: Memory { code: 0..0x2_0000, ram: 0x2000_0000..0x2004_0000 },
    application: Memory { code: 0x2010_0000..0x2011_ff00, ram: 0x2020_0000..0x2024_0000 },
    power: 0x2100_0000,
    handoff: 0x2100_0008,
    flash: 0x2101_0000,
};

/// QEMU's riscv32 virt.
pub const VIRT: Board = Board {
    boot_loader: Memory { code: 0x8000_0000..0x8002_0000, ram: 0x8010_0000..0x8014_0000 },
    application: Memory { code: 0x8020_0000..0x8021_ff00, ram: 0x8030_0000..0x8034_0000 },
    power: 0x8100_0000,
    handoff: 0x8100_0008,
    flash: 0x8101_0000,
};

/// Why the processor stopped; the code with which QEMU ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The thermostat has nothing more to do.
    Over = 0,
    /// Software asked for a reset.
    Software = 10,
    /// The watchdog was not fed.
    Watchdog = 11,
    /// No slot holds an image that may boot.
    Recovery = 12,
    /// The power failed.
    PowerLost = 13,
}

impl Stop {
    pub const ALL: [Self; 5] =
        [Self::Over, Self::Software, Self::Watchdog, Self::Recovery, Self::PowerLost];
}
