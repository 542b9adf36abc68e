//! Flash that is erased and written in the background, as most chips do it: the driver asks, and awaits the end.

use core::ops::Range;

use embassy_time::Timer;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash as _, NorFlashErrorKind, ReadNorFlash as Read,
};
use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};

use crate::flash::Region;
use crate::layout::SECTOR;

/// How long a sector is busy; a real one is for some 40 ms.
const ERASE_US: u64 = 500;
const WRITE_US: u64 = 50;

/// A region of the flash.
pub struct Background(Region);

impl Background {
    /// Opens a region; called once for each.
    pub fn open(range: Range<usize>) -> Self {
        Self(Region::open(range))
    }
}

impl ErrorType for Background {
    type Error = NorFlashErrorKind;
}

/// It is mapped into memory, so reading is waited for.
impl Read for Background {
    const READ_SIZE: usize = Region::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl ReadNorFlash for Background {
    const READ_SIZE: usize = Region::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl NorFlash for Background {
    const WRITE_SIZE: usize = Region::WRITE_SIZE;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.0.erase(from, to)?;
        let sectors = u64::from(to - from) / SECTOR as u64;
        Timer::after_micros(sectors * ERASE_US).await;
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.0.write(offset, bytes)?;
        Timer::after_micros(WRITE_US).await;
        Ok(())
    }
}
