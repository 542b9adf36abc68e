//! A board that is never built: flash that is mapped into memory, and registers from which everything else comes, so that the
//! compiler can foresee nothing.

use core::panic::PanicInfo;
use core::ptr::addr_of_mut;

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashErrorKind, ReadNorFlash,
};

use crate::device::Memory;

const INPUT: *const u32 = 0x4000_0000 as *const u32;
const OUTPUT: *mut u32 = 0x4000_0004 as *mut u32;
const ERASE: *mut u32 = 0x4000_0008 as *mut u32;
const STATUS: *const u32 = 0x4000_000c as *const u32;

/// Whatever comes from outside.
pub fn input() -> u32 {
    // SAFETY: a register that can be read at any time.
    unsafe { INPUT.read_volatile() }
}

/// Keeps the compiler from leaving out what led to it.
pub fn output(value: u32) {
    // SAFETY: a register that can be written at any time.
    unsafe { OUTPUT.write_volatile(value) }
}

/// Fills a buffer from outside; returns what has come, which may be less.
pub fn receive(buffer: &mut [u8]) -> &[u8] {
    for byte in &mut *buffer {
        *byte = input().to_le_bytes()[0];
    }
    buffer.get(..input() as usize).unwrap_or_default()
}

/// A region of the flash.
#[derive(Clone, Copy)]
pub struct Region {
    address: usize,
    len: u32,
}

impl Region {
    /// The region of this number.
    pub const fn new(number: usize) -> Self {
        Self { address: 0x0800_0000 + number * 0x4_0000, len: 0x4_0000 }
    }

    fn check(&self, offset: u32, len: usize) -> Result<usize, NorFlashErrorKind> {
        let len = u32::try_from(len).map_err(|_| NorFlashErrorKind::OutOfBounds)?;
        let end = offset.checked_add(len).ok_or(NorFlashErrorKind::OutOfBounds)?;
        if end > self.len {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        Ok(self.address.wrapping_add(offset as usize))
    }
}

/// Waits until the controller is done.
fn wait() -> Result<(), NorFlashErrorKind> {
    loop {
        // SAFETY: a register that can be read at any time.
        match unsafe { STATUS.read_volatile() } {
            0 => return Ok(()),
            1 => {}
            _ => return Err(NorFlashErrorKind::Other),
        }
    }
}

impl ErrorType for Region {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Region {
    const READ_SIZE: usize = crate::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let from = self.check(offset, bytes.len())? as *const u8;
        // SAFETY: flash that is mapped there, within the region.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.len as usize
    }
}

impl NorFlash for Region {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        for sector in (from..to).step_by(Self::ERASE_SIZE) {
            let address = self.check(sector, Self::ERASE_SIZE)?;
            // SAFETY: a register that takes the address of a sector.
            unsafe { ERASE.write_volatile(address as u32) };
            wait()?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let mut to = self.check(offset, bytes.len())?;
        for byte in bytes {
            // SAFETY: flash that takes bytes where it is mapped, within the region.
            unsafe { (to as *mut u8).write_volatile(*byte) };
            to = to.wrapping_add(1);
        }
        wait()
    }
}

impl MultiwriteNorFlash for Region {}

static mut MEMORY: Memory = Memory::NEW;

/// Where the linker begins to look for what is used.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    #[cfg(feature = "deliberate-panic")]
    output([1, 2, 3][input() as usize]);
    // SAFETY: one core, no interrupts, and this function runs once.
    crate::run(unsafe { &mut *addr_of_mut!(MEMORY) });
    loop {
        core::hint::spin_loop();
    }
}

/// A program that can panic is not linked: what this calls is nowhere.
#[cfg(not(feature = "ed25519"))]
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn device_code_can_panic() -> !;
    }
    // SAFETY: never linked.
    unsafe { device_code_can_panic() }
}

#[cfg(feature = "ed25519")]
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
