//! A device with a single slot: the application asks for an installation in place, and the boot loader carries it out.

use whittle_format::journal::Kind;
use whittle_format::life::Phase;
use whittle_format::staging::Progress;

use super::updater::Updater;
use super::{NorFlash, both};
use crate::{Device, LifeError, UpdateError, Verifier};

#[both]
impl<'d, J: NorFlash, F: NorFlash + Clone, V: Verifier> Updater<'d, J, F, V> {
    /// Opens the journal of a device with a single slot; a clone of `slot` is the same one, such as a
    /// [`Partition`](crate::Partition) of flash that blocks.
    ///
    /// A boot loader asks [`Self::is_in_place_wanted`] and goes on with
    /// [`install_in_place`](crate::Updater::install_in_place) before it calls [`Self::boot`].
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub async fn open_single(
        device: &Device<'d>,
        verifier: V,
        journal: J,
        slot: F,
    ) -> Result<Self, UpdateError> {
        let mut updater = Self::open(device, verifier, journal, [slot.clone(), slot]).await?;
        updater.is_single = true;
        Ok(updater)
    }
}

#[both]
impl<J: NorFlash, F: NorFlash, V: Verifier> Updater<'_, J, F, V> {
    /// Asks the boot loader to install what is staged in the place of the running image.
    ///
    /// # Errors
    /// [`LifeError::OutOfTurn`] unless a package is staged on a device with a single slot, or [`UpdateError::Journal`].
    pub async fn request_in_place(&mut self) -> Result<(), UpdateError> {
        if self.life.phase != Phase::Verified || !self.is_single() {
            return Err(LifeError::OutOfTurn { phase: self.life.phase }.into());
        }
        let progress = self.progress()?;
        if !progress.is_wanted {
            let wanted = Progress { is_wanted: true, ..progress };
            self.journal.append_needed(Kind::Progress, &wanted.emit()).await?;
        }
        Ok(())
    }

    /// Whether an installation in place is wanted, or under way: a boot loader goes on with
    /// [`install_in_place`](crate::Updater::install_in_place) before it calls [`Self::boot`].
    ///
    /// # Errors
    /// [`UpdateError::Journal`] or [`UpdateError::Record`].
    pub fn is_in_place_wanted(&mut self) -> Result<bool, UpdateError> {
        Ok(self.is_single() && self.life.phase == Phase::Verified && self.progress()?.is_wanted)
    }

    /// Whether the slot has been changed, so that nothing boots until the installation is done.
    pub(crate) fn is_being_replaced(&mut self) -> Result<bool, UpdateError> {
        Ok(self.is_in_place_wanted()? && self.progress()?.moves > 0)
    }
}
