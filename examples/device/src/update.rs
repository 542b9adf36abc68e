//! The application's part of an update, for callers that wait.
//!
//! It is a ladder: each step of `day` is taken in its turn, and a power cut resumes at the step that was interrupted, since the
//! journal knows the phase.

use core::ffi::CStr;

use semihosting::println;
use whittle_patcher_nostd::{Buffers, Culprit, LifeError, Phase, Status, UpdateError, compact};

use crate::device::{Flash, ThermostatUpdater};
use crate::flash::Region;
use crate::layout::{self, Stop};
use crate::server::Offer;
use crate::thermostat::{DELTA, FULL, Health};
use crate::{handoff, stack, time};

/// An image on trial that cannot tell for so long whether it is well counts as ill.
const TRIAL_MS: u32 = 20;

/// Static, so that their cost shows in the link map. A block is as long as `whittle build` makes them; a larger page means
/// fewer and longer writes.
static mut BLOCK: [u8; 4096] = [0; 4096];
static mut PAGE: [u8; 512] = [0; 512];
static mut TABLES: compact::MediumTables = compact::MediumTables::NEW;

/// What is to do about updates, from where the device stands; `look` looks after the health of an image on trial.
pub fn day(look: &mut dyn FnMut() -> Health) -> Result<Stop, UpdateError> {
    // SAFETY: one core, no handler uses them, and this function runs once.
    #[allow(static_mut_refs)]
    let (block, page, tables) = unsafe { (&mut BLOCK[..], &mut PAGE[..], &mut TABLES) };
    let (mut flash, mut staging) = (Flash::open(), Region::open(layout::STAGING));
    let updater = &mut flash.updater()?;
    if let Some(slot) = handoff::slot() {
        updater.set_running_slot(slot);
    }
    let life = updater.life();
    let (phase, ending, counter) = (life.phase, life.ending, life.security_counter);
    println!("update: phase={phase:?} ending={ending:?} counter={counter}");
    if phase == Phase::Trial && !try_out(updater, look)? {
        return Ok(Stop::Software);
    }
    if updater.life().phase == Phase::Pending {
        // The boot loader could not count the trial; another reset at once would not help.
        return Ok(Stop::Over);
    }
    if matches!(updater.life().phase, Phase::Idle | Phase::Downloading)
        && !download(updater, &mut staging, block)?
    {
        return Ok(Stop::Over);
    }
    if updater.life().phase == Phase::Verified {
        let stack = stack::Painted::new();
        let buffers = Buffers { block, page, compact: Some(tables.lend()) };
        let installed = install(updater, &mut staging, buffers);
        println!("update: stack_bytes={}", stack.used());
        installed?;
        println!("update: installed");
    }
    if updater.life().phase == Phase::Installed {
        updater.activate()?;
    }
    Ok(Stop::Software)
}

/// Runs the health checks of an image on trial; whether it was committed.
fn try_out(
    updater: &mut ThermostatUpdater<'_>,
    look: &mut dyn FnMut() -> Health,
) -> Result<bool, UpdateError> {
    let deadline_ms = time::now_ms() + TRIAL_MS;
    let mut health = look();
    while health == Health::Unknown && time::now_ms() < deadline_ms {
        time::feed();
        health = look();
    }
    match health {
        Health::Good => updater.healthy()?,
        Health::Bad => updater.unhealthy()?,
        Health::Unknown => updater.too_late()?,
    }
    println!("update: trial ends, {:?}", updater.life().ending);
    Ok(health == Health::Good)
}

/// Downloads what the server offers; whether a package is there, whole.
fn download(
    updater: &mut ThermostatUpdater<'_>,
    staging: &mut Region,
    block: &mut [u8],
) -> Result<bool, UpdateError> {
    let mut outcome = fetch(updater, staging, block, DELTA);
    if let Err(UpdateError::Life(LifeError::FullImageWanted)) = outcome {
        println!("update: asks for the full image");
        outcome = fetch(updater, staging, block, FULL);
    }
    if let Err(UpdateError::Patch(error)) = outcome
        && error.culprit() == Culprit::Package
        && updater.life().phase == Phase::Downloading
    {
        // What was fetched is not what was signed, so there is nothing to go on with.
        updater.abandon()?;
    }
    outcome
}

/// Downloads a package, or the rest of the one whose download was interrupted.
fn fetch(
    updater: &mut ThermostatUpdater<'_>,
    staging: &mut Region,
    block: &mut [u8],
    wanted: &CStr,
) -> Result<bool, UpdateError> {
    let mut download = match updater.resume(staging, block)? {
        Some(download) => download,
        None => updater.download(staging, block)?,
    };
    let name = match download.manifest().map(|begun| begun.base()) {
        None => wanted,
        Some(Some(_)) => DELTA,
        Some(None) => FULL,
    };
    let Some(mut offer) = Offer::ask(name, download.offset()) else { return Ok(false) };
    let mut chunk = [0; 128];
    let mut is_shorter = download.offset() > 0;
    loop {
        time::feed();
        let mut bytes = offer.fetch(&mut chunk);
        let is_end = bytes.is_empty();
        if download.push(&mut bytes)? == Status::Done {
            break;
        }
        if is_end && is_shorter {
            // It ends before what is here of another one: `finish` says so.
            break;
        }
        if is_end {
            // The connection broke: what has come stays, and the package is not to blame.
            return Ok(false);
        }
        is_shorter = false;
    }
    let manifest = download.finish()?;
    println!("update: downloaded {:?}", manifest.target_version);
    Ok(true)
}

/// Installs what was downloaded.
#[inline(never)]
fn install(
    updater: &mut ThermostatUpdater<'_>,
    staging: &mut Region,
    buffers: Buffers<'_>,
) -> Result<(), UpdateError> {
    updater.install(staging, buffers, &mut |_| time::feed()).map(|_| ())
}
