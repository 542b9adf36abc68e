//! A device with two slots that are as small as can be, and the first steps of its update.

use whittle_flash_sim::{Chip, Supply};
use whittle_patcher_nostd::life::boots_from;
use whittle_patcher_nostd::{Boot, LifeState, ResetCause, SlotId};

use super::blocking::world::{Flash, Geometry};
use super::packages::Releases;

pub(super) const GEOMETRY: Geometry = Geometry { bank: 1024, slot: 1024, staging: 2048 };

/// A device with the old image, and nothing wrong with its flash.
pub(super) fn plain(releases: &Releases) -> Flash<1, 8, 256> {
    Flash::new(Chip::PLAIN, GEOMETRY, releases, &Supply::new())
}

/// A device on which the new image runs on trial.
pub(super) fn on_trial(releases: &Releases) -> Flash<1, 8, 256> {
    let mut flash = plain(releases);
    install(&mut flash, releases);
    assert!(matches!(boot(&mut flash), Boot::Slot(SlotId::B, _)));
    flash
}

pub(super) fn install(flash: &mut Flash<1, 8, 256>, releases: &Releases) {
    flash.fetch_whole(&releases.new_full).expect("fetched");
    flash.install().expect("installs");
    flash.updater().expect("opens").activate().expect("activates");
}

pub(super) fn boot(flash: &mut Flash<1, 8, 256>) -> Boot {
    flash.updater().expect("opens").boot(ResetCause::PowerOn).expect("boots")
}

/// The image on trial says that it is well.
pub(super) fn commit(flash: &mut Flash<1, 8, 256>) {
    let mut updater = flash.updater().expect("opens");
    updater.set_running_slot(boots_from(updater.life()));
    updater.healthy().expect("commits");
}

pub(super) fn life(flash: &mut Flash<1, 8, 256>) -> LifeState {
    *flash.updater().expect("opens").life()
}
