//! NOR flash that outlives the emulator: QEMU maps the host's file into memory at its start, from where it is read; what is
//! written or erased goes into that file as well.

use core::ops::Range;
use core::slice;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use semihosting::fs::File;
use semihosting::io::{Seek, SeekFrom, Write};

use crate::board::BOARD;
use crate::layout::{SECTOR, Stop};
use crate::power;

/// Written at once.
const WORD: usize = 8;

/// A region of the flash.
pub struct Region {
    cells: &'static mut [u8],
    /// Where it begins in the file.
    start: usize,
    file: File,
}

impl Region {
    /// Opens a region; called once for each.
    pub fn open(range: Range<usize>) -> Self {
        let first = (BOARD.flash + range.start) as *mut u8;
        Self {
            // SAFETY: RAM of the board that QEMU has filled; the regions do not overlap, and each is opened once.
            cells: unsafe { slice::from_raw_parts_mut(first, range.len()) },
            start: range.start,
            file: File::options().read(true).write(true).open(c"flash.bin").expect("flash.bin"),
        }
    }

    /// Everything in the region.
    #[allow(dead_code, reason = "by the boot loader")]
    pub fn cells(&self) -> &[u8] {
        self.cells
    }

    /// Changes cells, in memory and in the file, unless the power fails in the middle of it.
    fn change(&mut self, range: Range<usize>, new: impl Fn(usize, u8) -> u8) {
        let reached = power::reaches(range.len());
        let cells = &mut self.cells[range.start..][..reached];
        for (at, cell) in cells.iter_mut().enumerate() {
            *cell = new(at, *cell);
        }
        let at = SeekFrom::Start((self.start + range.start) as u64);
        self.file.seek(at).and_then(|_| self.file.write_all(cells)).expect("flash.bin is written");
        if reached < range.len() {
            power::stop(Stop::PowerLost)
        }
    }
}

impl ErrorType for Region {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Region {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.cells[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.cells.len()
    }
}

impl NorFlash for Region {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.change(from as usize..to as usize, |_, _| 0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let start = offset as usize;
        self.change(start..start + bytes.len(), |at, cell| cell & bytes[at]);
        Ok(())
    }
}
