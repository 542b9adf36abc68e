//! NOR flash emulated in RAM: erases to ones in sectors, and writing only clears bits.

use core::sync::atomic::{AtomicU32, Ordering};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

const SECTOR: usize = 4096;
const WORD: usize = 4;

static WRITES: AtomicU32 = AtomicU32::new(0);

/// Writes and erases so far.
pub fn writes() -> u32 {
    WRITES.load(Ordering::Relaxed)
}

fn count() {
    // Load and store, as Cortex-M0 and riscv32imc have no atomic addition; there is one thread.
    WRITES.store(WRITES.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// A region of emulated flash.
pub enum EmulatedFlash {
    /// Holds the running image.
    Base(&'static [u8]),
    /// Takes the new one.
    Slot(&'static mut [u8]),
}

impl EmulatedFlash {
    /// A region that is only read.
    pub fn base(image: &'static [u8]) -> Self {
        Self::Base(image)
    }

    /// A region in which nothing is erased yet.
    pub fn slot(memory: &'static mut [u8]) -> Self {
        memory.fill(0x5a);
        Self::Slot(memory)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// The first `size` bytes.
    pub fn image(&self, size: u32) -> &[u8] {
        &self.bytes()[..size as usize]
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Base(bytes) => bytes,
            Self::Slot(bytes) => bytes,
        }
    }

    fn cells(&mut self) -> Result<&mut [u8], NorFlashErrorKind> {
        match self {
            Self::Base(_) => Err(NorFlashErrorKind::Other),
            Self::Slot(bytes) => Ok(bytes),
        }
    }
}

impl ErrorType for EmulatedFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for EmulatedFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.bytes()[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.len()
    }
}

impl NorFlash for EmulatedFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        count();
        self.cells()?[from as usize..to as usize].fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        count();
        for (cell, byte) in self.cells()?[offset as usize..].iter_mut().zip(bytes) {
            *cell &= byte;
        }
        Ok(())
    }
}
