//! The bytes of a trailer.
//!
//! ```text
//! slot    = image | erased | trailer
//! trailer = swap status | swap size | swap info | copy done | image ok | magic         last byte of the slot: of magic
//! bytes     3 x sectors   A           A           A           A          16, or 32 if A is 32
//!             x write size                                               A is `max_align`; a flag is the first byte of A
//! ```

use embedded_storage::nor_flash::{NorFlash, NorFlashError as _};

use super::{Algorithm, Flag, Magic, Mcuboot, McubootError, Swap, TrailerState};
use crate::flash::{is_readable, read_unaligned};
use crate::numbers::{to_u32, to_usize};

/// What the magic is if `max_align` is 8 (`boot_img_magic` in MCUboot's `bootutil_public.c`).
const MAGIC: [u8; MAGIC_LEN] = [
    0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80,
];

/// What it is otherwise; the first byte is `max_align`.
const WIDE_MAGIC: [u8; MAGIC_LEN] = [
    0x00, 0x00, 0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a,
];

const MAGIC_LEN: usize = 16;

/// `BOOT_FLAG_SET`.
const SET: u8 = 0x01;

const ERASED: u8 = 0xff;

/// Length of the tail, which is `image ok` and magic, at the most.
const MAX_TAIL: usize = 64;

/// Read at a time.
const PIECE: usize = 16;

/// Where a slot's trailer is; offsets and lengths are bytes.
pub(super) struct Trailer {
    max_align: u32,
    write_size: u32,
    sector: u32,
    capacity: u32,
    start: u32,
    /// Where the first sector begins that the trailer takes a part of.
    first_sector: u32,
    image_start: u32,
    max_image_bytes: u32,
}

/// `image ok` and magic, as they shall be; only the front counts, as long as [`Trailer::tail_len`].
type Tail = [u8; MAX_TAIL];

impl Trailer {
    pub(super) fn of<F: NorFlash>(mcuboot: &Mcuboot, slot: &F) -> Result<Self, McubootError> {
        let [capacity, sector, write_size] =
            [slot.capacity(), F::ERASE_SIZE, F::WRITE_SIZE].map(to_u32);
        let fits = matches!(mcuboot.max_align, 8 | 16 | 32)
            && mcuboot.max_align.checked_rem(write_size) == Some(0)
            && capacity.checked_rem(sector) == Some(0)
            && is_readable::<F>();
        let start = capacity.checked_sub(trailer_len(mcuboot, write_size));
        let (true, Some(start)) = (fits, start) else { return Err(McubootError::Geometry) };
        let first_sector = start.saturating_sub(start.checked_rem(sector).unwrap_or(0));
        // A swap without scratch moves the image by a sector.
        let without_scratch = first_sector.saturating_sub(sector);
        let (image_start, max_image_bytes) = match mcuboot.algorithm {
            Algorithm::Scratch | Algorithm::OverwriteOnly => (0, start),
            Algorithm::Move => (0, without_scratch),
            Algorithm::Offset => (sector, without_scratch),
        };
        let max_align = mcuboot.max_align;
        Ok(Self {
            max_align,
            write_size,
            sector,
            capacity,
            start,
            first_sector,
            image_start,
            max_image_bytes,
        })
    }

    pub(super) fn max_image_bytes(&self) -> u32 {
        self.max_image_bytes
    }

    /// Whether an image ends in front of the trailer's sectors.
    pub(super) fn is_clear_of(&self, image_bytes: u32) -> bool {
        self.image_start.saturating_add(image_bytes) <= self.first_sector
    }

    pub(super) fn state<F: NorFlash>(&self, slot: &mut F) -> Result<TrailerState, McubootError> {
        let mut magic = [0; MAGIC_LEN];
        let magic_at = self.capacity.saturating_sub(to_u32(MAGIC_LEN));
        read_unaligned(slot, magic_at, &mut magic).map_err(McubootError::Flash)?;
        let magic = match magic {
            magic if magic == magic_bytes(self.max_align) => Magic::Good,
            magic if magic == [ERASED; MAGIC_LEN] => Magic::Unset,
            _ => Magic::Bad,
        };
        let copy_done = self.image_ok_at().saturating_sub(self.max_align);
        Ok(TrailerState {
            magic,
            image_ok: read_flag(slot, self.image_ok_at())?,
            copy_done: read_flag(slot, copy_done)?,
        })
    }

    /// Erases the sectors of the trailer, that of the magic first.
    pub(super) fn erase<F: NorFlash>(&self, slot: &mut F) -> Result<(), McubootError> {
        let mut end = self.capacity;
        while end > self.first_sector {
            let from = end.saturating_sub(self.sector);
            slot.erase(from, end).map_err(|error| McubootError::Flash(error.kind()))?;
            end = from;
        }
        Ok(())
    }

    pub(super) fn write_image_ok<F: NorFlash>(&self, slot: &mut F) -> Result<(), McubootError> {
        let word = 0..to_usize(self.write_size);
        let tail = self.tail(Swap::Permanent);
        let word = tail.get(word).unwrap_or_default();
        slot.write(self.image_ok_at(), word).map_err(|error| McubootError::Flash(error.kind()))
    }

    pub(super) fn write_magic<F: NorFlash>(&self, slot: &mut F) -> Result<(), McubootError> {
        let words = to_usize(self.max_align)..to_usize(self.tail_len());
        let tail = self.tail(Swap::Test);
        let words = tail.get(words).unwrap_or_default();
        let offset = self.image_ok_at().saturating_add(self.max_align);
        slot.write(offset, words).map_err(|error| McubootError::Flash(error.kind()))
    }

    /// Wants the trailer to have its ones wherever it shall have them.
    pub(super) fn check_can_become<F: NorFlash>(
        &self,
        slot: &mut F,
        swap: Swap,
    ) -> Result<(), McubootError> {
        self.check_ones(slot, self.start, swap)
    }

    /// The same of `image ok` and magic alone.
    pub(super) fn check_tail_can_become<F: NorFlash>(
        &self,
        slot: &mut F,
        swap: Swap,
    ) -> Result<(), McubootError> {
        self.check_ones(slot, self.image_ok_at(), swap)
    }

    /// Wants `image ok` and magic to be what they shall be.
    pub(super) fn read_back<F: NorFlash>(
        &self,
        slot: &mut F,
        swap: Swap,
    ) -> Result<(), McubootError> {
        match self.find(slot, self.image_ok_at(), swap, |got, wanted| got != wanted)? {
            Some(offset) => Err(McubootError::ReadBack { offset }),
            None => Ok(()),
        }
    }

    fn check_ones<F: NorFlash>(
        &self,
        slot: &mut F,
        from: u32,
        swap: Swap,
    ) -> Result<(), McubootError> {
        match self.find(slot, from, swap, |got, wanted| got & wanted != wanted)? {
            Some(offset) => Err(McubootError::NotErased { offset }),
            None => Ok(()),
        }
    }

    /// Where the first byte is, from `from` to the end of the slot, that is wrong beside the wanted one.
    fn find<F: NorFlash>(
        &self,
        slot: &mut F,
        from: u32,
        swap: Swap,
        is_wrong: fn(u8, u8) -> bool,
    ) -> Result<Option<u32>, McubootError> {
        let tail = self.tail(swap);
        let mut from = from;
        while from < self.capacity {
            let mut piece = [0; PIECE];
            let len = to_usize(self.capacity.saturating_sub(from)).min(PIECE);
            let piece = piece.get_mut(..len).unwrap_or_default();
            read_unaligned(slot, from, piece).map_err(McubootError::Flash)?;
            for (offset, got) in (from..).zip(piece) {
                let in_tail = offset.checked_sub(self.image_ok_at()).map(to_usize);
                let wanted = in_tail.and_then(|at| tail.get(at)).copied().unwrap_or(ERASED);
                if is_wrong(*got, wanted) {
                    return Ok(Some(offset));
                }
            }
            from = from.saturating_add(to_u32(len));
        }
        Ok(None)
    }

    fn image_ok_at(&self) -> u32 {
        self.capacity.saturating_sub(self.tail_len())
    }

    fn tail_len(&self) -> u32 {
        tail_len(self.max_align)
    }

    fn tail(&self, swap: Swap) -> Tail {
        let mut tail = [ERASED; MAX_TAIL];
        if swap == Swap::Permanent {
            let [image_ok, ..] = &mut tail;
            *image_ok = SET;
        }
        let magic_at = to_usize(self.tail_len()).saturating_sub(MAGIC_LEN);
        for (to, from) in tail.iter_mut().skip(magic_at).zip(magic_bytes(self.max_align)) {
            *to = from;
        }
        tail
    }
}

/// Length of the trailer (`boot_trailer_sz` in MCUboot's `bootutil_misc.c`).
fn trailer_len(mcuboot: &Mcuboot, write_size: u32) -> u32 {
    let copy_done = mcuboot.max_align;
    let swap_info_and_size = mcuboot.max_align.saturating_mul(2);
    let status = write_size.saturating_mul(3).saturating_mul(mcuboot.max_sectors);
    let front = match mcuboot.algorithm {
        Algorithm::OverwriteOnly => copy_done,
        _ => status.saturating_add(swap_info_and_size).saturating_add(copy_done),
    };
    front.saturating_add(tail_len(mcuboot.max_align))
}

/// Length of `image ok` and magic.
fn tail_len(max_align: u32) -> u32 {
    to_u32(MAGIC_LEN).next_multiple_of(max_align.max(1)).saturating_add(max_align)
}

fn magic_bytes(max_align: u32) -> [u8; MAGIC_LEN] {
    if max_align == 8 {
        return MAGIC;
    }
    let mut magic = WIDE_MAGIC;
    let [align, ..] = &mut magic;
    [*align, ..] = max_align.to_le_bytes();
    magic
}

fn read_flag<F: NorFlash>(slot: &mut F, offset: u32) -> Result<Flag, McubootError> {
    let mut flag = [0];
    read_unaligned(slot, offset, &mut flag).map_err(McubootError::Flash)?;
    Ok(match flag {
        [SET] => Flag::Set,
        [ERASED] => Flag::Unset,
        _ => Flag::Bad,
    })
}
