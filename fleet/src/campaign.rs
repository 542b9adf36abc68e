//! What a driver knows of a rollout besides its orders, and the names that follow from it.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use whittle_format::{Seed, Share};
use whittle_release::image::hex;
use whittle_rollout::{Cell, Ending, FLEET, Orders, Phase, Rollout};

/// What a driver knows of a rollout besides its orders.
#[derive(Clone, Debug, PartialEq)]
pub struct Campaign {
    /// Name of the rollout, unique among those of the fleet.
    pub name: String,
    /// Version that the target reports.
    pub version: String,
    /// Digest of the target image.
    pub build: String,
    /// Devices with the same attributes; together they are the fleet.
    pub cells: Vec<Cell>,
    /// Attributes that make the labels of groups.
    pub split_by: Vec<String>,
    /// Share of the fleet that is kept on the old firmware until the end.
    pub hold_back: f64,
    /// The stages of the plan.
    pub rings: Vec<Ring>,
    /// Which of them the rollout has come to, from 0.
    pub stage: usize,
    /// How many devices have been offered the target, as far as it was observed.
    pub offered: u32,
    /// Whether the rollout was stopped or rolled back: nothing of it goes on.
    pub is_over: bool,
}

/// A stage of the plan, as far as it concerns who is offered the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    /// The group whose devices alone it takes; none for any device.
    pub among: Option<String>,
    /// Devices that may have the target in this stage and those before it.
    pub devices: u32,
}

impl Campaign {
    /// Takes from a rollout what its driver must know.
    #[must_use]
    pub fn of(name: &str, rollout: &Rollout) -> Self {
        let state = rollout.state();
        let terms = state.terms();
        let stages = terms.plan.stages.iter().enumerate();
        let rings = stages.map(|(place, stage)| Ring {
            among: stage.among.clone(),
            devices: terms.devices_at(stage.share, place),
        });
        Self {
            name: name.to_owned(),
            version: terms.version.clone(),
            build: terms.build.clone(),
            cells: terms.cells.clone(),
            split_by: terms.split_by.clone(),
            hold_back: terms.plan.hold_back,
            rings: rings.collect(),
            stage: state.stage_index(),
            offered: state.devices_of(FLEET).map_or(0, |counts| counts.offered),
            is_over: matches!(state.phase(), Phase::Over(Ending::Stopped | Ending::RolledBack)),
        }
    }

    /// Names the rollout to servers: 1 to 54 characters of `a-z 0-9 -`, the same for the same rollout and build.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = self.digest(b"whittle rollout id v1");
        let tail = hex(&digest[..4]);
        format!("whittle-{}-{}-{tail}", slug(&self.name, 20), slug(&self.version, 14))
    }

    /// Draws the devices of the rollout, as [`Draw::Rollout`](whittle_patcher_nostd::Draw).
    #[must_use]
    pub fn seed(&self) -> Seed {
        first_half(&self.digest(b"whittle rollout seed v1"))
    }

    /// Draws the devices of its way back; all of them, but the seed names the rollout to devices.
    #[must_use]
    pub fn seed_back(&self) -> Seed {
        first_half(&self.digest(b"whittle way back seed v1"))
    }

    /// How many devices may have been offered the target by now, whatever was observed in the meantime.
    ///
    /// Orders say how many more may start *now*, so that repeating them would start them again; this is the sum.
    #[must_use]
    pub fn may_have(&self, orders: &Orders) -> u32 {
        orders.devices.min(self.offered.saturating_add(orders.start_now))
    }

    /// Labels of the groups that a cell belongs to: the fleet's first.
    #[must_use]
    pub fn labels(&self, cell: &Cell) -> Vec<String> {
        cell.labels(&self.split_by)
    }

    /// Devices with a label.
    #[must_use]
    pub fn devices_of(&self, label: &str) -> u32 {
        let cells = self.cells.iter().filter(|cell| self.labels(cell).iter().any(|l| l == label));
        cells.fold(0, |sum, cell| sum.saturating_add(cell.devices))
    }

    /// The share of the draw that may have the target: all but those that are held back.
    #[must_use]
    pub fn reach(&self, orders: &Orders) -> Share {
        let held_back = if orders.release_held_back { 0.0 } else { self.hold_back };
        share(1.0 - held_back)
    }

    fn digest(&self, domain: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in [domain, self.name.as_bytes(), self.build.as_bytes()] {
            // With its length, so that no two lists of parts are hashed alike.
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

/// A fraction as a share, rounded to the nearest millionth; none of what is no number.
pub(crate) fn share(fraction: f64) -> Share {
    let whole = f64::from(Share::WHOLE_PPM);
    // Between 0 and a million.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let ppm = (fraction.clamp(0.0, 1.0) * whole).round() as u32;
    Share::from_ppm(ppm.min(Share::WHOLE_PPM)).unwrap_or(Share::NONE)
}

fn first_half(digest: &[u8; 32]) -> Seed {
    whittle_format::shorten(digest)
}

/// The text with nothing in it that any server could mind.
fn slug(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    text.chars().map(plain).take(most).collect()
}

/// Attributes of a cell, for an error.
pub(crate) fn attributes(attributes: &BTreeMap<String, String>) -> String {
    let parts: Vec<_> = attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(name: &str, build: &str) -> Campaign {
        Campaign {
            name: name.to_owned(),
            version: "2.4.1+rc 1".to_owned(),
            build: build.to_owned(),
            cells: vec![],
            split_by: vec![],
            hold_back: 0.0,
            rings: vec![],
            stage: 0,
            offered: 0,
            is_over: false,
        }
    }

    #[test]
    fn names_follow_from_rollout_and_build() {
        let one = campaign("Spring Rollout of the thermostats", "aa");
        let id = one.id();
        assert!(id.starts_with("whittle-spring-rollout-of-th-2-4-1-rc-1-"), "{id}");
        assert!(id.len() <= 54, "{id}");
        let longest = campaign(&"x".repeat(100), "aa").id();
        assert!(longest.len() <= 54, "{longest}");
        assert_eq!(id, one.clone().id());
        assert_eq!(one.seed(), one.clone().seed());
        let others =
            [campaign("spring", "aa"), campaign("Spring Rollout of the thermostats", "ab")];
        for other in others {
            assert_ne!(other.id(), id);
            assert_ne!(other.seed(), one.seed());
            assert_ne!(other.seed(), other.seed_back());
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(campaign("ab", "c").seed(), campaign("a", "bc").seed());
    }
}
