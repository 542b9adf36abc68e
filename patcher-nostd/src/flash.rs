//! The slots: reading at any offset, and writing in order with one erase per sector and a look back at each page.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError as _, NorFlashErrorKind, ReadNorFlash,
};
use whittle_delta::Images;

use crate::FlashError;

/// The flash regions of an update; both begin at offset 0 of what is handed in.
#[derive(Debug)]
pub struct Slots<'a, B, T> {
    /// Holds the image that runs now; it is only read.
    pub base: &'a mut B,
    /// Receives the target.
    pub target: &'a mut T,
}

/// Stands in for the base on a device that takes full images only.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBase;

impl ErrorType for NoBase {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for NoBase {
    const READ_SIZE: usize = 1;
    fn read(&mut self, _offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        if bytes.is_empty() { Ok(()) } else { Err(NorFlashErrorKind::OutOfBounds) }
    }
    fn capacity(&self) -> usize {
        0
    }
}

/// Bytes read back or bounced at a time; flash that reads in larger units is refused.
const BOUNCE: usize = 64;

/// Whether flash with this read size can be read in windows of [`BOUNCE`] bytes.
pub(crate) fn is_readable<F: ReadNorFlash>() -> bool {
    BOUNCE.checked_rem(F::READ_SIZE) == Some(0)
}

/// What fills write units up behind what is written: NOR flash erases to ones.
pub(crate) const ERASED: u8 = 0xff;

/// Written at a time where no caller lends a page; a multiple of every write size that is supported.
pub(crate) const CHUNK: usize = 256;

/// Reads at any offset and length, whatever the flash's read size.
pub(crate) fn read_unaligned<F: ReadNorFlash>(
    flash: &mut F,
    offset: u32,
    into: &mut [u8],
) -> Result<(), NorFlashErrorKind> {
    if F::READ_SIZE == 1 {
        return flash.read(offset, into).map_err(|error| error.kind());
    }
    let unit = u32::try_from(F::READ_SIZE).unwrap_or(u32::MAX);
    let mut rest = into;
    let mut offset = offset;
    while !rest.is_empty() {
        let skip = offset.checked_rem(unit).unwrap_or(0);
        let start = offset.saturating_sub(skip);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let mut bounce = [0; BOUNCE];
        let wanted = skip.saturating_add(rest.len()).next_multiple_of(F::READ_SIZE).min(BOUNCE);
        let window = bounce.get_mut(..wanted).ok_or(NorFlashErrorKind::NotAligned)?;
        flash.read(start, window).map_err(|error| error.kind())?;
        let got = window.get(skip..).unwrap_or_default();
        let len = got.len().min(rest.len());
        let (now, later) = rest.split_at_mut_checked(len).ok_or(NorFlashErrorKind::NotAligned)?;
        now.copy_from_slice(got.get(..len).unwrap_or_default());
        if len == 0 {
            return Err(NorFlashErrorKind::NotAligned);
        }
        offset = offset.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        rest = later;
    }
    Ok(())
}

/// Writes a slot from its start, through the caller's page buffer.
#[derive(Debug)]
pub(crate) struct SlotWriter<'b> {
    page: &'b mut [u8],
    /// Bytes waiting in the page.
    filled: usize,
    /// Bytes that stand in flash; where the page will go.
    flushed: u32,
    /// The slot is erased up to here.
    erased: u32,
}

impl<'b> SlotWriter<'b> {
    pub(crate) fn new(page: &'b mut [u8]) -> Self {
        Self { page, filled: 0, flushed: 0, erased: 0 }
    }

    /// Goes on where `written` bytes stand in flash, whole sectors, and these behind them wait.
    pub(crate) fn resume(&mut self, written: u32, waiting: &[u8]) {
        (self.flushed, self.erased, self.filled) = (written, written, waiting.len());
        for (to, from) in self.page.iter_mut().zip(waiting) {
            *to = *from;
        }
    }

    /// Length of the page.
    pub(crate) fn page_len(&self) -> u32 {
        u32::try_from(self.page.len()).unwrap_or(u32::MAX)
    }

    /// Bytes that stand in flash.
    pub(crate) fn flushed(&self) -> u32 {
        self.flushed
    }

    /// Bytes that wait in the page.
    pub(crate) fn waiting(&self) -> &[u8] {
        self.page.get(..self.filled).unwrap_or_default()
    }

    /// Whether the page buffer suits this flash.
    pub(crate) fn check<T: NorFlash>(&self) -> Result<(), FlashError> {
        let whole_writes = self.page.len().checked_rem(T::WRITE_SIZE) == Some(0);
        if !is_readable::<T>() || T::WRITE_SIZE.checked_rem(T::READ_SIZE) != Some(0) {
            return Err(FlashError::ReadSize { got: T::READ_SIZE });
        }
        if whole_writes && !self.page.is_empty() {
            return Ok(());
        }
        Err(FlashError::PageBuffer { got: self.page.len(), write_size: T::WRITE_SIZE })
    }

    pub(crate) fn append<T: NorFlash>(
        &mut self,
        mut bytes: &[u8],
        flash: &mut T,
    ) -> Result<(), FlashError> {
        while !bytes.is_empty() {
            let room = self.page.get_mut(self.filled..).unwrap_or_default();
            let len = room.len().min(bytes.len());
            let (now, later) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
            for (to, from) in room.iter_mut().zip(now) {
                *to = *from;
            }
            self.filled = self.filled.saturating_add(len);
            bytes = later;
            if self.filled == self.page.len() {
                self.flush(flash)?;
            }
        }
        Ok(())
    }

    /// Whether bytes wait in the page.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.filled > 0
    }

    /// Writes what waits in the page, filled up to whole write units, and compares it with what reads back.
    pub(crate) fn flush<T: NorFlash>(&mut self, flash: &mut T) -> Result<(), FlashError> {
        let len = self.filled.next_multiple_of(T::WRITE_SIZE.max(1));
        for byte in self.page.get_mut(self.filled..len).unwrap_or_default() {
            *byte = ERASED;
        }
        let bytes = self.page.get(..len).unwrap_or_default();
        let end = self.flushed.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        let sector = u32::try_from(T::ERASE_SIZE).unwrap_or(u32::MAX).max(1);
        while self.erased < end {
            let next = self.erased.saturating_add(sector);
            flash.erase(self.erased, next).map_err(|error| FlashError::Target(error.kind()))?;
            self.erased = next;
        }
        flash.write(self.flushed, bytes).map_err(|error| FlashError::Target(error.kind()))?;
        read_back(flash, self.flushed, bytes)?;
        self.flushed = end;
        self.filled = 0;
        Ok(())
    }

    /// Reads what has been appended, from flash or from the page.
    pub(crate) fn read<T: NorFlash>(
        &self,
        offset: u32,
        into: &mut [u8],
        flash: &mut T,
    ) -> Result<(), FlashError> {
        let in_flash = usize::try_from(self.flushed.saturating_sub(offset))
            .unwrap_or(usize::MAX)
            .min(into.len());
        let (from_flash, from_page) =
            into.split_at_mut_checked(in_flash).unwrap_or((&mut [], &mut []));
        let skip = usize::try_from(offset.saturating_sub(self.flushed)).unwrap_or(usize::MAX);
        read_unaligned(flash, offset, from_flash).map_err(FlashError::Target)?;
        for (to, from) in from_page.iter_mut().zip(self.page.get(skip..).unwrap_or_default()) {
            *to = *from;
        }
        Ok(())
    }
}

/// Compares what was written with what reads back.
pub(crate) fn read_back<T: NorFlash>(
    flash: &mut T,
    offset: u32,
    written: &[u8],
) -> Result<(), FlashError> {
    let mut offset = offset;
    for wanted in written.chunks(BOUNCE) {
        let mut bounce = [0; BOUNCE];
        let got = bounce.get_mut(..wanted.len()).unwrap_or_default();
        flash.read(offset, got).map_err(|error| FlashError::Target(error.kind()))?;
        if got != wanted {
            return Err(FlashError::ReadBack { offset });
        }
        offset = offset.saturating_add(u32::try_from(wanted.len()).unwrap_or(u32::MAX));
    }
    Ok(())
}

/// What the decoder sees of the flash.
pub(crate) struct FlashImages<'x, 'b, B, T> {
    pub(crate) base: &'x mut B,
    pub(crate) target: &'x mut T,
    pub(crate) writer: &'x mut SlotWriter<'b>,
}

impl<B: ReadNorFlash, T: NorFlash> Images for FlashImages<'_, '_, B, T> {
    type Error = FlashError;

    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), FlashError> {
        read_unaligned(self.base, offset, into).map_err(FlashError::Base)
    }

    fn read_target(&mut self, offset: u32, into: &mut [u8]) -> Result<(), FlashError> {
        self.writer.read(offset, into, self.target)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FlashError> {
        self.writer.append(bytes, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads in units of four bytes and counts upwards.
    struct Words;

    impl ErrorType for Words {
        type Error = NorFlashErrorKind;
    }

    impl ReadNorFlash for Words {
        const READ_SIZE: usize = 4;
        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            assert_eq!((offset % 4, bytes.len() % 4), (0, 0), "aligned");
            for (byte, value) in bytes.iter_mut().zip(offset..) {
                *byte = value.to_le_bytes()[0];
            }
            Ok(())
        }
        fn capacity(&self) -> usize {
            1024
        }
    }

    /// Erases and writes without any rule: the rules are `flash-sim`'s business.
    struct Cells([u8; 64]);

    impl ErrorType for Cells {
        type Error = NorFlashErrorKind;
    }

    impl ReadNorFlash for Cells {
        const READ_SIZE: usize = 1;
        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
            Ok(())
        }
        fn capacity(&self) -> usize {
            64
        }
    }

    impl NorFlash for Cells {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = 16;
        fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
            self.0[from as usize..to as usize].fill(0xff);
            Ok(())
        }
        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
            self.0[offset as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        }
    }

    #[test]
    fn what_was_appended_can_be_read_from_flash_page_or_both() {
        let (mut cells, mut page) = (Cells([0; 64]), [0; 16]);
        let mut writer = SlotWriter::new(&mut page);
        let data: [u8; 40] = core::array::from_fn(|at| u8::try_from(at).unwrap());
        writer.append(&data, &mut cells).unwrap();
        for offset in 0..40u32 {
            for len in 0..=40 - offset as usize {
                let mut read = [0xee; 40];
                writer.read(offset, &mut read[..len], &mut cells).unwrap();
                assert_eq!(
                    read[..len],
                    data[offset as usize..][..len],
                    "offset {offset}, length {len}"
                );
            }
        }
    }

    #[test]
    fn reads_at_any_offset_and_length() {
        for offset in 0..9 {
            for len in 0..200 {
                let mut bytes = [0; 200];
                read_unaligned(&mut Words, offset, &mut bytes[..len]).unwrap();
                let right = bytes[..len]
                    .iter()
                    .zip(offset..)
                    .all(|(byte, value)| *byte == value.to_le_bytes()[0]);
                assert!(right, "offset {offset}, length {len}");
            }
        }
    }
}
