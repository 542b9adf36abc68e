//! Asks embassy-boot to swap a finished image in, and confirms it: the magic in embassy-boot's state partition.
//!
//! The target slot of a [`Patcher`](crate::Patcher) is embassy-boot's DFU partition, and its base slot the active one:
//! after a swap the old image stands one page further on in the DFU partition, so that it is no base. embassy-boot
//! checks no signature at boot; the patcher has.
//!
//! ```text
//! state = magic | progress validity | progress | …        each takes one write unit
//! ```
//!
//! | magic | what it says | written by |
//! |---|---|---|
//! | `f0` | swap; or, once progress is complete, swapped and not confirmed yet | [`mark_updated`] |
//! | `d0` | boot | [`mark_booted`] |
//! | `e0` | boot; the application asked for DFU by USB | embassy-boot |
//! | `c0` | boot; the image was swapped back | embassy-boot |
//! | anything else | boot | |
//!
//! An update takes three steps: [`check_confirmed`] before the first byte of the image is written, [`mark_updated`] when
//! the image is whole, and [`mark_booted`] once the new image has shown that it works. The last two do what
//! `BlockingFirmwareState` of embassy-boot 0.7 does: they make the progress invalid, erase the partition and write the
//! magic. `mark_booted` differs in one word: it makes the progress invalid again in front of the magic. A torn `d0` can
//! read as `f0`, and embassy-boot would swap what is no image any more; with invalid progress it leaves the images alone.
//! [`mark_booted_rewriting`] also survives an erase that is torn word by word. The repository's `docs/power-cuts.md` counts
//! what becomes of cuts under embassy-boot with each of them.
//!
//! Each call can be made again after a power cut, also where error correction refuses to read a word that was torn.
//!
//! Flash must erase to ones, as it must for embassy-boot without its feature `flash-erase-zero`.
//!
//! # Example
//!
//! ```
//! use whittle_patcher_nostd::embassy_boot::{EmbassyBootError, check_confirmed, mark_booted, mark_updated};
//! # use embedded_storage::nor_flash::NorFlash;
//! # fn update<S: NorFlash>(state: &mut S) -> Result<(), EmbassyBootError> {
//! check_confirmed(state)?;
//! // A `Patcher` writes the image to the DFU partition.
//! mark_updated(state)
//! # }
//! # fn new_image_works<S: NorFlash>(state: &mut S) -> Result<(), EmbassyBootError> {
//! // After the restart, once the new image has shown that it works:
//! mark_booted(state)
//! # }
//! ```

use core::fmt;

use embedded_storage::nor_flash::{
    MultiwriteNorFlash, NorFlash, NorFlashError as _, NorFlashErrorKind,
};

use crate::flash::{is_readable, read_unaligned};

const ERASED: u8 = 0xff;

/// A word of invalid progress; any bit that is not erased makes it so.
const INVALID: u8 = 0x00;

mod magic {
    pub(super) const SWAP: u8 = 0xf0;
    pub(super) const BOOT: u8 = 0xd0;
    pub(super) const DFU_DETACH: u8 = 0xe0;
    pub(super) const REVERT: u8 = 0xc0;
}

/// What the state partition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BootState {
    /// The image in the active partition is confirmed, or nothing was ever swapped.
    Boot,
    /// A swap was asked for, or the image that runs was swapped in and is not confirmed.
    Swap,
    /// The image that runs is the old one: the new one was not confirmed.
    Revert,
    /// DFU by USB was asked for.
    DfuDetach,
}

/// Why the state partition could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EmbassyBootError {
    /// The partition cannot be read, erased or written.
    Flash(NorFlashErrorKind),
    /// The magic reads back differently from what was written.
    ReadBack,
    /// The write size does not divide 32, or there is no room for three words.
    Geometry,
    /// The image that runs was swapped in and is not confirmed: the other one is needed to swap back.
    NotConfirmed,
}

impl fmt::Display for EmbassyBootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(kind) => write!(f, "state partition: {kind}"),
            Self::ReadBack => f.write_str("state partition reads back differently"),
            Self::Geometry => f.write_str("state partition does not suit embassy-boot"),
            Self::NotConfirmed => f.write_str("the running image is not confirmed"),
        }
    }
}

impl core::error::Error for EmbassyBootError {}

/// The longest image that can be swapped in, in bytes; 0 if the DFU partition is not larger by a page, as it must be.
#[must_use]
pub fn max_image_bytes<A: NorFlash, D: NorFlash>(active: &A, dfu: &D) -> usize {
    let page = A::ERASE_SIZE.max(D::ERASE_SIZE);
    let fits = dfu.capacity() >= active.capacity().saturating_add(page);
    if fits { active.capacity() } else { 0 }
}

/// Reads what the state partition says.
///
/// # Errors
/// [`EmbassyBootError::Geometry`] or [`EmbassyBootError::Flash`].
pub fn get_state<S: NorFlash>(state: &mut S) -> Result<BootState, EmbassyBootError> {
    let magic = read_word(state, MAGIC)?;
    Ok(if magic.is_all(magic::SWAP) {
        BootState::Swap
    } else if magic.is_all(magic::REVERT) {
        BootState::Revert
    } else if magic.is_all(magic::DFU_DETACH) {
        BootState::DfuDetach
    } else {
        BootState::Boot
    })
}

/// Tells whether the DFU partition may be written to: not while embassy-boot needs it to swap back.
///
/// # Errors
/// [`EmbassyBootError::NotConfirmed`] if it may not.
pub fn check_confirmed<S: NorFlash>(state: &mut S) -> Result<(), EmbassyBootError> {
    match get_state(state)? {
        BootState::Swap => Err(EmbassyBootError::NotConfirmed),
        BootState::Boot | BootState::Revert | BootState::DfuDetach => Ok(()),
    }
}

/// Asks embassy-boot to swap the image in the DFU partition in at the next boot, and to swap it back at the one after
/// that, unless it is confirmed.
///
/// # Errors
/// [`EmbassyBootError`]. Unlike embassy-boot, it refuses while the running image is not confirmed: what was taken for a
/// request would swap back.
pub fn mark_updated<S: NorFlash>(state: &mut S) -> Result<(), EmbassyBootError> {
    if says(state, MAGIC, magic::SWAP)? {
        if !says(state, FIRST_PROGRESS, ERASED)? {
            return Err(EmbassyBootError::NotConfirmed);
        }
        if says(state, VALIDITY, ERASED)? {
            return Ok(());
        }
    }
    clear(state)?;
    write_magic(state, magic::SWAP)
}

/// Confirms the image that runs: embassy-boot will not swap back.
///
/// Fine to call at every start: it writes only if the magic is not there.
///
/// # Errors
/// [`EmbassyBootError`]; the image may or may not be confirmed.
pub fn mark_booted<S: NorFlash>(state: &mut S) -> Result<(), EmbassyBootError> {
    if says(state, MAGIC, magic::BOOT)? {
        return Ok(());
    }
    clear(state)?;
    // A torn `d0` can be an `f0`; with valid progress that would be a swap.
    write_word(state, VALIDITY, INVALID)?;
    write_magic(state, magic::BOOT)
}

/// The same as [`mark_booted`], on flash that lets a word be written twice.
///
/// It begins with zeros over the magic, which no torn erase makes a swap: otherwise an erase that loses the word of
/// invalid progress before the magic, and a part of the progress, makes embassy-boot swap again from there.
///
/// # Errors
/// [`EmbassyBootError`]; the image may or may not be confirmed.
pub fn mark_booted_rewriting<S: MultiwriteNorFlash>(state: &mut S) -> Result<(), EmbassyBootError> {
    if !says(state, MAGIC, magic::BOOT)? {
        write_word(state, MAGIC, 0x00)?;
    }
    mark_booted(state)
}

/// Erases the partition. While that is half done, progress that is invalid keeps embassy-boot from going on with it.
fn clear<S: NorFlash>(state: &mut S) -> Result<(), EmbassyBootError> {
    if says(state, VALIDITY, ERASED)? {
        write_word(state, VALIDITY, INVALID)?;
    }
    let end = u32::try_from(state.capacity()).unwrap_or(u32::MAX);
    state.erase(0, end).map_err(|error| EmbassyBootError::Flash(error.kind()))
}

fn write_magic<S: NorFlash>(state: &mut S, magic: u8) -> Result<(), EmbassyBootError> {
    write_word(state, MAGIC, magic)?;
    if says(state, MAGIC, magic)? { Ok(()) } else { Err(EmbassyBootError::ReadBack) }
}

/// Whether a word consists of this byte alone; one that error correction does not let through says nothing.
fn says<S: NorFlash>(state: &mut S, number: u32, byte: u8) -> Result<bool, EmbassyBootError> {
    match read_word(state, number) {
        Ok(word) => Ok(word.is_all(byte)),
        Err(EmbassyBootError::Flash(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Number of the word that holds the magic.
const MAGIC: u32 = 0;

/// Number of the word that is erased as long as the progress counts.
const VALIDITY: u32 = 1;

/// Number of the first word of the progress; embassy-boot writes zeros to it.
const FIRST_PROGRESS: u32 = 2;

/// Room for a write unit, as aligned as embassy-boot's buffers are.
#[repr(align(32))]
struct Word {
    bytes: [u8; 32],
    len: usize,
}

impl Word {
    /// A write unit that consists of one byte.
    fn of<S: NorFlash>(byte: u8) -> Self {
        Self { bytes: [byte; 32], len: S::WRITE_SIZE }
    }

    fn is_all(&self, byte: u8) -> bool {
        self.bytes.iter().take(self.len).all(|got| *got == byte)
    }
}

fn read_word<S: NorFlash>(state: &mut S, number: u32) -> Result<Word, EmbassyBootError> {
    let mut word = Word::of::<S>(0);
    let (offset, len) = place(state, number)?;
    let bytes = word.bytes.get_mut(..len).unwrap_or_default();
    read_unaligned(state, offset, bytes).map_err(EmbassyBootError::Flash)?;
    Ok(word)
}

fn write_word<S: NorFlash>(state: &mut S, number: u32, byte: u8) -> Result<(), EmbassyBootError> {
    let word = Word::of::<S>(byte);
    let (offset, len) = place(state, number)?;
    let bytes = word.bytes.get(..len).unwrap_or_default();
    state.write(offset, bytes).map_err(|error| EmbassyBootError::Flash(error.kind()))
}

/// Offset and length of a word, if the partition suits.
fn place<S: NorFlash>(state: &S, number: u32) -> Result<(u32, usize), EmbassyBootError> {
    let len = S::WRITE_SIZE;
    let fits = 32usize.checked_rem(len) == Some(0)
        && is_readable::<S>()
        && state.capacity().checked_rem(S::ERASE_SIZE) == Some(0)
        && state.capacity() >= len.saturating_mul(3);
    let unit = u32::try_from(len).unwrap_or(u32::MAX);
    if fits { Ok((number.saturating_mul(unit), len)) } else { Err(EmbassyBootError::Geometry) }
}
