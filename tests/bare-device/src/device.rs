//! A device with two slots, and what it lends.

use whittle_patcher_nostd::compact::MediumTables;
use whittle_patcher_nostd::{
    Boot, Buffers, Device, ResetCause, SlotId, Status, UpdateError, Updater,
};

use crate::board::{Region, input, output, receive};
#[cfg(not(feature = "key-documents"))]
use crate::verifier::{Checker, VERIFIER};
#[cfg(feature = "key-documents")]
use crate::verifier::{Signatures, keys};
#[cfg(feature = "key-documents")]
use whittle_patcher_nostd::DeviceKeys;

pub const DEVICE: Device<'static> = Device {
    product: "thermostat",
    hardware_revision: 3,
    security_counter: 7,
    decoder_ram_bytes: 32 * 1024,
};

pub const JOURNAL: Region = Region::new(0);
pub const SLOTS: [Region; 2] = [Region::new(1), Region::new(2)];
pub const STAGING: Region = Region::new(3);

/// Memory that is lent.
pub struct Memory {
    pub block: [u8; 4096],
    pub page: [u8; 256],
    pub tables: MediumTables,
}

impl Memory {
    pub const NEW: Self = Self { block: [0; 4096], page: [0; 256], tables: MediumTables::NEW };

    pub fn buffers(&mut self) -> Buffers<'_> {
        let Self { block, page, tables } = self;
        Buffers { block, page, compact: Some(tables.lend()) }
    }
}

/// One type of flash for everything, as on a chip with one flash.
#[cfg(not(feature = "key-documents"))]
pub type OpenUpdater = Updater<'static, Region, Region, Checker>;

#[cfg(not(feature = "key-documents"))]
pub fn open() -> Result<OpenUpdater, UpdateError> {
    Updater::open(&DEVICE, VERIFIER, JOURNAL, SLOTS)
}

#[cfg(feature = "key-documents")]
pub type OpenUpdater = Updater<'static, Region, Region, DeviceKeys<'static, Signatures>>;

#[cfg(feature = "key-documents")]
pub fn open() -> Result<OpenUpdater, UpdateError> {
    Updater::open_with_keys(&DEVICE, keys(), JOURNAL, SLOTS)
}

/// What the boot loader does, and the application in turn.
pub fn update(updater: &mut OpenUpdater, memory: &mut Memory) -> Result<(), UpdateError> {
    boot(updater)?;
    match input() {
        0 => fetch(updater, memory),
        1 => {
            updater.install(&mut STAGING.clone(), memory.buffers(), &mut output)?;
            updater.activate()
        }
        2 => {
            updater.set_running_slot(if input() == 0 { SlotId::A } else { SlotId::B });
            updater.healthy()
        }
        3 => updater.unhealthy(),
        4 => updater.too_late(),
        #[cfg(feature = "key-documents")]
        5 => updater.accept_keys(receive(&mut memory.block)),
        #[cfg(feature = "key-documents")]
        6 => updater.accept_approval(receive(&mut memory.block)),
        _ => updater.abandon(),
    }
}

fn boot(updater: &mut OpenUpdater) -> Result<(), UpdateError> {
    let cause = if input() == 0 { ResetCause::PowerOn } else { ResetCause::Watchdog };
    match updater.boot(cause)? {
        Boot::Slot(slot, manifest) => {
            output(slot as u32);
            output(manifest.target_size);
        }
        Boot::Recovery => output(2),
    }
    Ok(())
}

/// Downloads a package, from where the last download ended.
fn fetch(updater: &mut OpenUpdater, memory: &mut Memory) -> Result<(), UpdateError> {
    let mut staging = STAGING;
    let mut download = match updater.resume(&mut staging, &mut memory.block)? {
        Some(download) => download,
        None => updater.download(&mut staging, &mut memory.block)?,
    };
    output(download.offset());
    let mut chunk = [0; 64];
    let mut status = Status::NeedMore;
    while status == Status::NeedMore {
        status = download.push(&mut receive(&mut chunk))?;
    }
    output(download.finish()?.target_size);
    Ok(())
}
