//! What decides: a policy, asked through the types of `wit/policy.wit`.

pub mod types;

use std::ops::RangeInclusive;

use types::{PlanInput, PolicyInfo, RolloutPlan, Setting, Snapshot, Verdict};

/// How long the name of a release, a stage or a metric is, in bytes.
pub const NAME_BYTES: RangeInclusive<usize> = 1..=64;
/// How long the label of a group is, in bytes.
pub const LABEL_BYTES: RangeInclusive<usize> = 1..=128;
/// The greatest size of an image in bytes: up to 2^53 they are whole numbers.
pub const MOST_IMAGE_BYTES: f64 = 9_007_199_254_740_992.0;

/// An answer, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// Fuel of the call: the same input always takes the same.
    pub fuel: u64,
}

/// Why a policy gave no answer that counts: it refused, trapped, ran out of fuel or memory, or answered outside the contract.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct PolicyFault {
    /// What went wrong, in one sentence.
    pub text: String,
    /// Fuel of the call.
    pub fuel: u64,
}

/// A pure function from what is known to what shall happen. The same argument always gives the same answer.
pub trait Policy {
    /// SHA-256 of the policy's code, in hexadecimal digits.
    fn digest(&self) -> String;

    /// Says what the policy is and which input it wants under these settings.
    ///
    /// # Errors
    ///
    /// If it gives no answer that counts.
    fn describe(&self, settings: &[Setting]) -> Result<Answer<PolicyInfo>, PolicyFault>;

    /// Plans the stages of a rollout.
    ///
    /// # Errors
    ///
    /// If it gives no answer that counts.
    fn plan(&self, input: &PlanInput) -> Result<Answer<RolloutPlan>, PolicyFault>;

    /// Decides what happens next.
    ///
    /// # Errors
    ///
    /// If it gives no answer that counts.
    fn evaluate(&self, now: &Snapshot) -> Result<Answer<Verdict>, PolicyFault>;
}
