//! What boot loader and application must agree on: who the device is, whom it trusts, and where its journal lies.

use whittle_patcher_nostd::{Device, TrustedKeys, UpdateError, Updater};

use crate::flash::Region;
use crate::key::WHITTLE_PUBLIC_KEY;
use crate::layout;

/// The device as it left the factory.
pub const DEVICE: Device<'static> = Device {
    product: "thermostat",
    hardware_revision: 1,
    // A chip with fuses would read the counter there; the journal's rises with each release that is committed.
    security_counter: 0,
    decoder_ram_bytes: 16 * 1024,
};

/// The key that signs releases; a list, so that a new one can come before the old one goes.
pub const KEYS: TrustedKeys<'static> = TrustedKeys(&[WHITTLE_PUBLIC_KEY]);

/// Both programs open the same updater: one to choose a slot, the other to fill it.
pub type ThermostatUpdater<'f> =
    Updater<'static, &'f mut Region, &'f mut Region, TrustedKeys<'static>>;

/// What an updater needs of the flash.
pub struct Flash {
    pub journal: Region,
    pub slots: [Region; 2],
}

impl Flash {
    /// Opens the regions; called once.
    pub fn open() -> Self {
        Self {
            journal: Region::open(layout::JOURNAL),
            slots: [Region::open(layout::SLOT_A), Region::open(layout::SLOT_B)],
        }
    }

    /// Opens the journal.
    pub fn updater(&mut self) -> Result<ThermostatUpdater<'_>, UpdateError> {
        let [a, b] = &mut self.slots;
        Updater::open(&DEVICE, KEYS, &mut self.journal, [a, b])
    }
}
