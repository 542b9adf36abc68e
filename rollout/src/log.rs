//! What is written down: each input of a rollout with its outcome, one after the other, never changed.

use serde::{Deserialize, Serialize};

use crate::observation::{Observation, Problem};
use crate::policy::types::{
    DecidedBy, Decision, FlagOrder, PauseOrder, Reason, RollbackOrder, RootCause, Verdict,
};
use crate::terms::Terms;

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its place: 0 for the first, and one more for each that follows. Two that append the same place have both decided, and a
    /// store takes one of them.
    pub sequence: u64,
    /// When it happened, in seconds from 1970, UTC. Never falls.
    pub at_s: u64,
    /// What came in.
    pub input: Input,
    /// What came of it: a function of the inputs so far.
    pub outcome: Outcome,
}

/// What comes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// The rollout starts.
    Start(Box<Terms>),
    /// Figures come in.
    Observe(Observation),
    /// Figures should have come in, and did not.
    Unread {
        /// Why: what could not be read, for people; 1,024 bytes at most.
        why: String,
    },
    /// The policy was asked.
    Tick(Asked),
    /// A person speaks.
    Command {
        /// Who.
        by: String,
        /// What.
        command: Command,
    },
}

/// A call of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Digest of the policy.
    pub policy: String,
    /// SHA-256 of the snapshot that it was asked with, as JSON, in hexadecimal digits.
    pub input: String,
    /// What it answered; if it failed, what it did when it was asked again.
    pub answers: Vec<Answered>,
}

/// What a policy answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Answered {
    /// A verdict.
    Verdict {
        /// Which one.
        verdict: Box<Verdict>,
        /// Fuel of the call: about one for each instruction of WebAssembly.
        fuel: u64,
    },
    /// None that counts.
    Fault {
        /// Why.
        text: String,
        /// Fuel of the call.
        fuel: u64,
    },
}

/// What a person says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// The stage of this name may begin.
    Approve(String),
    /// The rollout may reach this share, from 0 to 1, although a policy would have to wait.
    Advance(f64),
    /// The rollout pauses. No policy ends this pause.
    Pause(PauseOrder),
    /// The pause ends, and the rollout may reach this share, from 0 to 1.
    Resume(f64),
    /// Devices go back.
    RollBack(RollbackOrder),
    /// The rollout is given up.
    Stop,
    /// What is known about the cause of the pause.
    RootCause(RootCause),
    /// Devices are counted anew: what has fallen is right, because devices were taken out of the fleet or their source begins anew.
    Recount,
}

/// What came of an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The rollout has started.
    Started,
    /// The figures were counted.
    Counted,
    /// The figures were set aside. Nothing goes on until better ones come.
    SetAside(Problem),
    /// It was noted.
    Noted,
    /// It was decided.
    Decided(Box<Decided>),
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// What happens.
    pub decision: Decision,
    /// Who decided.
    pub by: DecidedBy,
    /// Guard rails that changed what the policy wanted, or decided themselves.
    #[serde(default)]
    pub rails: Vec<Rail>,
    /// Why: guard rails first.
    pub reasons: Vec<Reason>,
    /// Feature flags to turn on or off.
    #[serde(default)]
    pub feature_flags: Vec<FlagOrder>,
}

/// A rule that the host enforces whatever a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Rail {
    /// Stages come in their order, and none is skipped.
    StageOrder,
    /// A share grows by a limited factor.
    Growth,
    /// A stage is watched for its time, and long enough to see something.
    Watch,
    /// Few devices have what they have not committed, and support can help those that may fail.
    BlastRadius,
    /// Devices are lost: others are taken back.
    Kill,
    /// A pause has a deadline, and then happens what was declared.
    Deadline,
    /// No answer that counts means a pause.
    Fault,
    /// Freezes, windows, approvals and people come first.
    Order,
    /// A resumption stays within its stage, a roll-back within the groups that there are, and a quarantine stays.
    Bounds,
    /// One policy decides, and each of its calls is logged.
    PolicyPinned,
    /// Without fresh figures nothing goes on.
    Freshness,
}
