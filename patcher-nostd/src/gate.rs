//! Flags that hold a rollout back: they can close again what a stage has opened, since a stage only ever grows.

use core::str;

use whittle_format::Seed;

use crate::{DeviceFacts, VerifiedFlags, VerifiedStage};

/// The name of the flag that must be on for a device to take the target of a rollout: `update-` and the first eight hexadecimal
/// digits of the seed.
///
/// # Example
///
/// ```
/// assert_eq!(whittle_patcher_nostd::Gate::of(&[0x1f; 16]).name(), "update-1f1f1f1f");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate([u8; Gate::LEN]);

impl Gate {
    const PREFIX: &'static [u8; 7] = b"update-";
    const LEN: usize = 15;

    /// The gate of the rollout that a seed names.
    #[must_use]
    pub fn of(seed: &Seed) -> Self {
        let nibbles = seed.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let mut name = [0; Self::LEN];
        let digits = nibbles.map(|nibble| b"0123456789abcdef".get(usize::from(nibble)).copied());
        let bytes = Self::PREFIX.iter().copied().chain(digits.map(Option::unwrap_or_default));
        for (to, from) in name.iter_mut().zip(bytes) {
            *to = from;
        }
        Self(name)
    }

    /// The name of the flag.
    #[must_use]
    pub fn name(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl VerifiedStage {
    /// Whether the device may take the target: it is within the share, and the rollout's [`Gate`] is open for it.
    ///
    /// Closed without that flag, as it is to a device that has not got the flags yet.
    #[must_use]
    pub fn admits(&self, flags: &VerifiedFlags<'_>, device: &DeviceFacts<'_>) -> bool {
        let gate = Gate::of(&self.seed);
        self.includes(device.id) && flags.is_on(gate.name(), device).unwrap_or(false)
    }
}
