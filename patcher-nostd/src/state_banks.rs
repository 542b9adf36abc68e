//! Where a decoder's state is kept during an update in place: two banks, so that one holds a whole state at any time.
//!
//! Which of them it is, and the CRC of the state, stand in the journal.

use embedded_storage::nor_flash::NorFlash;
use whittle_delta::StateBytes;

use crate::FlashError;
use crate::crc::Crc;
use crate::flash::{CHUNK, ERASED, read_back, read_unaligned};
use crate::numbers::to_u32;

pub(crate) struct StateBanks<'x, C> {
    region: &'x mut C,
}

impl<'x, C: NorFlash> StateBanks<'x, C> {
    pub(crate) fn new(region: &'x mut C) -> Self {
        Self { region }
    }

    /// Bytes that a state may have.
    pub(crate) fn bank_bytes(&self) -> u32 {
        let (at, end) = self.bank(false);
        end.saturating_sub(at)
    }

    /// Takes a state into a bank.
    pub(crate) fn saver(&mut self, second: bool) -> StateSaver<'_, C> {
        let (at, end) = self.bank(second);
        let region = &mut *self.region;
        let chunk = [ERASED; CHUNK];
        StateSaver { region, at, erased: at, end, chunk, filled: 0, crc: Crc::NEW }
    }

    /// Gives a state back.
    pub(crate) fn loader(&mut self, second: bool) -> StateLoader<'_, C> {
        let (at, end) = self.bank(second);
        StateLoader { region: self.region, at, end, crc: Crc::NEW }
    }

    /// Where a bank begins and ends.
    fn bank(&self, second: bool) -> (u32, u32) {
        let sector = to_u32(C::ERASE_SIZE).max(1);
        let half = to_u32(self.region.capacity() / 2);
        let len = half.saturating_sub(half.checked_rem(sector).unwrap_or(0));
        if second { (len, len.saturating_mul(2)) } else { (0, len) }
    }
}

/// Writes a state, and looks at each chunk of it again.
pub(crate) struct StateSaver<'s, C> {
    region: &'s mut C,
    at: u32,
    erased: u32,
    end: u32,
    chunk: [u8; CHUNK],
    filled: usize,
    crc: Crc,
}

impl<C: NorFlash> StateSaver<'_, C> {
    /// Writes what is left, and returns the CRC of the whole state.
    pub(crate) fn finish(mut self) -> Result<u32, FlashError> {
        self.write()?;
        Ok(self.crc.value())
    }

    fn write(&mut self) -> Result<(), FlashError> {
        let len = self.filled.next_multiple_of(C::WRITE_SIZE.max(1));
        let chunk = self.chunk.get(..len).ok_or(FlashError::State)?;
        let next = self.at.saturating_add(to_u32(len));
        if next > self.end {
            return Err(FlashError::State);
        }
        while self.erased < next {
            let to = self.erased.saturating_add(to_u32(C::ERASE_SIZE));
            self.region.erase(self.erased, to).map_err(|_| FlashError::State)?;
            self.erased = to;
        }
        self.region.write(self.at, chunk).map_err(|_| FlashError::State)?;
        read_back(self.region, self.at, chunk).map_err(|_| FlashError::State)?;
        (self.at, self.chunk, self.filled) = (next, [ERASED; CHUNK], 0);
        Ok(())
    }
}

impl<C: NorFlash> StateBytes for StateSaver<'_, C> {
    type Error = FlashError;

    fn pass(&mut self, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.crc.update(bytes);
        for byte in bytes {
            *self.chunk.get_mut(self.filled).ok_or(FlashError::State)? = *byte;
            self.filled = self.filled.saturating_add(1);
            if self.filled == CHUNK {
                self.write()?;
            }
        }
        Ok(())
    }
}

/// Reads a state.
pub(crate) struct StateLoader<'s, C> {
    region: &'s mut C,
    at: u32,
    end: u32,
    crc: Crc,
}

impl<C> StateLoader<'_, C> {
    /// The CRC of what has been read.
    pub(crate) fn crc(self) -> u32 {
        self.crc.value()
    }
}

impl<C: NorFlash> StateBytes for StateLoader<'_, C> {
    type Error = FlashError;

    fn pass(&mut self, bytes: &mut [u8]) -> Result<(), FlashError> {
        let next = self.at.saturating_add(to_u32(bytes.len()));
        if next > self.end {
            return Err(FlashError::State);
        }
        read_unaligned(self.region, self.at, bytes).map_err(|_| FlashError::State)?;
        self.crc.update(bytes);
        self.at = next;
        Ok(())
    }
}
