//! Asks MCUboot to swap a finished image in, and confirms it: the trailers at the end of MCUboot's slots.
//!
//! The target slot of a [`Patcher`](crate::Patcher) is MCUboot's secondary slot, and its base slot the primary one. Both
//! images are what `imgtool sign` makes without `--pad`. MCUboot swaps them, and checks its own signature, at the next
//! boot; nothing here does.
//!
//! An update takes four steps: [`Mcuboot::check_confirmed`] and [`Mcuboot::withdraw`] before the first byte of the image is
//! written, [`Mcuboot::request_upgrade`] when the image is whole, and [`Mcuboot::confirm`] once the new image has shown that
//! it works. The bytes are those of `imgtool --pad` and `--pad --confirm`; MCUboot's own `boot_set_pending` also notes the
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
//!
//! # Example
//!
//! ```
//! use whittle_patcher_nostd::mcuboot::{Algorithm, Mcuboot, McubootError, Swap};
//! # use embedded_storage::nor_flash::NorFlash;
//! # fn update<F: NorFlash>(primary: &mut F, secondary: &mut F, image_bytes: u32) -> Result<(), McubootError> {
//! let mcuboot = Mcuboot { max_align: 8, max_sectors: 128, algorithm: Algorithm::Scratch };
//! mcuboot.check_confirmed(primary)?;
//! mcuboot.withdraw(secondary)?;
//! // A `Patcher` writes the image to the secondary slot; its `finish` says how long it is.
//! mcuboot.request_upgrade(secondary, image_bytes, Swap::Test)
//! # }
//! # fn new_image_works<F: NorFlash>(mcuboot: Mcuboot, primary: &mut F) -> Result<(), McubootError> {
//! // After the restart, once the new image has shown that it works:
//! mcuboot.confirm(primary)
//! # }
//! ```

mod trailer;

use core::fmt;

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind};

use self::trailer::Trailer;

/// How MCUboot was built to bring a new image into the primary slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Swap {
    /// Once; unless it is confirmed then, the next boot brings the old image back.
    Test,
    /// For good.
    Permanent,
}

/// What the magic of a trailer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
    /// The image that runs was swapped in and is not confirmed: the other one is needed to swap back.
    NotConfirmed,
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
            Self::NotConfirmed => f.write_str("the running image is not confirmed"),
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
        Ok(Trailer::of(self, slot)?.max_image_bytes())
    }

    /// Tells whether the secondary slot may be written to: not while MCUboot needs it to swap back.
    ///
    /// Without a swap there is no way back, so [`Algorithm::OverwriteOnly`] always may; nor is there one behind a torn `image ok`.
    ///
    /// # Errors
    /// [`McubootError::NotConfirmed`] if it may not, [`McubootError::Geometry`] or [`McubootError::Flash`].
    pub fn check_confirmed<F: NorFlash>(&self, primary: &mut F) -> Result<(), McubootError> {
        const NO_REQUEST: TrailerState =
            TrailerState { magic: Magic::Unset, image_ok: Flag::Unset, copy_done: Flag::Unset };
        let is_on_trial = next_boot(self.state(primary)?, NO_REQUEST) == NextBoot::Revert;
        if is_on_trial && self.algorithm != Algorithm::OverwriteOnly {
            return Err(McubootError::NotConfirmed);
        }
        Ok(())
    }

    /// Erases the trailer of the secondary slot, and with it any request.
    ///
    /// Call it before an image is written: what stood in the trailer would count for the new image. It erases the
    /// sectors of the trailer, which the end of an image may share.
    ///
    /// # Errors
    /// [`McubootError::Geometry`] or [`McubootError::Flash`]; a request may still stand.
    pub fn withdraw<F: NorFlash>(&self, secondary: &mut F) -> Result<(), McubootError> {
        Trailer::of(self, secondary)?.erase(secondary)
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
        let trailer = Trailer::of(self, secondary)?;
        let limit = trailer.max_image_bytes();
        if image_bytes > limit {
            return Err(McubootError::ImageTooLong { got: image_bytes, limit });
        }
        if trailer.is_clear_of(image_bytes) {
            trailer.erase(secondary)?;
        } else {
            trailer.check_can_become(secondary, swap)?;
        }
        if swap == Swap::Permanent {
            trailer.write_image_ok(secondary)?;
        }
        trailer.write_magic(secondary)?;
        trailer.read_back(secondary, swap)
    }

    /// Confirms the image in the primary slot, which is the one that runs: MCUboot will not swap back.
    ///
    /// Fine to call at every start: it writes only what is not there. An image without a trailer was not swapped in, so
    /// there is nothing to confirm.
    ///
    /// # Errors
    /// [`McubootError`]; the image may or may not be confirmed.
    pub fn confirm<F: NorFlash>(&self, primary: &mut F) -> Result<(), McubootError> {
        let trailer = Trailer::of(self, primary)?;
        let state = trailer.state(primary)?;
        match (state.magic, state.image_ok) {
            (Magic::Unset, _) | (Magic::Good, Flag::Set) => Ok(()),
            (Magic::Bad, _) => Err(McubootError::BadMagic),
            (Magic::Good, Flag::Unset | Flag::Bad) => {
                trailer.check_tail_can_become(primary, Swap::Permanent)?;
                trailer.write_image_ok(primary)?;
                trailer.read_back(primary, Swap::Permanent)
            }
        }
    }

    /// Reads the trailer of a slot.
    ///
    /// # Errors
    /// [`McubootError::Geometry`] or [`McubootError::Flash`].
    pub fn state<F: NorFlash>(&self, slot: &mut F) -> Result<TrailerState, McubootError> {
        Trailer::of(self, slot)?.state(slot)
    }
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
