//! Asks MCUboot to swap a finished image in, and confirms it: the trailers at the end of MCUboot's slots.
//!
//! The target slot of a [`Patcher`](crate::Patcher) is MCUboot's secondary slot, and its base slot the primary one. Both
//! images are what `imgtool sign` makes without `--pad`. MCUboot swaps them, and checks its own signature, at the next
//! boot; nothing here does.
//!
//! ```text
//! slot    = image | erased | trailer
//! trailer = swap status | swap size | swap info | copy done | image ok | magic         last byte of the slot: of magic
//! bytes     3 x sectors   A           A           A           A          16, or 32 if A is 32
//!             x write size                                               A is `max_align`; a flag is the first byte of A
//! ```
//!
//! An update takes three steps: [`Mcuboot::withdraw`] before the first byte of the image is written,
//! [`Mcuboot::request_upgrade`] when the image is whole, and [`Mcuboot::confirm`] once the new image has shown that it
//! works. The bytes are those of `imgtool --pad` and `--pad --confirm`; MCUboot's own `boot_set_pending` also notes the
//! swap type in `swap info`, and writes the magic first. Here it is written last, so that a request is whole as soon as
//! it counts: MCUboot acts only on a whole magic.
//!
//! What a power cut leaves, and what the next call does:
//!
//! | cut in | leaves | the next call |
//! |---|---|---|
//! | `withdraw` | the request, perhaps turned from `Permanent` into `Test`, or none | erases again |
//! | `request_upgrade` | the same of the request before, or the whole new one | erases the trailer's sectors and writes it anew |
//! | the same, if the image ends in a sector of the trailer | none, or the whole one | writes the same words again, if the flash allows that, or refuses with [`McubootError::NotErased`] or a flash error: `withdraw`, and write the image again |
//! | `confirm` | an image that is confirmed, or not: MCUboot swaps back, to an image that is whole | writes the same flag again, if the flash allows that |
//!
//! Two limits come with MCUboot's format. A torn magic in the secondary slot keeps MCUboot from swapping an unconfirmed
//! image back ([`next_boot`] tells), so confirm before asking for the next one. And error-correcting flash may refuse to
//! read a torn `image ok` of the primary slot, where nothing can be erased; MCUboot panics if it cannot read that trailer.
//!
//! Flash must erase to ones. Encrypted images, whose trailers hold keys, are not supported.

use core::fmt;

use embedded_storage::nor_flash::{NorFlash, NorFlashError as _, NorFlashErrorKind};

use crate::flash::{is_readable, read_unaligned};

/// What the magic is if `max_align` is 8 (`boot_img_magic` in MCUboot's `bootutil_public.c`).
const MAGIC: [u8; MAGIC_LEN] = [
    0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80,
];

/// What it is otherwise, behind `max_align` in two bytes.
const WIDE_MAGIC: [u8; 14] =
    [0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a];

const MAGIC_LEN: usize = 16;

/// `BOOT_FLAG_SET`.
const SET: u8 = 0x01;

const ERASED: u8 = 0xff;

/// Length of the tail, which is `image ok` and magic, at the most.
const MAX_TAIL: usize = 64;

/// Read at a time.
const PIECE: usize = 16;

/// How MCUboot was built to bring a new image into the primary slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `MCUBOOT_SWAP_USING_SCRATCH`.
    Scratch,
    /// `MCUBOOT_SWAP_USING_MOVE`.
    Move,
    /// `MCUBOOT_SWAP_USING_OFFSET`: the image begins in the second sector of the secondary slot. The patcher is given
    /// the region from there on, and this adapter the whole slot.
    Offset,
    /// `MCUBOOT_OVERWRITE_ONLY`: there is no way back, and nothing to confirm.
    OverwriteOnly,
}

/// How an image is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// Once; unless it is confirmed then, the next boot brings the old image back.
    Test,
    /// For good.
    Permanent,
}

/// What the magic of a trailer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    /// The trailer counts.
    Good,
    /// Erased.
    Unset,
    /// Anything else, such as a torn magic.
    Bad,
}

/// What a flag of a trailer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Set.
    Set,
    /// Erased.
    Unset,
    /// Anything else, such as a torn flag.
    Bad,
}

/// The trailer of a slot, as far as MCUboot decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailerState {
    /// Whether it counts.
    pub magic: Magic,
    /// Primary slot: the image is confirmed. Secondary slot: it is wanted for good.
    pub image_ok: Flag,
    /// Primary slot: it was swapped in.
    pub copy_done: Flag,
}

/// What MCUboot does at the next boot, if the image it finds is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextBoot {
    /// Starts what is in the primary slot.
    Stay,
    /// Swaps, for one boot unless it is confirmed.
    Test,
    /// Swaps for good.
    Permanent,
    /// Swaps back.
    Revert,
}

/// Why a trailer could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum McubootError {
    /// The slot cannot be read, erased or written.
    Flash(NorFlashErrorKind),
    /// The slot reads back differently from what was written.
    ReadBack {
        /// Offset in the slot, in bytes.
        offset: u32,
    },
    /// `max_align` is none of 8, 16 and 32, or the write size does not divide it, or the slot is smaller than a trailer.
    Geometry,
    /// The image is longer than MCUboot accepts in this slot.
    ImageTooLong {
        /// Its length in bytes.
        got: u32,
        /// The longest, in bytes.
        limit: u32,
    },
    /// The trailer holds something else, and shares a sector with the image, so that it cannot be erased.
    NotErased {
        /// Offset in the slot, in bytes.
        offset: u32,
    },
    /// The primary slot's magic is not MCUboot's.
    BadMagic,
}

impl fmt::Display for McubootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(kind) => write!(f, "slot: {kind}"),
            Self::ReadBack { offset } => write!(f, "slot reads back differently at {offset}"),
            Self::Geometry => f.write_str("slot and alignment do not make an MCUboot trailer"),
            Self::ImageTooLong { got, limit } => {
                write!(f, "image of {got} bytes, MCUboot accepts {limit} in this slot")
            }
            Self::NotErased { offset } => write!(f, "trailer is not erased at {offset}"),
            Self::BadMagic => f.write_str("primary slot has a trailer that is not MCUboot's"),
        }
    }
}

impl core::error::Error for McubootError {}

/// How MCUboot was built; its trailers are written for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mcuboot {
    /// `BOOT_MAX_ALIGN`: 8 unless MCUboot was built for flash with larger write units, then 16 or 32.
    pub max_align: u32,
    /// `BOOT_MAX_IMG_SECTORS`, or `--max-sectors` of imgtool: 128 unless MCUboot was built with another number.
    pub max_sectors: u32,
    /// How images get into the primary slot.
    pub algorithm: Algorithm,
}

impl Mcuboot {
    /// The longest image that MCUboot accepts in the secondary slot, in bytes.
    ///
    /// # Errors
    /// [`McubootError::Geometry`] if there is no room for a trailer.
    pub fn max_image_bytes<F: NorFlash>(&self, slot: &F) -> Result<u32, McubootError> {
        Ok(self.layout(slot)?.max_image_bytes)
    }

    /// Erases the trailer of the secondary slot, and with it any request.
    ///
    /// Call it before an image is written: what stood in the trailer would count for the new image. It erases the
    /// sectors of the trailer, which the end of an image may share.
    ///
    /// # Errors
    /// [`McubootError::Geometry`] or [`McubootError::Flash`]; a request may still stand.
    pub fn withdraw<F: NorFlash>(&self, secondary: &mut F) -> Result<(), McubootError> {
        let layout = self.layout(secondary)?;
        let mut end = layout.capacity;
        // The magic goes first.
        while end > layout.first_sector {
            let from = end.saturating_sub(layout.sector);
            secondary.erase(from, end).map_err(|error| McubootError::Flash(error.kind()))?;
            end = from;
        }
        Ok(())
    }

    /// Asks MCUboot to start the image in the secondary slot, which is `image_bytes` long, at the next boot.
    ///
    /// The trailer is erased and written anew, whatever it holds; if the image ends in one of its sectors, it must have
    /// been erased before. `Permanent` after `Test` and the reverse are fine.
    ///
    /// # Errors
    /// [`McubootError`]; [the table](self) tells what may stand in the trailer then.
    pub fn request_upgrade<F: NorFlash>(
        &self,
        secondary: &mut F,
        image_bytes: u32,
        swap: Swap,
    ) -> Result<(), McubootError> {
        let layout = self.layout(secondary)?;
        let limit = layout.max_image_bytes;
        if image_bytes > limit {
            return Err(McubootError::ImageTooLong { got: image_bytes, limit });
        }
        let wanted = self.tail(swap);
        if layout.is_clear_of(image_bytes) {
            self.withdraw(secondary)?;
        } else {
            layout.check_can_become(secondary, layout.trailer, &wanted)?;
        }
        if swap == Swap::Permanent {
            layout.write_image_ok(secondary, &wanted)?;
        }
        layout.write_magic(secondary, &wanted)?;
        layout.read_back(secondary, &wanted)
    }

    /// Confirms the image in the primary slot, which is the one that runs: MCUboot will not swap back.
    ///
    /// Fine to call at every start: it writes only what is not there. An image without a trailer was not swapped in, so
    /// there is nothing to confirm.
    ///
    /// # Errors
    /// [`McubootError`]; the image may or may not be confirmed.
    pub fn confirm<F: NorFlash>(&self, primary: &mut F) -> Result<(), McubootError> {
        let layout = self.layout(primary)?;
        let state = self.state(primary)?;
        match (state.magic, state.image_ok) {
            (Magic::Unset, _) | (Magic::Good, Flag::Set) => Ok(()),
            (Magic::Bad, _) => Err(McubootError::BadMagic),
            (Magic::Good, Flag::Unset | Flag::Bad) => {
                let wanted = self.tail(Swap::Permanent);
                layout.check_can_become(primary, layout.image_ok, &wanted)?;
                layout.write_image_ok(primary, &wanted)?;
                layout.read_back(primary, &wanted)
            }
        }
    }

    /// Reads the trailer of a slot.
    ///
    /// # Errors
    /// [`McubootError::Geometry`] or [`McubootError::Flash`].
    pub fn state<F: NorFlash>(&self, slot: &mut F) -> Result<TrailerState, McubootError> {
        let layout = self.layout(slot)?;
        let mut magic = [0; MAGIC_LEN];
        let magic_at = layout.capacity.saturating_sub(to_u32(MAGIC_LEN));
        read_unaligned(slot, magic_at, &mut magic).map_err(McubootError::Flash)?;
        Ok(TrailerState {
            magic: match magic {
                magic if magic == self.magic() => Magic::Good,
                magic if magic == [ERASED; MAGIC_LEN] => Magic::Unset,
                _ => Magic::Bad,
            },
            image_ok: read_flag(slot, layout.image_ok)?,
            copy_done: read_flag(slot, layout.copy_done)?,
        })
    }

    fn magic(&self) -> [u8; MAGIC_LEN] {
        if self.max_align == 8 {
            return MAGIC;
        }
        let mut magic = [0; MAGIC_LEN];
        let align = self.max_align.to_le_bytes();
        for (to, from) in magic.iter_mut().zip(align.iter().take(2).chain(&WIDE_MAGIC)) {
            *to = *from;
        }
        magic
    }

    /// `image ok` and magic as they shall be.
    fn tail(&self, swap: Swap) -> Tail {
        let mut bytes = [ERASED; MAX_TAIL];
        if let (Swap::Permanent, [image_ok, ..]) = (swap, &mut bytes) {
            *image_ok = SET;
        }
        let len = self.tail_len();
        let magic_at = to_usize(len).saturating_sub(MAGIC_LEN);
        for (to, from) in bytes.iter_mut().skip(magic_at).zip(self.magic()) {
            *to = from;
        }
        Tail { bytes, len }
    }

    fn tail_len(&self) -> u32 {
        to_u32(MAGIC_LEN).next_multiple_of(self.max_align.max(1)).saturating_add(self.max_align)
    }

    /// Length of the trailer (`boot_trailer_sz` in MCUboot's `bootutil_misc.c`).
    fn trailer_len(&self, write_size: u32) -> u32 {
        let copy_done = self.max_align;
        let swap_info_and_size = self.max_align.saturating_mul(2);
        let status = write_size.saturating_mul(3).saturating_mul(self.max_sectors);
        let front = match self.algorithm {
            Algorithm::OverwriteOnly => copy_done,
            _ => status.saturating_add(swap_info_and_size).saturating_add(copy_done),
        };
        front.saturating_add(self.tail_len())
    }

    fn layout<F: NorFlash>(&self, slot: &F) -> Result<Layout, McubootError> {
        let [capacity, sector, write_size] =
            [slot.capacity(), F::ERASE_SIZE, F::WRITE_SIZE].map(to_u32);
        let fits = matches!(self.max_align, 8 | 16 | 32)
            && self.max_align.checked_rem(write_size) == Some(0)
            && capacity.checked_rem(sector) == Some(0)
            && is_readable::<F>();
        let trailer = capacity.checked_sub(self.trailer_len(write_size));
        let (true, Some(trailer)) = (fits, trailer) else { return Err(McubootError::Geometry) };
        let first_sector = trailer.saturating_sub(trailer.checked_rem(sector).unwrap_or(0));
        // One sector more is what a swap without scratch moves the image by.
        let without_scratch = first_sector.saturating_sub(sector);
        let (image_at, max_image_bytes) = match self.algorithm {
            Algorithm::Scratch | Algorithm::OverwriteOnly => (0, trailer),
            Algorithm::Move => (0, without_scratch),
            Algorithm::Offset => (sector, without_scratch),
        };
        let image_ok = capacity.saturating_sub(self.tail_len());
        let copy_done = image_ok.saturating_sub(self.max_align);
        let magic = image_ok.saturating_add(self.max_align);
        Ok(Layout {
            capacity,
            sector,
            write_size,
            trailer,
            first_sector,
            copy_done,
            image_ok,
            magic,
            image_at,
            max_image_bytes,
        })
    }
}

/// The end of a trailer, and of its slot.
struct Tail {
    bytes: [u8; MAX_TAIL],
    len: u32,
}

/// Offsets and lengths in a slot, in bytes.
struct Layout {
    capacity: u32,
    sector: u32,
    write_size: u32,
    trailer: u32,
    /// Where the first sector begins that the trailer takes a part of.
    first_sector: u32,
    copy_done: u32,
    image_ok: u32,
    /// Where the words begin that hold the magic.
    magic: u32,
    image_at: u32,
    max_image_bytes: u32,
}

impl Layout {
    fn is_clear_of(&self, image_bytes: u32) -> bool {
        self.image_at.saturating_add(image_bytes) <= self.first_sector
    }

    fn write_image_ok<F: NorFlash>(&self, slot: &mut F, wanted: &Tail) -> Result<(), McubootError> {
        let word = wanted.bytes.get(..to_usize(self.write_size)).unwrap_or_default();
        slot.write(self.image_ok, word).map_err(|error| McubootError::Flash(error.kind()))
    }

    fn write_magic<F: NorFlash>(&self, slot: &mut F, wanted: &Tail) -> Result<(), McubootError> {
        let from = to_usize(self.magic.saturating_sub(self.image_ok));
        let words = wanted.bytes.get(from..to_usize(wanted.len)).unwrap_or_default();
        slot.write(self.magic, words).map_err(|error| McubootError::Flash(error.kind()))
    }

    /// Wants the bytes from `from` to the end of the slot to have their ones wherever they shall have them.
    fn check_can_become<F: NorFlash>(
        &self,
        slot: &mut F,
        from: u32,
        wanted: &Tail,
    ) -> Result<(), McubootError> {
        match self.find(slot, from, wanted, |got, wanted| got & wanted != wanted)? {
            Some(offset) => Err(McubootError::NotErased { offset }),
            None => Ok(()),
        }
    }

    fn read_back<F: NorFlash>(&self, slot: &mut F, wanted: &Tail) -> Result<(), McubootError> {
        match self.find(slot, self.image_ok, wanted, |got, wanted| got != wanted)? {
            Some(offset) => Err(McubootError::ReadBack { offset }),
            None => Ok(()),
        }
    }

    /// Where the first byte is, from `from` on, that is wrong beside the wanted one; in front of the tail that is an
    /// erased one.
    fn find<F: NorFlash>(
        &self,
        slot: &mut F,
        from: u32,
        wanted: &Tail,
        is_wrong: fn(u8, u8) -> bool,
    ) -> Result<Option<u32>, McubootError> {
        let mut from = from;
        while from < self.capacity {
            let mut piece = [0; PIECE];
            let len = to_usize(self.capacity.saturating_sub(from)).min(PIECE);
            let piece = piece.get_mut(..len).unwrap_or_default();
            read_unaligned(slot, from, piece).map_err(McubootError::Flash)?;
            for (offset, got) in (from..).zip(piece) {
                let in_tail = offset.checked_sub(self.image_ok).map(to_usize);
                let wanted = in_tail.and_then(|at| wanted.bytes.get(at)).copied().unwrap_or(ERASED);
                if is_wrong(*got, wanted) {
                    return Ok(Some(offset));
                }
            }
            from = from.saturating_add(to_u32(len));
        }
        Ok(None)
    }
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

/// What MCUboot does at the next boot, by the trailers of both slots (`boot_swap_tables` in its `bootutil_public.c`).
#[must_use]
pub fn next_boot(primary: TrailerState, secondary: TrailerState) -> NextBoot {
    let is_swapped_in = primary.magic == Magic::Good && primary.copy_done == Flag::Set;
    match (secondary.magic, secondary.image_ok, primary.image_ok) {
        (Magic::Good, Flag::Unset, _) => NextBoot::Test,
        (Magic::Good, Flag::Set, _) => NextBoot::Permanent,
        (Magic::Unset, _, Flag::Unset) if is_swapped_in => NextBoot::Revert,
        _ => NextBoot::Stay,
    }
}

fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn to_usize(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
