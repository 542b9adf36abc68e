//! Where QEMU puts the inputs, and how each board starts.

// Linked for its critical section.
#[cfg(target_arch = "arm")]
use cortex_m as _;
use whittle_patcher_nostd::PublicKey;

#[cfg(target_arch = "arm")]
const INPUTS: usize = 0x2010_0000;
#[cfg(target_arch = "riscv32")]
const INPUTS: usize = 0x8100_0000;

const BASE: usize = INPUTS + 0x1_0000;
const PACKAGE: usize = INPUTS + 0x9_0000;
const TARGET: usize = INPUTS + 0x11_0000;
const SLOT_BYTES: usize = 0x8_0000;

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

/// What the test hands in: a block of parameters, little-endian.
///
/// ```text
/// 0 4 base length   4 4 package length   8 4 chunk length   12 4 security counter   16 32 public key
/// ```
pub struct Inputs {
    /// The image that "runs" now.
    pub base: &'static [u8],
    /// The package as it was downloaded.
    pub package: &'static [u8],
    /// How many bytes the radio delivers at a time.
    pub chunk_len: usize,
    /// The device's security counter.
    pub security_counter: u32,
    /// The trusted key.
    pub key: PublicKey,
}

impl Inputs {
    /// Reads the parameter block.
    pub fn find() -> Self {
        let number = |offset: usize| u32::from_le_bytes(bytes(INPUTS + offset));
        Self {
            base: region(BASE, number(0) as usize),
            package: region(PACKAGE, number(4) as usize),
            chunk_len: number(8) as usize,
            security_counter: number(12),
            key: bytes(INPUTS + 16),
        }
    }
}

/// The memory that stands for the target slot.
pub fn target_slot() -> &'static mut [u8] {
    // SAFETY: RAM of the board that nothing else uses; taken once, by `update`.
    unsafe { core::slice::from_raw_parts_mut(TARGET as *mut u8, SLOT_BYTES) }
}

fn region(address: usize, len: usize) -> &'static [u8] {
    // SAFETY: RAM of the board that QEMU has filled before the start and nobody writes to.
    unsafe { core::slice::from_raw_parts(address as *const u8, len.min(SLOT_BYTES)) }
}

fn bytes<const N: usize>(address: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(region(address, N));
    bytes
}
