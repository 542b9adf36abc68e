//! Memory that the caller lends, and the page in front of the target slot: what the decoder makes between two writes.

use embedded_storage::nor_flash::ReadNorFlash;
use whittle_delta::MAX_STEP_BYTES;
use whittle_delta::compact::Memory;

use crate::FlashError;
use crate::flash::{ERASED, is_readable};
use crate::numbers::{to_u32, to_usize};

/// Memory that the caller lends to the patcher.
pub struct Buffers<'a> {
    /// Holds one block: the block size that packages are built with (4096 bytes by default, 65536 for devices with 1 MiB
    /// of RAM for decoding), or the whole payload where that is smaller.
    pub block: &'a mut [u8],
    /// Holds what is written at a time: any multiple of the flash's write size, best a flash page.
    pub page: &'a mut [u8],
    /// Holds what the `compact` codec remembers, such as [`compact::MediumTables`](crate::compact::MediumTables);
    /// without it, packages of that codec are refused.
    pub compact: Option<Memory<'a>>,
}

/// A decoder that pauses at a page's end has begun the next page by at most so many bytes.
pub(crate) const AHEAD: usize = MAX_STEP_BYTES as usize - 1;

/// Collects the target until a page is full, and knows where in the slot it goes.
///
/// It takes [`AHEAD`] bytes more than the caller's buffer has, so that pages are as long as that buffer although decoders
/// pause only where there is too little room for a whole step.
#[derive(Debug)]
pub(crate) struct Page<'b> {
    bytes: &'b mut [u8],
    /// The front of the next page.
    ahead: [u8; AHEAD],
    /// Bytes that wait.
    filled: usize,
    /// Bytes that stand in flash; where the page will go.
    pub(crate) flushed: u32,
    /// The slot is erased up to here.
    pub(crate) erased: u32,
}

impl<'b> Page<'b> {
    pub(crate) fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, ahead: [0; AHEAD], filled: 0, flushed: 0, erased: 0 }
    }

    /// Whether the buffer suits flash with this write size.
    pub(crate) fn check<T: ReadNorFlash>(&self, write_size: usize) -> Result<(), FlashError> {
        let whole_writes = self.bytes.len().checked_rem(write_size) == Some(0);
        if !is_readable::<T>() || write_size.checked_rem(T::READ_SIZE) != Some(0) {
            return Err(FlashError::ReadSize);
        }
        if whole_writes && !self.bytes.is_empty() {
            return Ok(());
        }
        Err(FlashError::PageBuffer)
    }

    /// Bytes that can be appended: enough for a step of any decoder unless the page is full.
    pub(crate) fn room(&self) -> u32 {
        let room = self.bytes.len().wrapping_add(AHEAD).saturating_sub(self.filled);
        to_u32(room)
    }

    /// Appends bytes, of which there are no more than there is [`Self::room`] for.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let ahead = self.filled.saturating_sub(self.bytes.len());
            let room = match self.bytes.get_mut(self.filled) {
                Some(room) => Some(room),
                None => self.ahead.get_mut(ahead),
            };
            if let Some(room) = room {
                *room = *byte;
            }
            self.filled = self.filled.wrapping_add(1);
        }
    }

    /// Parts what stands in flash from what waits here.
    pub(crate) fn split<'x>(
        &self,
        offset: u32,
        into: &'x mut [u8],
    ) -> (&'x mut [u8], &'x mut [u8]) {
        let in_flash = to_usize(self.flushed.saturating_sub(offset)).min(into.len());
        into.split_at_mut_checked(in_flash).unwrap_or((&mut [], &mut []))
    }

    /// Reads what waits here, from this offset of the target or from the page's start.
    pub(crate) fn read(&self, offset: u32, into: &mut [u8]) {
        let start = to_usize(offset.saturating_sub(self.flushed));
        for (at, byte) in (start..).zip(into) {
            *byte = self.byte(at);
        }
    }

    fn byte(&self, at: usize) -> u8 {
        let ahead = at.saturating_sub(self.bytes.len());
        self.bytes.get(at).or_else(|| self.ahead.get(ahead)).copied().unwrap_or(ERASED)
    }

    /// Whether bytes wait to be written.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.filled > 0
    }

    /// The bytes to be written next, filled up to whole write units.
    pub(crate) fn next_write(&mut self, write_size: usize) -> &[u8] {
        let filled = self.filled.min(self.bytes.len());
        let len = filled.next_multiple_of(write_size.max(1));
        let padded = self.bytes.get_mut(..len).unwrap_or_default();
        padded.iter_mut().skip(filled).for_each(|byte| *byte = ERASED);
        padded
    }

    /// Goes on behind the bytes that were written.
    pub(crate) fn advance(&mut self, written: usize) {
        self.flushed = self.flushed.wrapping_add(to_u32(written));
        let waiting = written..core::mem::take(&mut self.filled);
        for at in waiting {
            self.append(&[self.byte(at)]);
        }
    }
}

#[cfg(feature = "in-place")]
impl Page<'_> {
    /// Goes on where `written` bytes stand in flash, whole sectors, and these behind them wait.
    pub(crate) fn resume(&mut self, written: u32, waiting: &[u8]) {
        (self.flushed, self.erased, self.filled) = (written, written, 0);
        self.append(waiting);
    }

    /// Length of a page in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.filled
    }
}
