//! Whatever code of ours a device can call: linked, to show that none of it panics.
#![no_std]
#![no_main]

mod board;
mod device;
#[cfg(target_arch = "arm")]
mod memory;
mod verifier;

use whittle_patcher_nostd::embassy_boot::{self, EmbassyBootError};
use whittle_patcher_nostd::mcuboot::{Algorithm, Mcuboot, McubootError, Swap, next_boot};
use whittle_patcher_nostd::{
    ArrangementBuffers, DeviceFacts, Draw, InPlaceBuffers, InPlaceDecoder, NoBase, PackageChecker,
    PatchError, Patcher, Share, Slots, Status, UpdateError, Updater, any_signed_slot, authenticate,
    check_slot, eligible, place,
};

use board::{Region, input, output, receive};
use device::{DEVICE, JOURNAL, Memory, OpenUpdater, SLOTS, STAGING};
use verifier::VERIFIER;

const STATES: Region = Region::new(4);

/// Of the flash, in bytes; larger than 1, so that reads are put together.
const READ_SIZE: usize = 4;

/// Called by the board.
fn run(memory: &mut Memory) {
    let failed = match input() {
        0 => device::open().and_then(|mut updater| device::update(&mut updater, memory)).is_err(),
        1 => device::open().and_then(|mut updater| keep(&mut updater)).is_err(),
        2 => in_place(memory).is_err(),
        3 => stream(memory).is_err(),
        4 => check(memory).is_err(),
        #[cfg(feature = "key-documents")]
        7 => single_slot_with_keys(memory).is_err(),
        5 => under_mcuboot().is_err(),
        6 => under_embassy_boot().is_err(),
        _ => any_signed_slot(&DEVICE, &VERIFIER, &mut SLOTS.clone()).is_none(),
    };
    output(failed.into());
}

/// What the application keeps in the journal: flags, a stage, features that are off, and its own bytes.
fn keep(updater: &mut OpenUpdater) -> Result<(), UpdateError> {
    let mut bytes = [0; 1024];
    let mut id = [0; 16];
    let id = receive(&mut id);
    match input() {
        0 => updater.accept_flags(receive(&mut bytes))?,
        1 => {
            let facts = DeviceFacts { id, groups: &["beta"], region: Some("EU") };
            let flags = updater.flags(&mut bytes)?;
            let decision = flags.and_then(|flags| flags.decide("holiday-mode", &facts));
            output(decision.map_or(2, |decision| decision.is_on.into()));
        }
        2 => output(updater.accept_stage(receive(&mut bytes))?.includes(id).into()),
        3 => output(updater.stage()?.map_or(2, |stage| stage.includes(id).into())),
        4 => updater.disable(input())?,
        5 => updater.enable(input())?,
        6 => updater.keep(receive(&mut bytes))?,
        7 => output(updater.kept(&mut bytes)?.map_or(0, <[u8]>::len) as u32),
        _ => {
            let seed = [1; 16];
            output(place(Draw::Rollout, &seed, id));
            output(eligible(&seed, id, Share::NONE).into());
        }
    }
    output(updater.disabled());
    Ok(())
}

/// A single slot, whose target takes the room of its base.
fn in_place(memory: &mut Memory) -> Result<(), UpdateError> {
    let [slot, _] = SLOTS;
    let mut updater = Updater::open_single(&DEVICE, VERIFIER, JOURNAL, slot)?;
    if !updater.is_in_place_wanted()? {
        return updater.request_in_place();
    }
    let Memory { block, page, tables } = memory;
    let (mut seats, mut head) = ([0; 64], [0; InPlaceDecoder::HEAD_BYTES]);
    let arrangement = ArrangementBuffers { seats: &mut seats, head: &mut head };
    let buffers = InPlaceBuffers { block, page, compact: Some(tables.lend()), arrangement };
    let (mut staging, mut states) = (STAGING, STATES);
    updater.install_in_place(&mut staging, &mut states, buffers, &mut output)?;
    Ok(())
}

/// The same where documents change the keys.
#[cfg(feature = "key-documents")]
fn single_slot_with_keys(memory: &mut Memory) -> Result<(), UpdateError> {
    let [slot, _] = SLOTS;
    let mut updater = Updater::open_single_with_keys(&DEVICE, verifier::keys(), JOURNAL, slot)?;
    updater.accept_keys(receive(&mut memory.block))?;
    for key in updater.keys().keys() {
        output(key.public_key.as_ptr().addr() as u32);
    }
    output(updater.keys().revoked().count() as u32);
    output(updater.keys().version());
    Ok(())
}

/// A package that is applied as it comes.
fn stream(memory: &mut Memory) -> Result<(), PatchError> {
    let [base, target] = &mut SLOTS.clone();
    let mut slots = Slots { base, target };
    let mut patcher = Patcher::new(&DEVICE, VERIFIER, memory.buffers());
    let (mut seats, mut head) = ([0; 64], [0; InPlaceDecoder::HEAD_BYTES]);
    if input() == 0 {
        let arrangement = ArrangementBuffers { seats: &mut seats, head: &mut head };
        patcher = patcher.with_arrangement(arrangement);
    }
    let mut chunk = [0; 64];
    while patcher.push(&mut receive(&mut chunk), &mut slots)? == Status::NeedMore {}
    output(patcher.finish(&mut slots)?.manifest.target_size);
    Ok(())
}

/// A package that lies somewhere, and a slot.
fn check(memory: &mut Memory) -> Result<(), PatchError> {
    let [slot, _] = &mut SLOTS.clone();
    output(check_slot(slot, &DEVICE, &VERIFIER)?.target_size);
    let mut chunk = [0; 64];
    output(authenticate(receive(&mut chunk), &VERIFIER, &mut memory.block)?.target_size);
    let mut checker = PackageChecker::new(&DEVICE, VERIFIER, &mut memory.block);
    while checker.push(&mut receive(&mut chunk), &mut NoBase, 0)? == Status::NeedMore {}
    output(checker.finish()?.target_size);
    Ok(())
}

/// A boot loader that swaps slots.
fn under_mcuboot() -> Result<(), McubootError> {
    let algorithm = if input() == 0 { Algorithm::Offset } else { Algorithm::OverwriteOnly };
    let mcuboot = Mcuboot { max_align: input(), max_sectors: input(), algorithm };
    let [primary, secondary] = &mut SLOTS.clone();
    match input() {
        0 => mcuboot.withdraw(secondary)?,
        1 => mcuboot.request_upgrade(secondary, input(), Swap::Test)?,
        2 => mcuboot.request_upgrade(secondary, input(), Swap::Permanent)?,
        3 => mcuboot.confirm(primary)?,
        4 => output(mcuboot.max_image_bytes(secondary)?),
        _ => output(next_boot(mcuboot.state(primary)?, mcuboot.state(secondary)?) as u32),
    }
    Ok(())
}

/// Another one.
fn under_embassy_boot() -> Result<(), EmbassyBootError> {
    let [active, dfu] = &mut SLOTS.clone();
    let state = &mut STATES.clone();
    match input() {
        0 => embassy_boot::mark_updated(state)?,
        1 => embassy_boot::mark_booted(state)?,
        2 => embassy_boot::mark_booted_rewriting(state)?,
        3 => embassy_boot::check_confirmed(state)?,
        4 => output(embassy_boot::max_image_bytes(active, dfu) as u32),
        _ => output(embassy_boot::get_state(state)? as u32),
    }
    Ok(())
}
