//! A loaded policy as the rollout engine asks it.

use whittle_rollout::policy::{Answer, PolicyFault};

use crate::error::CallError;
use crate::host::{self, Policy};
use crate::types::{PlanInput, PolicyInfo, RolloutPlan, Setting, Snapshot, Verdict};

impl whittle_rollout::policy::Policy for Policy {
    fn digest(&self) -> String {
        Policy::digest(self).to_string()
    }

    fn describe(&self, settings: &[Setting]) -> Result<Answer<PolicyInfo>, PolicyFault> {
        told(Policy::describe(self, settings))
    }

    fn plan(&self, input: &PlanInput) -> Result<Answer<RolloutPlan>, PolicyFault> {
        told(Policy::plan(self, input))
    }

    fn evaluate(&self, now: &Snapshot) -> Result<Answer<Verdict>, PolicyFault> {
        told(Policy::evaluate(self, now))
    }
}

fn told<T>(answer: Result<host::Answer<T>, CallError>) -> Result<Answer<T>, PolicyFault> {
    match answer {
        Ok(host::Answer { value, usage }) => Ok(Answer { value, fuel: usage.fuel }),
        Err(error) => Err(PolicyFault { fuel: error.usage.fuel, text: in_one_sentence(&error) }),
    }
}

/// An error with all its causes.
fn in_one_sentence(error: &CallError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
