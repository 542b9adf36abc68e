//! The application's part of an update, for callers that await: the ladder of `examples/device` with the updater's async twin.

use core::cell::RefCell;
use core::ffi::CStr;

use embassy_time::{Duration, Timer, with_timeout};
use semihosting::println;
use static_cell::ConstStaticCell;
use whittle_patcher_nostd::asynchronous::Updater;
use whittle_patcher_nostd::{
    Buffers, Culprit, LifeError, Phase, Status, TrustedKeys, UpdateError, compact,
};

use crate::background::Background;
use crate::device::{DEVICE, KEYS};
use crate::layout::{self, Stop};
use crate::server::Offer;
use crate::thermostat::{DELTA, FULL, Health};
use crate::{Room, handoff, stack};

type ThermostatUpdater = Updater<'static, Background, Background, TrustedKeys<'static>>;

/// An image on trial that cannot tell for so long whether it is well counts as ill.
const TRIAL: Duration = Duration::from_millis(20);

static BLOCK: ConstStaticCell<[u8; 4096]> = ConstStaticCell::new([0; 4096]);
static PAGE: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
static TABLES: ConstStaticCell<compact::MediumTables> =
    ConstStaticCell::new(compact::MediumTables::NEW);

/// What is to do about updates, from where the device stands; called once.
pub async fn day(room: &RefCell<Room>) -> Result<Stop, UpdateError> {
    let (block, page, tables) = (BLOCK.take(), PAGE.take(), TABLES.take());
    let mut staging = Background::open(layout::STAGING);
    let journal = Background::open(layout::JOURNAL);
    let slots = [layout::SLOT_A, layout::SLOT_B].map(Background::open);
    let updater = &mut Updater::open(&DEVICE, KEYS, journal, slots).await?;
    if let Some(slot) = handoff::slot() {
        updater.set_running_slot(slot);
    }
    let life = updater.life();
    let (phase, ending, counter) = (life.phase, life.ending, life.security_counter);
    println!("update: phase={phase:?} ending={ending:?} counter={counter}");
    if phase == Phase::Trial && !try_out(updater, room).await? {
        return Ok(Stop::Software);
    }
    if updater.life().phase == Phase::Pending {
        // The boot loader could not count the trial; another reset at once would not help.
        return Ok(Stop::Over);
    }
    if matches!(updater.life().phase, Phase::Idle | Phase::Downloading)
        && !download(updater, &mut staging, block).await?
    {
        return Ok(Stop::Over);
    }
    if updater.life().phase == Phase::Verified {
        let buffers = Buffers { block, page, compact: Some(tables.lend()) };
        let stack = stack::Painted::new();
        let installed = updater.install(&mut staging, buffers, &mut |_| {}).await;
        println!("update: stack_bytes={}", stack.used());
        installed?;
        println!("update: installed");
    }
    if updater.life().phase == Phase::Installed {
        updater.activate().await?;
    }
    Ok(Stop::Software)
}

/// Waits for the health of an image on trial; whether it was committed.
async fn try_out(
    updater: &mut ThermostatUpdater,
    room: &RefCell<Room>,
) -> Result<bool, UpdateError> {
    let health = with_timeout(TRIAL, known_health(room)).await.unwrap_or(Health::Unknown);
    match health {
        Health::Good => updater.healthy().await?,
        Health::Bad => updater.unhealthy().await?,
        Health::Unknown => updater.too_late().await?,
    }
    println!("update: trial ends, {:?}", updater.life().ending);
    Ok(health == Health::Good)
}

async fn known_health(room: &RefCell<Room>) -> Health {
    loop {
        let health = room.borrow().thermostat.health();
        if health != Health::Unknown {
            return health;
        }
        Timer::after_millis(1).await;
    }
}

/// Downloads what the server offers; whether a package is there, whole.
async fn download(
    updater: &mut ThermostatUpdater,
    staging: &mut Background,
    block: &mut [u8],
) -> Result<bool, UpdateError> {
    let mut outcome = fetch(updater, staging, block, DELTA).await;
    if let Err(UpdateError::Life(LifeError::FullImageWanted)) = outcome {
        println!("update: asks for the full image");
        outcome = fetch(updater, staging, block, FULL).await;
    }
    if let Err(UpdateError::Patch(error)) = outcome
        && error.culprit() == Culprit::Package
        && updater.life().phase == Phase::Downloading
    {
        // What was fetched is not what was signed, so there is nothing to go on with.
        updater.abandon().await?;
    }
    outcome
}

/// Downloads a package, or the rest of the one whose download was interrupted.
async fn fetch(
    updater: &mut ThermostatUpdater,
    staging: &mut Background,
    block: &mut [u8],
    wanted: &CStr,
) -> Result<bool, UpdateError> {
    let mut download = match updater.resume(staging, block).await? {
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
        let mut bytes = offer.fetch(&mut chunk);
        let is_end = bytes.is_empty();
        if download.push(&mut bytes).await? == Status::Done {
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
    let manifest = download.finish().await?;
    println!("update: downloaded {:?}", manifest.target_version);
    Ok(true)
}
