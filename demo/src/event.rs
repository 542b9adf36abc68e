//! What one sees: the timeline of a demo, for people and for programs.

use serde::Serialize;
use whittle_release::build::Artifact;
use whittle_rollout::Decided;
use whittle_rollout::policy::types::Stage;

/// Something that happened, and when.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Told {
    /// Hours from the start, on the demo's own clock.
    pub hour: u32,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The fleet as it is before anything is rolled out.
    Fleet {
        /// How many devices there are.
        devices: u32,
        /// By their hardware revision.
        hardware: Vec<Share>,
        /// By the version that they run.
        versions: Vec<Share>,
        /// What will get in the way.
        troubles: Troubles,
    },
    /// A release was built and signed.
    Built {
        /// Its version.
        version: String,
        /// Its security counter.
        security_counter: u32,
        /// Size of its image.
        image_bytes: u32,
        /// Its packages, the full image last.
        packages: Vec<BuiltPackage>,
    },
    /// A release was published.
    Published {
        /// Its version.
        version: String,
        /// The channel that points to it.
        channel: String,
        /// How many objects were sent.
        objects: usize,
        /// Bytes of these.
        bytes: u64,
    },
    /// A rollout was started.
    Started {
        /// Its name.
        rollout: String,
        /// The version that it rolls out.
        version: String,
        /// The policy that decides.
        policy: String,
        /// SHA-256 of the policy's code.
        policy_sha256: String,
        /// Its stages, and how many devices each reaches.
        stages: Vec<(Stage, u32)>,
        /// Devices that are held back until the end.
        held_back: u32,
    },
    /// The rollout as it is after a look.
    Look(Look),
    /// What became of one device.
    Device(Note),
    /// The policy, a guard rail or a person decided something.
    Decided {
        /// What, by whom, and why.
        #[serde(flatten)]
        decided: Decided,
    },
    /// A made-up person says something.
    Said {
        /// Who.
        who: &'static str,
        /// What.
        what: String,
    },
    /// Signed documents were published for devices.
    Ordered {
        /// Their files.
        files: Vec<String>,
    },
    /// What devices run now.
    Versions {
        /// By version.
        versions: Vec<Share>,
    },
}

/// So many devices of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Share {
    /// Which kind.
    pub name: String,
    /// How many.
    pub devices: u32,
}

/// What gets in the way of updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Troubles {
    /// Devices that run a version for which there is no delta.
    pub stragglers: u32,
    /// Devices that are out of reach for hours.
    pub offline: u32,
    /// Devices that can fetch little in an hour.
    pub narrow: u32,
}

/// A package of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuiltPackage {
    /// The version that it is for; none for the full image.
    pub base: Option<String>,
    /// All that a device fetches, in bytes.
    pub bytes: u64,
    /// Name of the codec.
    pub codec: &'static str,
}

impl BuiltPackage {
    pub(crate) fn of(artifact: &Artifact) -> Self {
        let (base, codec) = (artifact.base_version.clone(), artifact.codec);
        Self { base, bytes: artifact.download_bytes, codec }
    }
}

/// A rollout as it is after a look.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Look {
    /// Name of the stage that it is in.
    pub stage: String,
    /// What it does.
    pub phase: &'static str,
    /// Devices that were offered the release.
    pub offered: u32,
    /// Of those, have installed it.
    pub updated: u32,
    /// Of the updated, have committed it.
    pub committed: u32,
    /// Of the updated, went back.
    pub rolled_back: u32,
    /// The e-value by which the policy judges crashes: how many times more likely the figures are if new firmware is worse. None if it
    /// does not tell.
    pub e_value: Option<f64>,
    /// The revision of which the engine's own test says most; none if nothing has been compared.
    pub worst: Option<Worst>,
}

/// A group, and how much worse it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Worst {
    /// Its label.
    pub group: String,
    /// How many times as often new firmware crashes as old firmware does.
    pub ratio: f64,
}

/// What became of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "happening")]
pub enum Note {
    /// It went back by itself.
    WentBack {
        /// Its id.
        device: String,
        /// Its hardware revision.
        hardware: &'static str,
        /// From which version.
        from: String,
        /// To which one.
        to: String,
        /// Why, in words.
        why: &'static str,
        /// How often the new image was started.
        boots: u32,
    },
    /// It went back because the rollout ordered it.
    TakenBack {
        /// Its id.
        device: String,
        /// Its hardware revision.
        hardware: &'static str,
        /// To which version.
        to: String,
    },
    /// It was back on old firmware, and runs the release that mends it.
    Mended {
        /// Its id.
        device: String,
        /// Its hardware revision.
        hardware: &'static str,
        /// That release.
        version: String,
    },
    /// It has its power back.
    PowerCameBack {
        /// Its id.
        device: String,
        /// Its hardware revision.
        hardware: &'static str,
        /// What its journal says that it was at.
        during: &'static str,
    },
    /// It went on with a download.
    Resumed {
        /// Its id.
        device: String,
        /// At which byte of the package.
        at: u32,
    },
}
