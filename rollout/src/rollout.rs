//! The machine: inputs come in, each becomes an entry of the log, and the state is what the entries make it.

use std::collections::BTreeSet;

use crate::calendar::Utc;
use crate::guard_rails::{Ruling, decide, shortened};
use crate::log::{Answered, Asked, Command, Decided, Entry, Input, Outcome};
use crate::observation::{DeviceCounts, Observation, Problem};
use crate::orders::{Orders, due_s, orders};
use crate::policy::types::{
    DecidedBy, Decision, Fallback, Group, Reason, RollbackOrder, RootCause, Seconds, Snapshot,
};
use crate::policy::{Answer, Policy, PolicyFault};
use crate::snapshot::{digest, groups, plan_input, snapshot};
use crate::state::{Phase, State};
use crate::terms::{BadTerms, Planned, Terms};

/// Why nothing was done. The state is as before, and nothing is to be logged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The clock has gone backwards.
    #[error("it is {}, but the log has come to {} already", Utc(*now_s), Utc(*logged_s))]
    ClockWentBack {
        /// Now, says the caller.
        now_s: u64,
        /// The time of the last entry.
        logged_s: u64,
    },
    /// The rollout has ended.
    #[error("the rollout is over")]
    Over,
    /// The terms name another policy.
    #[error("policy {got} is not {wanted}, which was agreed on")]
    WrongPolicy {
        /// Digest of the policy that was to decide.
        got: String,
        /// Digest in the terms.
        wanted: String,
    },
    /// It starts once only.
    #[error("the rollout has started already")]
    StartedAlready,
    /// There is no such group.
    #[error("no group `{0}`")]
    UnknownGroup(String),
    /// There is no such stage.
    #[error("no stage `{0}`")]
    UnknownStage(String),
    /// A share is outside of its range.
    #[error("share {got}, wanted more than {above} and at most {most}")]
    Share {
        /// The share.
        got: f64,
        /// What it must exceed.
        above: f64,
        /// What it can be.
        most: f64,
    },
    /// It makes sense during a pause only.
    #[error("the rollout is not paused")]
    NotPaused,
    /// It makes no sense during a pause.
    #[error("the rollout is paused: resume it first")]
    Paused,
}

/// How much of why figures did not come is logged, in bytes.
const MAX_WHY_BYTES: usize = 1024;

/// A rollout.
///
/// Whoever owns the log appends what [`start`](Self::start), [`observe`](Self::observe), [`tick`](Self::tick) and
/// [`command`](Self::command) return before acting on it; if that fails, because somebody else has appended an entry with the
/// same [`Entry::sequence`], the rollout is to be built from the log again.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    state: State,
    next: u64,
    again_in: Option<Seconds>,
    /// When it was last decided, whatever a policy or a guard rail has said.
    decided_s: u64,
}

impl Rollout {
    /// Starts a rollout. `quarantined` are builds that must not be rolled out again.
    ///
    /// # Errors
    ///
    /// If the terms contradict themselves, or the build is quarantined.
    pub fn start(
        terms: Terms,
        at_s: u64,
        quarantined: &BTreeSet<String>,
    ) -> Result<(Self, Entry), BadTerms> {
        terms.check(quarantined)?;
        let input = Input::Start(Box::new(terms.clone()));
        let entry = Entry { sequence: 0, at_s, input, outcome: Outcome::Started };
        let state = State::new(terms, at_s);
        Ok((Self { state, next: 1, again_in: None, decided_s: at_s }, entry))
    }

    /// What the rollout is like now.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What a policy would be told now.
    #[must_use]
    pub fn snapshot(&self, at_s: u64) -> Snapshot {
        snapshot(&self.state, at_s)
    }

    /// What is measured in each group, also of metrics that the policy is not told.
    #[must_use]
    pub fn groups(&self, at_s: u64) -> Vec<Group> {
        groups(&self.state, at_s, |_| true)
    }

    /// What whoever drives the fleet shall do now.
    #[must_use]
    pub fn orders(&self, at_s: u64) -> Orders {
        orders(&self.state, at_s)
    }

    /// When the next tick is due at the latest, in seconds from 1970.
    #[must_use]
    pub fn due_s(&self) -> u64 {
        due_s(&self.state, self.decided_s, self.again_in)
    }

    /// Takes figures. What is wrong with them is in the entry's outcome: they are set aside then, and nothing goes on until better
    /// ones come.
    ///
    /// # Errors
    ///
    /// If the clock has gone backwards.
    pub fn observe(&mut self, at_s: u64, observation: Observation) -> Result<Entry, Refusal> {
        self.take(at_s, Input::Observe(observation))
    }

    /// Notes that figures should have come and did not, as those that are set aside: nothing goes on until some come.
    ///
    /// # Errors
    ///
    /// If the clock has gone backwards.
    pub fn miss(&mut self, at_s: u64, why: &str) -> Result<Entry, Refusal> {
        let end = why.floor_char_boundary(MAX_WHY_BYTES);
        let why = why.get(..end).unwrap_or_default().to_owned();
        self.take(at_s, Input::Unread { why })
    }

    /// Asks the policy what shall happen, twice if it fails at first, and decides.
    ///
    /// # Errors
    ///
    /// If the clock has gone backwards, the rollout is over, or it is another policy. Nothing was decided.
    pub fn tick(&mut self, at_s: u64, policy: &dyn Policy) -> Result<Entry, Refusal> {
        // Asked for nothing otherwise.
        self.may_tick(at_s, &policy.digest())?;
        let asked = self.ask(at_s, policy);
        self.take(at_s, Input::Tick(asked))
    }

    /// The same as [`tick`](Self::tick) where no log is kept, as in a rehearsal: what the policy was asked with is not hashed.
    ///
    /// # Errors
    ///
    /// As of [`tick`](Self::tick).
    pub fn rehearse(&mut self, at_s: u64, policy: &dyn Policy) -> Result<Decided, Refusal> {
        let digest = policy.digest();
        self.may_tick(at_s, &digest)?;
        let answers = answers(&self.snapshot(at_s), policy);
        let asked = Asked { policy: digest, input: String::new(), answers };
        let decided = self.decide(at_s, &asked);
        self.state.now_s = at_s;
        self.next += 1;
        Ok(decided)
    }

    /// Does what a person says, as far as it is possible.
    ///
    /// # Errors
    ///
    /// If the clock has gone backwards, the rollout is over, or the command makes no sense now.
    pub fn command(&mut self, at_s: u64, by: &str, command: Command) -> Result<Entry, Refusal> {
        self.take(at_s, Input::Command { by: by.to_owned(), command })
    }

    /// What the policy says to the state as it is now.
    pub(crate) fn ask(&self, at_s: u64, policy: &dyn Policy) -> Asked {
        let now = self.snapshot(at_s);
        Asked { policy: policy.digest(), input: digest(&now), answers: answers(&now, policy) }
    }

    /// The one way by which the state changes: live and in a replay.
    pub(crate) fn take(&mut self, at_s: u64, input: Input) -> Result<Entry, Refusal> {
        let logged_s = self.state.now_s;
        if at_s < logged_s {
            return Err(Refusal::ClockWentBack { now_s: at_s, logged_s });
        }
        let outcome = match &input {
            Input::Start(_) => return Err(Refusal::StartedAlready),
            Input::Observe(observation) => self.count(at_s, observation),
            Input::Unread { why } => self.set_aside(Problem::Unread(why.clone())),
            Input::Tick(asked) => {
                self.may_tick(at_s, &asked.policy)?;
                Outcome::Decided(Box::new(self.decide(at_s, asked)))
            }
            Input::Command { by, command } => self.obey(at_s, by, command)?,
        };
        self.state.now_s = at_s;
        let sequence = self.next;
        self.next += 1;
        Ok(Entry { sequence, at_s, input, outcome })
    }

    fn may_tick(&self, at_s: u64, digest: &str) -> Result<(), Refusal> {
        let logged_s = self.state.now_s;
        if at_s < logged_s {
            return Err(Refusal::ClockWentBack { now_s: at_s, logged_s });
        }
        self.not_over()?;
        let wanted = &self.state.terms.policy;
        if digest != wanted {
            let (got, wanted) = (digest.to_owned(), wanted.clone());
            return Err(Refusal::WrongPolicy { got, wanted });
        }
        Ok(())
    }

    fn not_over(&self) -> Result<(), Refusal> {
        if matches!(self.state.phase, Phase::Over(_)) { Err(Refusal::Over) } else { Ok(()) }
    }

    fn count(&mut self, at_s: u64, observation: &Observation) -> Outcome {
        match observation.check(&self.state.known(at_s)) {
            Ok(places) => {
                self.state.count(observation, &places);
                Outcome::Counted
            }
            Err(problem) => self.set_aside(problem),
        }
    }

    fn set_aside(&mut self, problem: Problem) -> Outcome {
        self.state.problem = Some(problem.clone());
        Outcome::SetAside(problem)
    }

    fn decide(&mut self, at_s: u64, asked: &Asked) -> Decided {
        let decided = decide(&self.state, at_s, asked);
        (self.again_in, self.decided_s) = (None, at_s);
        if let Some(Answered::Verdict { verdict, .. }) = asked.answers.last()
            && verdict.memo.len() <= crate::guard_rails::MAX_MEMO_BYTES
        {
            self.state.memo.clone_from(&verdict.memo);
            self.again_in = verdict.again_in;
        }
        self.state.carry_out(&decided, at_s);
        decided
    }

    fn obey(&mut self, at_s: u64, by: &str, command: &Command) -> Result<Outcome, Refusal> {
        self.not_over()?;
        let mut ruling = Ruling::new(&self.state, at_s, DecidedBy::Person);
        ruling.reasons.push(said_by(by));
        let decided = match command {
            Command::Approve(name) => return self.approve(at_s, name),
            Command::RootCause(cause) => return self.found(*cause),
            Command::Recount => {
                self.state.cells.fill(DeviceCounts::default());
                return Ok(Outcome::Noted);
            }
            Command::Stop => ruling.decide(Decision::Stop),
            Command::Advance(share) => {
                if self.state.pause().is_some() {
                    return Err(Refusal::Paused);
                }
                self.check_share(*share, self.state.share_limit)?;
                ruling.advance(*share)
            }
            Command::Resume(share) => {
                if self.state.pause().is_none() {
                    return Err(Refusal::NotPaused);
                }
                self.check_share(*share, 0.0)?;
                ruling.resume(*share)
            }
            Command::Pause(order) => {
                match &order.otherwise {
                    Fallback::Resume(share) => self.check_share(*share, 0.0)?,
                    Fallback::RollBack(order) => self.check_groups(order)?,
                    Fallback::Stop => {}
                }
                ruling.pause(order)
            }
            Command::RollBack(order) => {
                self.check_groups(order)?;
                ruling.roll_back(order)
            }
        };
        self.state.carry_out(&decided, at_s);
        Ok(Outcome::Decided(Box::new(decided)))
    }

    fn check_groups(&self, order: &RollbackOrder) -> Result<(), Refusal> {
        match order.groups.iter().find(|label| !self.state.has_group(label)) {
            Some(label) => Err(Refusal::UnknownGroup(label.clone())),
            None => Ok(()),
        }
    }

    fn check_share(&self, got: f64, above: f64) -> Result<(), Refusal> {
        if got > above && got <= 1.0 {
            Ok(())
        } else {
            Err(Refusal::Share { got, above, most: 1.0 })
        }
    }

    fn approve(&mut self, at_s: u64, name: &str) -> Result<Outcome, Refusal> {
        let place = self.state.terms.plan.stages.iter().position(|stage| stage.name == name);
        let place = place.ok_or_else(|| Refusal::UnknownStage(name.to_owned()))?;
        // It has waited so far, perhaps in a pause.
        if place == self.state.stage && self.state.lacks_approval(place) {
            self.state.stage_since_s = at_s;
            self.state.watched_since_s = at_s;
        }
        self.state.approved.insert(place);
        if place == self.state.stage && self.state.phase == Phase::Waiting {
            self.state.phase = Phase::Running;
        }
        Ok(Outcome::Noted)
    }

    fn found(&mut self, cause: RootCause) -> Result<Outcome, Refusal> {
        let Phase::Paused(pause) = &mut self.state.phase else { return Err(Refusal::NotPaused) };
        pause.root_cause = cause;
        Ok(Outcome::Noted)
    }
}

/// Asks a policy to plan the stages, and puts its plan into the terms.
///
/// # Errors
///
/// If the policy gives no answer that counts. [`Rollout::start`] tells whether the plan can be.
pub fn plan(terms: Terms, at_s: u64, policy: &dyn Policy) -> Result<Terms, PolicyFault> {
    let Answer { value, fuel } = policy.plan(&plan_input(&terms, at_s))?;
    let policy = policy.digest();
    Ok(Terms { plan: value, planned: Some(Planned { at_s, fuel }), policy, ..terms })
}

/// What a policy answers; if it fails, also what it does when it is asked again.
fn answers(now: &Snapshot, policy: &dyn Policy) -> Vec<Answered> {
    let mut answers = vec![answered(policy.evaluate(now))];
    if let [Answered::Fault { .. }] = answers.as_slice() {
        answers.push(answered(policy.evaluate(now)));
    }
    answers
}

fn answered(answer: Result<Answer<crate::policy::types::Verdict>, PolicyFault>) -> Answered {
    match answer {
        Ok(Answer { value, fuel }) => Answered::Verdict { verdict: Box::new(value), fuel },
        Err(PolicyFault { text, fuel }) => Answered::Fault { text, fuel },
    }
}

fn said_by(by: &str) -> Reason {
    Reason {
        code: "person".to_owned(),
        text: shortened(&format!("said by {by}")),
        metric: None,
        group: None,
        observed: None,
        limit: None,
    }
}
