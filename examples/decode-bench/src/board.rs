//! Where QEMU puts the inputs, how each board starts, and how it counts instructions.

#[cfg(target_arch = "riscv32")]
use riscv as _;
use whittle_delta::{Images, Sizes};

#[cfg(target_arch = "arm")]
const INPUTS: usize = 0x2100_0000;
#[cfg(target_arch = "riscv32")]
const INPUTS: usize = 0x8100_0000;

const BASE: usize = INPUTS + 0x1_0000;
const PAYLOAD: usize = INPUTS + 0x60_0000;
const TARGET: usize = INPUTS + 0xa0_0000;

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

/// What the host hands in; the parameter block is three numbers, little-endian.
///
/// ```text
/// 0 4 base length   4 4 target length   8 4 payload length
/// ```
pub struct Inputs {
    /// Of base, target and payload.
    pub sizes: Sizes,
    /// What is decoded.
    pub payload: &'static [u8],
    /// What it is decoded with.
    pub images: Mapped,
}

impl Inputs {
    /// Takes the inputs; called once.
    pub fn take() -> Self {
        let number = |offset: usize| {
            // SAFETY: RAM of the board that QEMU has filled before the start and nobody writes to.
            unsafe { ((INPUTS + offset) as *const u32).read_volatile() }
        };
        let sizes = Sizes { base: number(0), target: number(4), payload: number(8) };
        // SAFETY: as above; the host keeps the lengths within the regions.
        let region = |address: usize, len: u32| unsafe {
            core::slice::from_raw_parts(address as *const u8, len as usize)
        };
        // SAFETY: RAM of the board that nothing else uses; taken once.
        let target =
            unsafe { core::slice::from_raw_parts_mut(TARGET as *mut u8, sizes.target as usize) };
        let images = Mapped { base: region(BASE, sizes.base), target, written: 0 };
        Self { sizes, payload: region(PAYLOAD, sizes.payload), images }
    }
}

/// Images that lie in memory.
pub struct Mapped {
    base: &'static [u8],
    target: &'static mut [u8],
    written: usize,
}

impl Mapped {
    /// What has been decoded.
    #[allow(dead_code, reason = "by the firmware that hands it out")]
    pub fn decoded(&self) -> &[u8] {
        self.target.get(..self.written).unwrap_or_default()
    }

    /// Clears what has been decoded.
    #[allow(dead_code, reason = "by the firmware without a decoder")]
    pub fn clear(&mut self) {
        self.target.fill(0);
        self.written = 0;
    }
}

/// An access outside an image.
#[derive(Debug)]
pub struct Outside;

impl core::fmt::Display for Outside {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("outside the image")
    }
}

impl Images for Mapped {
    type Error = Outside;

    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Outside> {
        copy(self.base, offset, into)
    }

    fn read_target(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Outside> {
        copy(self.target, offset, into)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Outside> {
        let rest = self.target.get_mut(self.written..).ok_or(Outside)?;
        rest.get_mut(..bytes.len()).ok_or(Outside)?.copy_from_slice(bytes);
        self.written += bytes.len();
        Ok(())
    }
}

fn copy(image: &[u8], offset: u32, into: &mut [u8]) -> Result<(), Outside> {
    let found = image.get(offset as usize..).and_then(|rest| rest.get(..into.len()));
    into.copy_from_slice(found.ok_or(Outside)?);
    Ok(())
}
