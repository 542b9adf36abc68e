//! What came of it, counted.

use serde::Serialize;

use crate::device::{Counts, Device, Happening};
use crate::event::Share;
use crate::workshop::WAY_BACK;

/// What came of a demo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// What everything was drawn from.
    pub seed: u64,
    /// How many devices there were.
    pub devices: u32,
    /// How long it took, on the demo's own clock.
    pub hours: u32,
    /// Devices that boot nothing any more.
    pub bricks: u32,
    /// How often the power failed in the middle of an update.
    pub power_cuts: u32,
    /// Downloads that went on where they had stopped.
    pub resumed_downloads: u32,
    /// The most bytes that an interruption made a device fetch again.
    pub most_fetched_again_bytes: usize,
    /// How often an image was started on trial.
    pub trial_boots: u32,
    /// Devices that went back by themselves, once for each time.
    pub went_back: u32,
    /// Devices that were taken back by the rollout.
    pub taken_back: u32,
    /// Devices that went back or were taken back, and run the release that mends it in the end.
    pub mended: u32,
    /// Packages that were fetched.
    pub fetched: Packages,
    /// Bytes that went over the air, those that were fetched again among them.
    pub air_bytes: u64,
    /// The same if each of these updates had been the full image.
    pub air_bytes_if_full: u64,
    /// The rollouts.
    pub rollouts: Vec<RolloutSummary>,
    /// What devices run in the end.
    pub versions: Vec<Share>,
}

/// Packages that were fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Packages {
    /// Deltas.
    pub deltas: Fetched,
    /// Full images.
    pub full: Fetched,
}

/// Packages of a kind that were fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fetched {
    /// How many.
    pub packages: u32,
    /// Their bytes.
    pub bytes: u64,
}

/// What became of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RolloutSummary {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub ending: &'static str,
    /// How long it took.
    pub hours: u32,
    /// How often it paused.
    pub pauses: u32,
}

/// What became of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceReport {
    /// Its id.
    pub id: String,
    /// Its hardware revision.
    pub hardware: &'static str,
    /// The version that it ran at first.
    pub began_with: String,
    /// Versions that it committed since, in their order.
    pub committed: Vec<String>,
    /// Versions that it went back from by itself.
    pub went_back_from: Vec<String>,
    /// The version that it runs in the end.
    pub runs: String,
    /// How often its power failed in the middle of an update.
    pub power_cuts: u32,
    /// Downloads that it went on with.
    pub resumed_downloads: u32,
    /// The most bytes that an interruption made it fetch again.
    pub most_fetched_again_bytes: usize,
}

impl Summary {
    pub(crate) fn new(seed: u64, devices: u32) -> Self {
        Self {
            seed,
            devices,
            hours: 0,
            bricks: 0,
            power_cuts: 0,
            resumed_downloads: 0,
            most_fetched_again_bytes: 0,
            trial_boots: 0,
            went_back: 0,
            taken_back: 0,
            mended: 0,
            fetched: Packages::default(),
            air_bytes: 0,
            air_bytes_if_full: 0,
            rollouts: vec![],
            versions: vec![],
        }
    }

    /// Counts something that has happened to a device.
    pub(crate) fn count(&mut self, happening: &Happening) {
        match happening {
            Happening::WentBack { .. } => self.went_back += 1,
            Happening::Committed(version) if version.as_str() == WAY_BACK => self.taken_back += 1,
            Happening::Fetched { is_delta, bytes, full_bytes } => {
                let Packages { deltas, full } = &mut self.fetched;
                let kind = if *is_delta { deltas } else { full };
                kind.packages += 1;
                kind.bytes += u64::from(*bytes);
                self.air_bytes_if_full += u64::from(*full_bytes);
            }
            _ => {}
        }
    }

    /// Adds what was counted of a device.
    pub(crate) fn add(&mut self, counts: &Counts) {
        self.bricks += u32::from(counts.is_bricked);
        self.power_cuts += counts.power_cuts;
        self.resumed_downloads += counts.resumed;
        self.trial_boots += counts.trial_boots;
        self.air_bytes += counts.fetched_bytes;
        self.most_fetched_again_bytes = self.most_fetched_again_bytes.max(counts.most_again_bytes);
    }
}

impl DeviceReport {
    /// Of a device that has just left the factory.
    pub(crate) fn new(device: &Device, version: &str) -> Self {
        Self {
            id: device.id.clone(),
            hardware: device.character.hardware.name(),
            began_with: version.to_owned(),
            committed: vec![],
            went_back_from: vec![],
            runs: version.to_owned(),
            power_cuts: 0,
            resumed_downloads: 0,
            most_fetched_again_bytes: 0,
        }
    }

    /// Whether it has been back on old firmware, by itself or because it was told to.
    pub(crate) fn went_back(&self) -> bool {
        let is_back = |version: &String| version == WAY_BACK;
        !self.went_back_from.is_empty() || self.committed.iter().any(is_back)
    }

    /// The same with what was counted in the end.
    pub(crate) fn finish(self, counts: &Counts, runs: String) -> Self {
        Self {
            runs,
            power_cuts: counts.power_cuts,
            resumed_downloads: counts.resumed,
            most_fetched_again_bytes: counts.most_again_bytes,
            ..self
        }
    }
}
