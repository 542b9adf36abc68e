//! Regions of one flash chip, for devices that keep several things on it.

use core::cell::RefCell;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError as _, NorFlashErrorKind, ReadNorFlash, check_erase,
    check_read, check_write,
};

/// A stretch of a flash chip; a copy is the same stretch.
#[derive(Debug)]
pub struct Partition<'f, F> {
    flash: &'f RefCell<F>,
    offset: u32,
    len: u32,
}

impl<F> Clone for Partition<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Partition<'_, F> {}

impl<'f, F: NorFlash> Partition<'f, F> {
    /// The stretch of `len` bytes at `offset`; `None` unless it is whole sectors within the chip.
    #[must_use]
    pub fn new(flash: &'f RefCell<F>, offset: u32, len: u32) -> Option<Self> {
        let end = offset.checked_add(len)?;
        let chip = flash.try_borrow().ok()?;
        check_erase(&*chip, offset, end).ok()?;
        Some(Self { flash, offset, len })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut F) -> Result<T, F::Error>,
    ) -> Result<T, NorFlashErrorKind> {
        // Nobody keeps the chip borrowed between two accesses.
        let mut chip = self.flash.try_borrow_mut().map_err(|_| NorFlashErrorKind::Other)?;
        work(&mut chip).map_err(|error| error.kind())
    }
}

impl<F> ErrorType for Partition<'_, F> {
    type Error = NorFlashErrorKind;
}

impl<F: NorFlash> ReadNorFlash for Partition<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let at = self.offset.saturating_add(offset);
        self.with(|chip| chip.read(at, bytes))
    }

    fn capacity(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }
}

impl<F: NorFlash> NorFlash for Partition<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        let (from, to) = (self.offset.saturating_add(from), self.offset.saturating_add(to));
        self.with(|chip| chip.erase(from, to))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let at = self.offset.saturating_add(offset);
        self.with(|chip| chip.write(at, bytes))
    }
}
