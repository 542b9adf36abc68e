//! The slots as the decoder sees them: reads at any offset, and appends to a page.

use embedded_storage::nor_flash::{ErrorType, NorFlashError as _, NorFlashErrorKind, ReadNorFlash};
use whittle_delta::Images;

use crate::FlashError;
use crate::page::Page;

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

/// Whether flash with this write size can be written in chunks of up to [`CHUNK`] bytes that are read back.
pub(crate) fn is_writable<F: ReadNorFlash>(write_size: usize) -> bool {
    CHUNK.checked_rem(write_size) == Some(0)
        && write_size.checked_rem(F::READ_SIZE) == Some(0)
        && is_readable::<F>()
}

/// How often a read is tried before its error counts: a disturbed bus costs no update.
const READS: u8 = 3;

/// Reads whole units.
fn read<F: ReadNorFlash>(
    flash: &mut F,
    offset: u32,
    into: &mut [u8],
) -> Result<(), NorFlashErrorKind> {
    let mut outcome = Ok(());
    for _ in 0..READS {
        outcome = flash.read(offset, into).map_err(|error| error.kind());
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Reads at any offset and length, whatever the flash's read size.
pub(crate) fn read_unaligned<F: ReadNorFlash>(
    flash: &mut F,
    offset: u32,
    into: &mut [u8],
) -> Result<(), NorFlashErrorKind> {
    if F::READ_SIZE == 1 {
        return read(flash, offset, into);
    }
    let unit = u32::try_from(F::READ_SIZE).unwrap_or(u32::MAX);
    let mut rest = into;
    let mut offset = offset;
    while !rest.is_empty() {
        let skip = offset.checked_rem(unit).unwrap_or(0);
        let start = offset.saturating_sub(skip);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let mut bounce = [0; BOUNCE];
        let wanted = skip.wrapping_add(rest.len()).next_multiple_of(F::READ_SIZE).min(BOUNCE);
        let window = bounce.get_mut(..wanted).ok_or(NorFlashErrorKind::NotAligned)?;
        read(flash, start, window)?;
        let got = window.get(skip..).unwrap_or_default();
        let len = got.len().min(rest.len());
        let (now, later) = rest.split_at_mut_checked(len).ok_or(NorFlashErrorKind::NotAligned)?;
        for (to, from) in now.iter_mut().zip(got) {
            *to = *from;
        }
        if len == 0 {
            return Err(NorFlashErrorKind::NotAligned);
        }
        offset = offset.wrapping_add(u32::try_from(len).unwrap_or(u32::MAX));
        rest = later;
    }
    Ok(())
}

/// Reads at an offset.
pub(crate) type Read<'x> = &'x mut dyn FnMut(u32, &mut [u8]) -> Result<(), NorFlashErrorKind>;

/// Compares what was written with what reads back.
pub(crate) fn read_back<T: ReadNorFlash>(
    flash: &mut T,
    offset: u32,
    written: &[u8],
) -> Result<(), FlashError> {
    compare(&mut |offset, into| read(flash, offset, into), offset, written)
}

/// The same of what can be read; compiled once for all flashes.
pub(crate) fn compare(read: Read<'_>, offset: u32, written: &[u8]) -> Result<(), FlashError> {
    let mut offset = offset;
    for wanted in written.chunks(BOUNCE) {
        let mut bounce = [0; BOUNCE];
        let got = bounce.get_mut(..wanted.len()).unwrap_or_default();
        read(offset, got).map_err(FlashError::Target)?;
        if got != wanted {
            return Err(FlashError::ReadBack);
        }
        offset = offset.wrapping_add(u32::try_from(wanted.len()).unwrap_or(u32::MAX));
    }
    Ok(())
}

/// Reads the target, from flash or from the page in front of it.
pub(crate) fn read_written<T: ReadNorFlash>(
    flash: &mut T,
    page: &Page<'_>,
    offset: u32,
    into: &mut [u8],
) -> Result<(), FlashError> {
    let (in_flash, in_page) = page.split(offset, into);
    read_unaligned(flash, offset, in_flash).map_err(FlashError::Target)?;
    page.read(offset, in_page);
    Ok(())
}

/// What the decoder sees: the flash, and the page in front of it.
pub(crate) struct FlashImages<'x, 'b, B, T> {
    pub(crate) base: &'x mut B,
    pub(crate) target: &'x mut T,
    pub(crate) page: &'x mut Page<'b>,
}

impl<B: ReadNorFlash, T: ReadNorFlash> Images for FlashImages<'_, '_, B, T> {
    type Error = FlashError;

    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), FlashError> {
        read_unaligned(self.base, offset, into).map_err(FlashError::Base)
    }

    fn read_target(&mut self, offset: u32, into: &mut [u8]) -> Result<(), FlashError> {
        read_written(self.target, self.page, offset, into)
    }

    fn room(&self) -> u32 {
        self.page.room()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FlashError> {
        self.page.append(bytes);
        Ok(())
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

    #[test]
    fn what_was_appended_can_be_read_from_flash_page_or_both() {
        // The flash counts upwards from its start, and the page from where it ends.
        for (page_bytes, flushed, appended) in [(16, 32, 20), (16, 0, 31), (4, 8, 19), (1, 7, 16)] {
            let mut bytes = [0; 16];
            let mut page = Page::new(&mut bytes[..page_bytes]);
            page.flushed = flushed;
            let data: [u8; 64] = core::array::from_fn(|at| u8::try_from(at).unwrap());
            page.append(&data[flushed as usize..][..appended]);
            let (mut base, end) = (NoBase, flushed + u32::try_from(appended).unwrap());
            let mut images = FlashImages { base: &mut base, target: &mut Words, page: &mut page };
            for offset in 0..end.min(40) {
                for len in 0..=(end.min(40) - offset) as usize {
                    let mut read = [0xee; 40];
                    images.read_target(offset, &mut read[..len]).unwrap();
                    let wanted = &data[offset as usize..][..len];
                    assert_eq!(&read[..len], wanted, "offset {offset}, length {len}");
                }
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
