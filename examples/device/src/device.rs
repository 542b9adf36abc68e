//! What boot loader and application must agree on: who the device is, whom it trusts, and where its journal lies.

use whittle_patcher_nostd::{Device, PublicKey, TrustedKeys, UpdateError, Updater};

use crate::flash::Region;
use crate::layout;

/// The device as it left the factory.
pub const DEVICE: Device<'static> = Device {
    product: "thermostat",
    hardware_revision: 1,
    // A chip with fuses would read the counter there; the journal's rises with each release that is committed.
    security_counter: 0,
    decoder_ram_bytes: 16 * 1024,
};

/// The key of the project's tests, public and therefore worthless: put the output of
/// `whittle pubkey keys/release.pub.pem --to rust` here.
pub const KEYS: TrustedKeys<'static> = TrustedKeys(&[[
    0xea, 0x4a, 0x6c, 0x63, 0xe2, 0x9c, 0x52, 0x0a, 0xbe, 0xf5, 0x50, 0x7b, 0x13, 0x2e, 0xc5, 0xf9,
    0x95, 0x47, 0x76, 0xae, 0xbe, 0xbe, 0x7b, 0x92, 0x42, 0x1e, 0xea, 0x69, 0x14, 0x46, 0xd2, 0x2c,
] as PublicKey]);

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
