//! NOR flash in memory: writing can only clear bits, erasing sets whole sectors, and everything is counted.
//!
//! For firmware teams' own tests as well as ours: [`SimFlash`] implements `embedded-storage`'s `NorFlash` with the
//! geometry as const parameters, and tells afterwards what was done to it.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// What the simulator refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimError {
    /// Out of bounds or not aligned.
    Geometry(NorFlashErrorKind),
    /// A write would have had to set a bit: the sector was not erased.
    NotErased {
        /// Offset of the first such byte.
        offset: u32,
    },
    /// The armed fault struck.
    Fault,
}

impl NorFlashError for SimError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Geometry(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// One access that changed the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A sector was erased.
    Erase {
        /// Its offset.
        offset: u32,
    },
    /// Bytes were written.
    Write {
        /// Where.
        offset: u32,
        /// How many.
        len: usize,
    },
}

/// A flash region with write units of `WRITE` and sectors of `ERASE` bytes; it reads in units of `READ`.
#[derive(Clone, Debug)]
pub struct SimFlash<const READ: usize, const WRITE: usize, const ERASE: usize> {
    bytes: Vec<u8>,
    log: Vec<Access>,
    /// Written bytes read back with this bit flipped at this offset.
    stuck_bit: Option<(u32, u8)>,
    accesses_until_fault: Option<usize>,
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> SimFlash<READ, WRITE, ERASE> {
    /// A region of whole sectors that holds at least `len` bytes, full of an old image's remains.
    #[must_use]
    pub fn used(len: usize) -> Self {
        let bytes = vec![0x5a; len.next_multiple_of(ERASE)];
        Self { bytes, log: Vec::new(), stuck_bit: None, accesses_until_fault: None }
    }

    /// A region that holds this image, padded with erased bytes.
    #[must_use]
    pub fn holding(image: &[u8]) -> Self {
        let mut flash = Self::used(image.len());
        flash.bytes.fill(0xff);
        flash.bytes[..image.len()].copy_from_slice(image);
        flash
    }

    /// Makes one cell unable to change: bit `bit` of the byte at `offset` reads back flipped.
    pub fn break_cell(&mut self, offset: u32, bit: u8) {
        self.stuck_bit = Some((offset, bit));
    }

    /// Makes the access after the next `accesses` writes and erases fail.
    pub fn fail_after(&mut self, accesses: usize) {
        self.accesses_until_fault = Some(accesses);
    }

    /// What was written and erased, in order.
    #[must_use]
    pub fn log(&self) -> &[Access] {
        &self.log
    }

    /// The bytes as they stand.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How often each sector was erased.
    #[must_use]
    pub fn erase_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.bytes.len() / ERASE];
        for access in &self.log {
            if let Access::Erase { offset } = access {
                counts[*offset as usize / ERASE] += 1;
            }
        }
        counts
    }

    fn spend_access(&mut self) -> Result<(), SimError> {
        match &mut self.accesses_until_fault {
            Some(0) => Err(SimError::Fault),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ErrorType
    for SimFlash<READ, WRITE, ERASE>
{
    type Error = SimError;
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ReadNorFlash
    for SimFlash<READ, WRITE, ERASE>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        check_read(self, offset, bytes.len()).map_err(SimError::Geometry)?;
        let start = offset as usize;
        bytes.copy_from_slice(&self.bytes[start..start + bytes.len()]);
        if let Some((at, bit)) = self.stuck_bit
            && let Some(byte) = at.checked_sub(offset).and_then(|at| bytes.get_mut(at as usize))
        {
            *byte ^= 1 << bit;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> NorFlash
    for SimFlash<READ, WRITE, ERASE>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        check_erase(self, from, to).map_err(SimError::Geometry)?;
        for offset in (from..to).step_by(ERASE) {
            self.spend_access()?;
            self.bytes[offset as usize..][..ERASE].fill(0xff);
            self.log.push(Access::Erase { offset });
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        check_write(self, offset, bytes.len()).map_err(SimError::Geometry)?;
        self.spend_access()?;
        let cells = &mut self.bytes[offset as usize..][..bytes.len()];
        for (at, (cell, byte)) in (offset..).zip(cells.iter_mut().zip(bytes)) {
            if byte & !*cell != 0 {
                return Err(SimError::NotErased { offset: at });
            }
            *cell &= byte;
        }
        self.log.push(Access::Write { offset, len: bytes.len() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_clears_bits_and_erasing_sets_them() {
        let mut flash = SimFlash::<1, 4, 16>::used(20);
        assert_eq!(flash.capacity(), 32);
        assert_eq!(flash.write(0, &[0xff; 4]), Err(SimError::NotErased { offset: 0 }));
        flash.erase(0, 16).expect("aligned");
        flash.write(0, &[1, 2, 3, 4]).expect("erased");
        assert_eq!(flash.write(0, &[1, 2, 3, 5]), Err(SimError::NotErased { offset: 3 }));
        assert_eq!(flash.erase_counts(), [1, 0]);
        assert_eq!(flash.erase(3, 16), Err(SimError::Geometry(NorFlashErrorKind::NotAligned)));
    }
}
