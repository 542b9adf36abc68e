//! Keys that change: what is accepted is put into the journal, and only then trusted.

use whittle_format::journal::Kind;
use whittle_format::life::SlotId;
use whittle_format::limits::{
    MAX_APPROVAL_ENVELOPE_BYTES, MAX_FLAGS_ENVELOPE_BYTES, MAX_KEYS_FILE_BYTES,
};

use super::journal::Journal;
use super::updater::Updater;
use super::{NorFlash, both};
use crate::document::authenticate_document;
use crate::keys::{DeviceKeys, KeyChecker, KeySet};
use crate::life;
use crate::signed_slot::{check_slot_for, slot_mut};
use crate::verify::Purpose;
use crate::{Culprit, Device, DocumentError, JournalError, PatchError, UpdateError};

#[both]
impl<'d, 'k, J: NorFlash, F: NorFlash, C: KeyChecker + Clone> Updater<'d, J, F, DeviceKeys<'k, C>> {
    /// Opens the journal as [`Self::open`] does, and trusts the keys that it leads to.
    ///
    /// A keys file that does not begin with the firmware's own keys, because these are others by now, counts for nothing.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub async fn open_with_keys(
        device: &Device<'d>,
        keys: DeviceKeys<'k, C>,
        journal: J,
        slots: [F; 2],
    ) -> Result<Self, UpdateError> {
        let mut journal = Journal::open(journal).await?;
        let mut keys = keys;
        let mut bytes = [0; MAX_KEYS_FILE_BYTES];
        if let Some(file) = journal.read(Kind::Keys, &mut bytes)? {
            let _ = keys.load(file, device.product);
        }
        let mut updater = Self::start(device, keys, journal, slots).await?;
        updater.load_approval()?;
        Ok(updater)
    }

    /// The same for a device with a single slot: see [`Self::open_single`].
    ///
    /// # Errors
    /// Those of [`Self::open`].
    #[cfg(feature = "in-place")]
    pub async fn open_single_with_keys(
        device: &Device<'d>,
        keys: DeviceKeys<'k, C>,
        journal: J,
        slot: F,
    ) -> Result<Self, UpdateError>
    where
        F: Clone,
    {
        let slots = [slot.clone(), slot];
        let mut updater = Self::open_with_keys(device, keys, journal, slots).await?;
        updater.is_single = true;
        Ok(updater)
    }

    /// The keys that count now.
    #[must_use]
    pub fn keys(&self) -> &KeySet {
        self.verifier.keys()
    }

    /// Checks a keys file, keeps it, and trusts the keys that it leads to from now on.
    ///
    /// What is signed by a key that is not among them any more is refused: packages that come or are staged, flags and stages,
    /// also those that are kept; an image that is installed and was never committed does not start. After a power cut the keys
    /// are either those from before or the new ones. Where the journal has no room for the file, what such keys have signed
    /// is taken from it: whoever stole one may have filled it.
    ///
    /// # Errors
    /// [`UpdateError::Document`] or [`UpdateError::Journal`]; [`UpdateError::Patch`] where a slot cannot be read now. What was
    /// trusted before still is; what has given way is gone also where that did not make room enough.
    pub async fn accept_keys(&mut self, file: &[u8]) -> Result<(), UpdateError> {
        let set = self.verifier.follow(file, self.device.product)?;
        let keys = self.verifier.clone().with(set);
        let device = self.device_now();
        // A trial is committed while it runs, and what ran before may be below its security counter then.
        let (committed, running) = (self.life.committed, life::boots_from(&self.life));
        for slot in [SlotId::A, SlotId::B] {
            if slot != committed && slot != running {
                continue;
            }
            // As the next boot will ask.
            let purpose = if slot == committed { Purpose::Installed } else { Purpose::Starting };
            match check_slot_for(purpose, slot_mut(&mut self.slots, slot), &device, &keys) {
                Err(PatchError::UnknownKey | PatchError::BadSignature) => {
                    return Err(DocumentError::ImageNotTrusted.into());
                }
                // Nobody knows who signed what cannot be read now.
                Err(error) if error.culprit() == Culprit::Hardware => return Err(error.into()),
                // A slot with another fault does not boot as it is.
                Ok(_) | Err(_) => {}
            }
        }
        let kept = self.journal.append(Kind::Keys, file).await;
        if kept == Err(JournalError::Full) {
            self.forget_untrusted(&keys).await?;
            self.journal.append(Kind::Keys, file).await?;
        } else {
            kept?;
        }
        self.verifier = keys;
        // Those who approved it may not count any more.
        self.verifier.approval = None;
        // One that cannot be read now counts at the next start.
        let _ = self.load_approval();
        Ok(())
    }

    /// Takes from the journal what is not signed as these keys ask.
    async fn forget_untrusted(&mut self, keys: &DeviceKeys<'k, C>) -> Result<(), UpdateError> {
        const LIMIT: usize = MAX_FLAGS_ENVELOPE_BYTES;
        let mut bytes = [0; LIMIT];
        for kind in [Kind::Flags, Kind::Stage, Kind::Approval] {
            let Some(kept) = self.journal.read(kind, &mut bytes)? else { continue };
            let is_trusted = match kind {
                Kind::Approval => keys.check_approval(kept, self.device.product).is_ok(),
                _ => authenticate_document::<LIMIT>(kept, keys).is_ok(),
            };
            if !is_trusted {
                self.journal.append(kind, &[]).await?;
            }
        }
        Ok(())
    }

    /// Checks that as many keys as must have approved a target, and keeps that in place of what was kept before.
    ///
    /// # Errors
    /// [`UpdateError::Document`] or [`UpdateError::Journal`]; what was kept before still is.
    pub async fn accept_approval(&mut self, envelope: &[u8]) -> Result<(), UpdateError> {
        let approval = self.verifier.check_approval(envelope, self.device.product)?;
        self.journal.append(Kind::Approval, envelope).await?;
        self.verifier.approval = Some(approval);
        Ok(())
    }

    /// Takes up the approval that is kept, if the keys that count now still make it one.
    fn load_approval(&mut self) -> Result<(), UpdateError> {
        let mut bytes = [0; MAX_APPROVAL_ENVELOPE_BYTES];
        let kept = self.journal.read(Kind::Approval, &mut bytes)?;
        let product = self.device.product;
        self.verifier.approval =
            kept.and_then(|kept| self.verifier.check_approval(kept, product).ok());
        Ok(())
    }
}
