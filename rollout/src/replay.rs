//! Computes a rollout from its log once more, and compares.

use std::collections::BTreeSet;

use crate::log::{Answered, Entry, Input};
use crate::policy::Policy;
use crate::rollout::{Refusal, Rollout, plan};
use crate::snapshot::digest;
use crate::terms::{BadTerms, Terms};

/// Where a log and its replay differ.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("entry {sequence} of the log does not replay")]
pub struct Difference {
    /// Place of the entry.
    pub sequence: u64,
    /// In which way.
    #[source]
    pub why: Mismatch,
}

/// In which way an entry differs from its replay.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// There is nothing to replay.
    #[error("the log is empty")]
    Empty,
    /// An entry is missing, or stands there twice.
    #[error("it stands at place {0}")]
    Sequence(u64),
    /// A log begins with the start of a rollout.
    #[error("the rollout does not start with it")]
    NoStart,
    /// The terms contradict themselves.
    #[error("its terms are not accepted")]
    Terms(#[source] BadTerms),
    /// It is refused.
    #[error("it is refused")]
    Refused(#[source] Refusal),
    /// The policy at hand is another one.
    #[error("it was decided by policy {wanted}, this one is {got}")]
    Policy {
        /// Digest of the policy at hand.
        got: String,
        /// Digest of the one that was agreed on.
        wanted: String,
    },
    /// The policy was asked with something else.
    #[error("the policy was asked with {logged}, now it is {replayed}")]
    Snapshot {
        /// Digest of the snapshot then.
        logged: String,
        /// Digest of the snapshot now.
        replayed: String,
    },
    /// The policy answers something else.
    #[error("the policy answered {logged}, now it is {replayed}")]
    Answer {
        /// What it answered then, as JSON.
        logged: String,
        /// What it answers now, as JSON.
        replayed: String,
    },
    /// Something else comes of it.
    #[error("then it was {logged}, now it is {replayed}")]
    Outcome {
        /// What came of it then, as JSON.
        logged: String,
        /// What comes of it now, as JSON.
        replayed: String,
    },
}

/// Computes a rollout from its log. Each outcome is recomputed, and each snapshot; with a policy at hand its verdicts, too.
///
/// # Errors
///
/// At the first difference.
pub fn replay<'a>(
    log: impl IntoIterator<Item = &'a Entry>,
    policy: Option<&dyn Policy>,
) -> Result<Rollout, Difference> {
    let mut entries = log.into_iter();
    let differs = |sequence, why| Difference { sequence, why };
    let first = entries.next().ok_or_else(|| differs(0, Mismatch::Empty))?;
    let Input::Start(terms) = &first.input else { return Err(differs(0, Mismatch::NoStart)) };
    if let Some(got) = policy.map(Policy::digest).filter(|got| *got != terms.policy) {
        return Err(differs(0, Mismatch::Policy { got, wanted: terms.policy.clone() }));
    }
    // What was quarantined then is not known now; that it has started says that it was not.
    let (mut rollout, started) = Rollout::start((**terms).clone(), first.at_s, &BTreeSet::new())
        .map_err(|bad| differs(0, Mismatch::Terms(bad)))?;
    compare(first, &started)
        .and_then(|()| plan_again(terms, policy))
        .map_err(|why| differs(0, why))?;
    for (entry, sequence) in entries.zip(1..) {
        step(&mut rollout, entry, policy).map_err(|why| differs(sequence, why))?;
    }
    Ok(rollout)
}

/// With the policy that planned the stages at hand: whether it would do so again.
fn plan_again(terms: &Terms, policy: Option<&dyn Policy>) -> Result<(), Mismatch> {
    let Some((planned, policy)) = terms.planned.zip(policy) else { return Ok(()) };
    let again = plan(terms.clone(), planned.at_s, policy);
    match again {
        Ok(again) if again == *terms => Ok(()),
        Ok(again) => {
            Err(Mismatch::Answer { logged: json(&terms.plan), replayed: json(&again.plan) })
        }
        Err(fault) => Err(Mismatch::Answer { logged: json(&terms.plan), replayed: fault.text }),
    }
}

fn step(rollout: &mut Rollout, entry: &Entry, policy: Option<&dyn Policy>) -> Result<(), Mismatch> {
    if let Input::Tick(asked) = &entry.input {
        let replayed = digest(&rollout.snapshot(entry.at_s));
        if replayed != asked.input {
            return Err(Mismatch::Snapshot { logged: asked.input.clone(), replayed });
        }
        // That a call took too long depends on the machine, so a fault is believed.
        let has_answered = matches!(asked.answers.last(), Some(Answered::Verdict { .. }));
        if let Some(policy) = policy.filter(|_| has_answered) {
            let again = rollout.ask(entry.at_s, policy);
            if again.policy != asked.policy || again.answers.last() != asked.answers.last() {
                return Err(Mismatch::Answer { logged: json(asked), replayed: json(&again) });
            }
        }
    }
    let replayed = rollout.take(entry.at_s, entry.input.clone()).map_err(Mismatch::Refused)?;
    compare(entry, &replayed)
}

fn compare(logged: &Entry, replayed: &Entry) -> Result<(), Mismatch> {
    if logged.sequence != replayed.sequence {
        return Err(Mismatch::Sequence(logged.sequence));
    }
    if logged.outcome != replayed.outcome {
        let (logged, replayed) = (json(&logged.outcome), json(&replayed.outcome));
        return Err(Mismatch::Outcome { logged, replayed });
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}
