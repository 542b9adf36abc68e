//! What makes one device differ from another: hardware, link, habits, and what the faulty release does to it.

use crate::draws::{Draws, Purpose};
use crate::workshop::FAULTY;

/// The attribute that tells revisions apart.
pub(crate) const ATTRIBUTE: &str = "hw";

/// Crashes of old firmware for each hour, of a thousand devices: one in ten days.
const CRASHES_OF_1000: u32 = 4;

/// The same of the faulty release, on devices that it lets start.
const FAULTY_CRASHES_OF_1000: u32 = 250;

/// A check-in comes every so many hours.
const CHECK_IN_HOURS: u32 = 12;

/// A revision of the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hardware {
    A,
    B,
    C,
}

impl Hardware {
    pub(crate) const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// As signed manifests know it.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::B => 2,
            Self::C => 3,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }

    /// The label of its group in a rollout.
    pub(crate) fn label(self) -> String {
        format!("{ATTRIBUTE}={}", self.name())
    }

    /// The name of its group in signed flags.
    pub(crate) fn group(self) -> String {
        format!("{ATTRIBUTE}.{}", self.name())
    }
}

/// What the faulty release does to a device of the bad revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It crashes before it can do anything, at each start.
    CrashesAtStart,
    /// It starts, and never gets to its health checks.
    HangsAtStart,
    /// It passes its health checks, and crashes now and then.
    CrashesLater,
}

/// How much a device can fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Wide,
    /// A radio with a small allowance, so that a download takes hours.
    Narrow,
}

impl Link {
    pub(crate) fn bytes_per_hour(self) -> usize {
        match self {
            Self::Wide => usize::MAX,
            Self::Narrow => 3000,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Character {
    pub(crate) hardware: Hardware,
    /// The version that it left the factory with, or was updated to since.
    pub(crate) version: &'static str,
    pub(crate) link: Link,
    /// What the faulty release does to it, if it is of the bad revision.
    flaw: Flaw,
    phase_h: u32,
    /// It cannot be reached from the first of these hours until before the second one.
    offline_h: (u32, u32),
}

impl Character {
    pub(crate) fn draw(seed: u64, number: u32) -> Self {
        let mut draws = Draws::of(seed, Purpose::Character, number, 0);
        let hardware = draws.weighted([(Hardware::A, 430), (Hardware::B, 330), (Hardware::C, 240)]);
        // The last one is outside of the bases that releases are built for.
        let versions = [("2.3.0", 620), ("2.2.0", 200), ("2.1.0", 110), ("1.9.0", 70)];
        let version = draws.weighted(versions);
        let link = draws.weighted([(Link::Narrow, 100), (Link::Wide, 900)]);
        let flaws =
            [(Flaw::CrashesAtStart, 550), (Flaw::HangsAtStart, 150), (Flaw::CrashesLater, 300)];
        let flaw = draws.weighted(flaws);
        let phase_h = draws.below(CHECK_IN_HOURS);
        let (from_h, lasts_h) = (draws.below(90), 8 + draws.below(32));
        let is_ever_offline = draws.happens(150);
        let offline_h = if is_ever_offline { (from_h, from_h + lasts_h) } else { (0, 0) };
        Self { hardware, version, link, flaw, phase_h, offline_h }
    }

    /// What is wrong with a version on this device; none if nothing is.
    pub(crate) fn flaw_of(&self, version: &str) -> Option<Flaw> {
        (version == FAULTY && self.hardware == Hardware::C).then_some(self.flaw)
    }

    /// Whether it is never out of reach.
    pub(crate) fn is_steady(&self) -> bool {
        self.offline_h.0 == self.offline_h.1
    }

    pub(crate) fn is_offline(&self, hour: u32) -> bool {
        (self.offline_h.0..self.offline_h.1).contains(&hour)
    }

    pub(crate) fn checks_in(&self, hour: u32) -> bool {
        hour % CHECK_IN_HOURS == self.phase_h
    }

    /// How often a version crashes on it in an hour, of a thousand times.
    pub(crate) fn crashes_of_1000(&self, version: &str) -> u32 {
        match self.flaw_of(version) {
            Some(_) => FAULTY_CRASHES_OF_1000,
            None => CRASHES_OF_1000,
        }
    }
}
