//! Stages of a rollout: whether this device may take a target now.

use core::ffi::c_char;

use whittle_patcher_nostd::VerifiedStage;

use crate::error::{WHITTLE_NOTHING, WHITTLE_OK, result};
use crate::flags::{self, Facts, Flags};
use crate::image::{SignedImage, WHITTLE_NAME_BYTES, name};
use crate::pointer;
use crate::updater::{Updater, with};

/// A stage of a rollout that a trusted key signed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Stage {
    /// Number within the rollout; it never falls.
    pub number: u32,
    /// Share of the fleet that the target goes to, in parts per million.
    pub share_ppm: u32,
    /// First bytes of the SHA-256 of the target.
    pub target: [u8; 16],
    /// Names the rollout.
    pub seed: [u8; 16],
    /// Version of the target, for people.
    pub version: [c_char; WHITTLE_NAME_BYTES],
}

impl Stage {
    fn of(stage: &VerifiedStage) -> Self {
        Self {
            number: stage.number,
            share_ppm: stage.share.ppm(),
            target: stage.target_digest,
            seed: stage.seed,
            version: name(&stage.target_version),
        }
    }
}

/// Checks a stage of a rollout and keeps it; it never falls behind the one that is kept. `stage` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_accept_stage(
    updater: *mut Updater,
    bytes: *const u8,
    len: usize,
    stage: *mut Stage,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            let accepted = updater.accept_stage(pointer::slice(bytes, len)?)?;
            if !stage.is_null() {
                pointer::write(stage, Stage::of(&accepted))?;
            }
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

/// Tells the stage that is kept; `WHITTLE_NOTHING` if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_kept_stage(updater: *mut Updater, stage: *mut Stage) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            let Some(kept) = updater.stage()? else { return Ok(WHITTLE_NOTHING) };
            pointer::write(stage, Stage::of(&kept))?;
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

/// Tells whether a device with these facts may take a target now: the stage that is kept has reached it, and the gate of the
/// rollout, a flag among `flags`, is open for it. `WHITTLE_NOTHING` if no stage is kept.
///
/// Devices of a rollout that `whittle rollout drive` publishes decide by this: pauses, stops and groups that are taken back
/// close the gate, since a stage only ever grows. `flags` is what whittle_read_flags() read, null if it told
/// `WHITTLE_NOTHING`: the gate is closed then. `image` is what whittle_download_image() told: a stage for another target
/// lets nobody in. It may be null, for asking before anything is downloaded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_admits(
    updater: *mut Updater,
    flags: *mut Flags,
    facts: *const Facts,
    image: *const SignedImage,
    is_admitted: *mut bool,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            let image = pointer::optional(image)?;
            let Some(stage) = updater.stage()? else { return Ok(WHITTLE_NOTHING) };
            let admits = flags::admits(flags, facts, &stage)?;
            pointer::write(is_admitted, is_for(&stage, image) && admits)?;
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

/// Tells whether the share of the stage that is kept includes the device with this id; `WHITTLE_NOTHING` if none is kept.
///
/// Of a rollout that `whittle rollout drive` publishes it is half the answer: ask whittle_admits(). `image` is as there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn whittle_eligible(
    updater: *mut Updater,
    id: *const u8,
    id_len: usize,
    image: *const SignedImage,
    is_eligible: *mut bool,
) -> i32 {
    // SAFETY: the header's rules.
    let outcome = unsafe {
        with(updater, |updater| {
            let id = pointer::slice(id, id_len)?;
            let image = pointer::optional(image)?;
            let Some(stage) = updater.stage()? else { return Ok(WHITTLE_NOTHING) };
            pointer::write(is_eligible, is_for(&stage, image) && stage.includes(id))?;
            Ok(WHITTLE_OK)
        })
    };
    result(outcome)
}

/// Whether a stage is for this image; any is, where there is none.
fn is_for(stage: &VerifiedStage, image: Option<&SignedImage>) -> bool {
    // Stages of other products are not accepted, so the digest tells enough.
    image.is_none_or(|image| image.digest.starts_with(&stage.target_digest))
}
