//! Flash in memory, as strict as the real thing: for replays and for applying on the host.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Sector size in bytes.
const SECTOR: usize = 4096;

/// Write unit in bytes.
const WORD: usize = 8;

/// A NOR flash region: erased in sectors, written in words, and each word only once.
#[derive(Clone, Debug)]
pub struct RamFlash {
    bytes: Vec<u8>,
    writable: Vec<bool>,
}

impl RamFlash {
    /// A region that holds at least `bytes` bytes, not erased.
    #[must_use]
    pub fn with_room_for(bytes: u32) -> Self {
        let len = usize::try_from(bytes).unwrap_or(usize::MAX).next_multiple_of(SECTOR);
        Self { bytes: vec![0; len], writable: vec![false; len / WORD] }
    }

    /// The first `len` bytes.
    #[must_use]
    pub fn into_image(mut self, len: u32) -> Vec<u8> {
        self.bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        self.bytes
    }
}

impl ErrorType for RamFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for RamFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let start = offset as usize;
        bytes.copy_from_slice(&self.bytes[start..start + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for RamFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        let (from, to) = (from as usize, to as usize);
        self.bytes[from..to].fill(0xff);
        self.writable[from / WORD..to / WORD].fill(true);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        let words = &mut self.writable[start / WORD..end / WORD];
        if !words.iter().all(|writable| *writable) {
            return Err(NorFlashErrorKind::Other);
        }
        words.fill(false);
        self.bytes[start..end].copy_from_slice(bytes);
        Ok(())
    }
}

/// An image that is only read, as memory-mapped flash.
#[derive(Clone, Copy, Debug)]
pub struct MappedImage<'a>(pub &'a [u8]);

impl ErrorType for MappedImage<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for MappedImage<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let start = offset as usize;
        let from = self
            .0
            .get(start..start.saturating_add(bytes.len()))
            .ok_or(NorFlashErrorKind::OutOfBounds)?;
        bytes.copy_from_slice(from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}
