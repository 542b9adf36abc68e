//! What a rollout is like now: the fold of its log.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::{GroupEvidence, gained, seconds};
use crate::log::{Decided, Rail};
use crate::observation::{DeviceCounts, Known, Observation, Problem};
use crate::policy::types::{
    DecidedBy, Decision, DecisionKind, FlagOrder, PastDecision, PauseOrder, Reason, RootCause,
    Seconds, Signal, Stage,
};
use crate::statistics::{Mixture, named_by_e_bh};
use crate::terms::{FLEET, Terms};

/// Decisions that a policy is told.
const REMEMBERED: usize = 256;

/// Reasons of a pause that a policy is told: as many as it may give. Those of guard rails come first, so that its last ones are left out.
const REASONS: usize = 64;

/// A part of a stage is watched for so many seconds at most: what support can take in a day comes back in a day.
const LONGEST_PART_WATCH_S: Seconds = 86_400;

/// A part begins its stage's longest time anew if it is this share of what the stage adds or more, or the last one: so a policy puts it
/// off some hundred times at most, each time by letting in more devices than ever before.
const LEAST_PART: f64 = 0.01;

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All devices may have the new firmware.
    Completed,
    /// Devices were taken back, and nothing is offered any more.
    RolledBack,
    /// It was given up; devices keep what they have.
    Stopped,
}

/// What a rollout does now.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Its first stage waits for somebody to agree.
    Waiting,
    /// It goes on.
    Running,
    /// It pauses.
    Paused(Pause),
    /// It has ended.
    Over(Ending),
}

/// A pause that is under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Pause {
    /// When it began, or was last ordered anew by a person, or by a guard rail because it has become graver.
    pub since_s: u64,
    /// Its terms; `decide_within` counts from `since_s`.
    pub order: PauseOrder,
    /// Who paused, or who of those who did so since has most of a say: what a person paused no policy resumes.
    pub by: DecidedBy,
    /// What is known about the cause.
    pub root_cause: RootCause,
    /// Why.
    pub reasons: Vec<Reason>,
}

impl Pause {
    /// When the declared fallback is carried out.
    #[must_use]
    pub fn deadline_s(&self) -> u64 {
        self.since_s.saturating_add(u64::from(self.order.decide_within))
    }
}

/// A rollout as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub(crate) terms: Terms,
    pub(crate) started_s: u64,
    pub(crate) now_s: u64,
    pub(crate) phase: Phase,
    pub(crate) stage: usize,
    pub(crate) stage_since_s: u64,
    /// Since when the stage counts for its longest time: from its beginning, from the last large part of it that a guard rail has cut off,
    /// or from when a person, or the fallback of a pause that no policy ordered, resumed it.
    pub(crate) watched_since_s: u64,
    /// The greatest share when that time last began: what a pause has taken off does not count again.
    watched_share: f64,
    pub(crate) share_limit: f64,
    /// Whether a guard rail has let in less than the stage holds.
    pub(crate) is_curbed: bool,
    /// When as many devices as allowed had the new firmware; none while some are still to come.
    pub(crate) full_since_s: Option<u64>,
    pub(crate) offered_before_stage: u32,
    pub(crate) cells: Vec<DeviceCounts>,
    /// Labels of the groups that each cell belongs to, as its terms have them.
    pub(crate) labels: Vec<Vec<String>>,
    pub(crate) groups: Vec<GroupEvidence>,
    /// By cell.
    pub(crate) mixtures: Vec<Mixture>,
    /// When figures of new firmware last came, by cell and metric.
    pub(crate) seen_s: Vec<Vec<Option<u64>>>,
    pub(crate) counted_until_s: u64,
    pub(crate) problem: Option<Problem>,
    /// Groups whose devices were taken back: they are offered nothing.
    pub(crate) barred: BTreeSet<String>,
    /// Of cells that were taken back, by their place, how many devices may have been offered the new firmware by then: figures come later
    /// than what they tell of.
    taken_back: BTreeMap<usize, u32>,
    pub(crate) quarantined: bool,
    pub(crate) approved: BTreeSet<usize>,
    pub(crate) decisions: Vec<(u64, PastDecision)>,
    pub(crate) memo: String,
    pub(crate) flags: Vec<FlagOrder>,
    pub(crate) versions: BTreeMap<String, u32>,
    pub(crate) last: Option<Decided>,
}

impl State {
    pub(crate) fn new(terms: Terms, at_s: u64) -> Self {
        let waits = terms.plan.stages.first().is_some_and(|stage| stage.needs_approval);
        Self {
            started_s: at_s,
            now_s: at_s,
            phase: if waits { Phase::Waiting } else { Phase::Running },
            stage: 0,
            stage_since_s: at_s,
            watched_since_s: at_s,
            watched_share: terms.plan.stages.first().map_or(0.0, |stage| stage.share),
            share_limit: terms.plan.stages.first().map_or(0.0, |stage| stage.share),
            is_curbed: false,
            full_since_s: None,
            offered_before_stage: 0,
            cells: vec![DeviceCounts::default(); terms.cells.len()],
            labels: terms.cells.iter().map(|cell| cell.labels(&terms.split_by)).collect(),
            groups: GroupEvidence::of_all(&terms),
            mixtures: vec![Mixture::default(); terms.cells.len()],
            seen_s: vec![vec![None; terms.metrics.len()]; terms.cells.len()],
            counted_until_s: 0,
            problem: None,
            barred: BTreeSet::new(),
            taken_back: BTreeMap::new(),
            quarantined: false,
            approved: BTreeSet::new(),
            decisions: vec![],
            memo: String::new(),
            flags: vec![],
            versions: BTreeMap::new(),
            last: None,
            terms,
        }
    }

    /// The terms of the rollout.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What it does now.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The time of the last entry of its log, in seconds from 1970, UTC.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.now_s
    }

    /// Until when figures have been counted; the start if none have, in seconds from 1970, UTC.
    #[must_use]
    pub fn counted_until_s(&self) -> u64 {
        self.counted_until_s.max(self.started_s)
    }

    /// Which stage it is in, from 0.
    #[must_use]
    pub fn stage_index(&self) -> usize {
        self.stage
    }

    /// Share of the fleet that it may reach.
    #[must_use]
    pub fn share_limit(&self) -> f64 {
        self.share_limit
    }

    /// For how many seconds as many devices as allowed have had the new firmware; none while some are still to come.
    #[must_use]
    pub fn full_for(&self, at_s: u64) -> Option<Seconds> {
        self.full_since_s.map(|full_s| seconds(at_s.saturating_sub(full_s)))
    }

    /// For how many seconds the share that it may reach must be watched once it is full: for the stage's own time, or for a day at most
    /// if a guard rail has let in a part of the stage alone.
    #[must_use]
    pub fn watch_time(&self) -> Seconds {
        let whole = self.current_stage().min_time;
        if self.is_curbed { whole.min(LONGEST_PART_WATCH_S) } else { whole }
    }

    /// What is wrong with the last figures; none if nothing is.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// Whether the build must not be rolled out again.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.quarantined
    }

    /// The last decision.
    #[must_use]
    pub fn last_decision(&self) -> Option<&Decided> {
        self.last.as_ref()
    }

    /// How far the devices of a group are; none if there is no such group.
    #[must_use]
    pub fn devices_of(&self, label: &str) -> Option<DeviceCounts> {
        let group = self.groups.iter().find(|group| group.label == label)?;
        Some(self.counts(&group.cells))
    }

    /// Devices of the fleet by version, and what each version is to the rollout; what reports nothing is left out.
    #[must_use]
    pub fn distribution(&self) -> Vec<VersionShare> {
        let role = |version: &String| {
            if *version == self.terms.version {
                Role::Target
            } else if self.terms.base_versions.contains(version) {
                Role::Base
            } else {
                Role::Straggler
            }
        };
        let devices = f64::from(self.terms.devices());
        let shares = self.versions.iter().map(|(version, number)| VersionShare {
            version: version.clone(),
            devices: *number,
            share: f64::from(*number) / devices,
            role: role(version),
        });
        shares.collect()
    }

    /// Groups and metrics of which the tests say that they are worse than tolerated, the worst first. At most a fraction `alpha` is
    /// named by mistake.
    #[must_use]
    pub fn suspects(&self, alpha: f64) -> Vec<Suspect> {
        let groups = self.groups.iter().flat_map(|group| {
            let metrics = self.terms.metrics.iter().zip(&group.metrics);
            metrics.filter_map(|(metric, evidence)| {
                let signal = evidence.signal(metric)?;
                let (group, metric) = (group.label.clone(), metric.name.clone());
                Some(Suspect { group, metric, signal })
            })
        });
        let all: Vec<_> = groups.collect();
        let logs: Vec<_> = all.iter().map(|suspect| suspect.signal.log_e_worse).collect();
        named_by_e_bh(&logs, alpha).into_iter().map(|place| all[place].clone()).collect()
    }

    pub(crate) fn current_stage(&self) -> &Stage {
        // The index is that of a stage from the start on, and terms without stages are refused.
        &self.terms.plan.stages[self.stage]
    }

    pub(crate) fn next_stage(&self) -> Option<&Stage> {
        self.terms.plan.stages.get(self.stage + 1)
    }

    /// Whether nobody has agreed to a stage for which somebody must.
    pub(crate) fn lacks_approval(&self, stage: usize) -> bool {
        let needs_approval = |stage: &Stage| stage.needs_approval;
        self.terms.plan.stages.get(stage).is_some_and(needs_approval)
            && !self.approved.contains(&stage)
    }

    pub(crate) fn pause(&self) -> Option<&Pause> {
        match &self.phase {
            Phase::Paused(pause) => Some(pause),
            Phase::Waiting | Phase::Running | Phase::Over(_) => None,
        }
    }

    pub(crate) fn has_group(&self, label: &str) -> bool {
        self.groups.iter().any(|group| group.label == label)
    }

    pub(crate) fn counts(&self, cells: &[usize]) -> DeviceCounts {
        cells.iter().fold(DeviceCounts::default(), |sum, place| sum.plus(self.cells[*place]))
    }

    pub(crate) fn fleet(&self) -> DeviceCounts {
        self.cells.iter().fold(DeviceCounts::default(), |sum, cell| sum.plus(*cell))
    }

    pub(crate) fn is_barred(&self, cell: usize) -> bool {
        self.labels[cell].iter().any(|label| self.barred.contains(label))
    }

    pub(crate) fn known(&self, at_s: u64) -> Known<'_> {
        Known {
            terms: &self.terms,
            now_s: at_s,
            counted_until_s: self.counted_until_s(),
            cells: &self.cells,
        }
    }

    /// Counts an observation that has been checked.
    pub(crate) fn count(&mut self, observation: &Observation, places: &[usize]) {
        for (cell, place) in observation.cells.iter().zip(places) {
            self.cells[*place] = cell.devices;
            for metric in cell.metrics.iter().filter(|metric| metric.treated.exposure > 0.0) {
                let at = self.terms.metrics.iter().position(|terms| terms.name == metric.name);
                if let Some(seen_s) = at.and_then(|at| self.seen_s[*place].get_mut(at)) {
                    *seen_s = Some(observation.until_s);
                }
            }
        }
        let (terms, mixtures) = (&self.terms, &mut self.mixtures);
        let fleet = self.groups.first();
        let gained = fleet.map(|fleet| gained(observation, places, terms, fleet, mixtures));
        let gained = gained.unwrap_or_default();
        for group in &mut self.groups {
            group.add(observation, places, &gained, &self.terms, self.started_s);
        }
        self.counted_until_s = observation.until_s;
        // What was set aside is made good by figures of all devices, not by those of some.
        if places.len() == self.terms.cells.len() {
            self.problem = None;
        }
        if !observation.versions.is_empty() {
            self.versions.clone_from(&observation.versions);
        }
        if self.full_since_s.is_none() && self.is_full() {
            self.full_since_s = Some(observation.until_s);
        }
    }

    fn is_full(&self) -> bool {
        // Cells that were taken back will not get any fuller; the others take what these were not offered.
        let barred: Vec<_> = (0..self.cells.len()).filter(|cell| self.is_barred(*cell)).collect();
        let wanted =
            self.counts(&barred).updated + self.left_to_others().min(self.reachable_of_others());
        f64::from(self.fleet().updated) >= f64::from(wanted) * self.terms.limits.full_at
    }

    /// Devices that may have the new firmware, of cells that were not taken back.
    fn left_to_others(&self) -> u32 {
        let allowed = self.terms.devices_at(self.share_limit, self.stage);
        allowed.saturating_sub(self.taken_back().map(|(_, offered)| offered).sum())
    }

    /// Devices that the stage and those before it can take, of cells that were not taken back.
    fn reachable_of_others(&self) -> u32 {
        let cells = self.terms.cells.iter().enumerate();
        let others = cells.filter(|(place, _)| !self.is_barred(*place));
        others.map(|(_, cell)| self.terms.reachable(cell, self.stage)).sum()
    }

    /// Cells that were taken back, by their place, with how many of their devices have been offered the new firmware, or may have been.
    pub(crate) fn taken_back(&self) -> impl Iterator<Item = (usize, u32)> {
        let number =
            |(place, offered): (&usize, &u32)| (*place, self.cells[*place].offered.max(*offered));
        self.taken_back.iter().map(number)
    }

    /// Takes groups back; none named means all devices.
    fn bar(&mut self, groups: &[String]) {
        let (left, reachable) = (self.left_to_others(), self.reachable_of_others());
        let was_barred: Vec<_> = (0..self.cells.len()).map(|cell| self.is_barred(cell)).collect();
        self.barred.extend(groups.iter().cloned());
        if groups.is_empty() {
            self.barred.insert(FLEET.to_owned());
        }
        for (place, cell) in self.terms.cells.iter().enumerate() {
            if self.is_barred(place) && !was_barred[place] {
                // In proportion, as devices are drawn.
                let own = u64::from(self.terms.reachable(cell, self.stage));
                let offered =
                    u64::from(left).min(u64::from(reachable)) * own / u64::from(reachable).max(1);
                self.taken_back.insert(place, u32::try_from(offered).unwrap_or(u32::MAX));
            }
        }
    }

    /// Does what was decided.
    pub(crate) fn carry_out(&mut self, decided: &Decided, at_s: u64) {
        match &decided.decision {
            Decision::Hold => {}
            Decision::Advance(share) => self.grow(*share, &decided.rails, at_s),
            Decision::Pause(order) => self.begin_pause(order, decided, at_s),
            Decision::Resume(share) => self.end_pause(*share, decided.by, at_s),
            Decision::RollBack(order) => {
                self.quarantined |= order.quarantine;
                self.bar(&order.groups);
                let is_all = (0..self.cells.len()).all(|cell| self.is_barred(cell));
                if is_all || self.quarantined {
                    self.phase = Phase::Over(Ending::RolledBack);
                } else if decided.rails.contains(&Rail::Deadline) {
                    // The fallback of a pause: it goes on without these groups.
                    self.end_pause(self.share_limit, decided.by, at_s);
                }
            }
            Decision::Stop => self.phase = Phase::Over(Ending::Stopped),
            Decision::Complete => self.phase = Phase::Over(Ending::Completed),
        }
        self.remember(decided, at_s);
        for order in &decided.feature_flags {
            self.flags.retain(|flag| flag.name != order.name || flag.groups != order.groups);
            self.flags.push(order.clone());
        }
        self.last = Some(decided.clone());
    }

    fn grow(&mut self, share: f64, rails: &[Rail], at_s: u64) {
        let is_cut = rails.iter().any(|rail| matches!(rail, Rail::Growth | Rail::BlastRadius));
        if share > self.current_stage().share {
            self.stage += 1;
            self.stage_since_s = at_s;
            self.watch_from(at_s, share);
            self.offered_before_stage = self.fleet().offered;
            self.groups.iter_mut().for_each(GroupEvidence::begin_current);
        } else if (is_cut || self.is_curbed) && self.is_large_part(share) {
            self.watch_from(at_s, share);
        }
        self.share_limit = share;
        self.is_curbed = is_cut && share < self.current_stage().share;
        self.full_since_s = self.is_full().then_some(at_s);
    }

    fn watch_from(&mut self, at_s: u64, share: f64) {
        self.watched_since_s = at_s;
        self.watched_share = self.watched_share.max(share);
    }

    /// Whether a share lets in enough of the stage, or the last of it, that no advance has let in before.
    fn is_large_part(&self, share: f64) -> bool {
        let stages = &self.terms.plan.stages;
        let before = self.stage.checked_sub(1).and_then(|before| stages.get(before));
        let whole = self.current_stage().share;
        let least = (whole - before.map_or(0.0, |before| before.share)) * LEAST_PART;
        let is_last = share >= whole && self.watched_share < whole;
        is_last || share - self.watched_share >= least
    }

    fn begin_pause(&mut self, order: &PauseOrder, decided: &Decided, at_s: u64) {
        let reasons = || decided.reasons.iter().take(REASONS).cloned().collect();
        if let Phase::Paused(pause) = &mut self.phase {
            pause.order = order.clone();
            pause.by = pause.by.max(decided.by);
            if decided.by != DecidedBy::Policy {
                // A person who pauses again has decided: to take more time. A guard rail does so if it has become graver, and then
                // people need the whole of its time, too.
                pause.since_s = at_s;
            }
            if decided.by == DecidedBy::GuardRail {
                pause.reasons = reasons();
            }
            return;
        }
        self.groups.iter_mut().for_each(GroupEvidence::begin_current);
        self.phase = Phase::Paused(Pause {
            since_s: at_s,
            order: order.clone(),
            by: decided.by,
            root_cause: RootCause::Unknown,
            reasons: reasons(),
        });
    }

    fn end_pause(&mut self, share: f64, by: DecidedBy, at_s: u64) {
        // The end of its own pause, which a policy can order, does not begin the stage's longest time anew, either.
        let is_policys = self.pause().is_some_and(|pause| pause.by == DecidedBy::Policy);
        if by == DecidedBy::Person || (by == DecidedBy::GuardRail && !is_policys) {
            self.watched_since_s = at_s;
        }
        let waits = self.lacks_approval(self.stage);
        self.phase = if waits { Phase::Waiting } else { Phase::Running };
        self.share_limit = share;
        self.is_curbed = false;
        self.full_since_s = self.is_full().then_some(at_s);
        // What led to the pause has been judged: it shall not lead to the next one.
        let terms = &self.terms;
        self.groups.iter_mut().for_each(|group| group.begin_anew(terms));
    }

    fn remember(&mut self, decided: &Decided, at_s: u64) {
        let kind = kind(&decided.decision);
        if kind == DecisionKind::Hold {
            return;
        }
        let code = decided.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default();
        self.decisions.insert(0, (at_s, PastDecision { age: 0, kind, by: decided.by, code }));
        self.decisions.truncate(REMEMBERED);
    }

    pub(crate) fn past_decisions(&self, at_s: u64) -> Vec<PastDecision> {
        let aged = |(then_s, decision): &(u64, PastDecision)| PastDecision {
            age: seconds(at_s.saturating_sub(*then_s)),
            ..decision.clone()
        };
        self.decisions.iter().map(aged).collect()
    }
}

fn kind(decision: &Decision) -> DecisionKind {
    match decision {
        Decision::Hold => DecisionKind::Hold,
        Decision::Advance(_) => DecisionKind::Advance,
        Decision::Pause(_) => DecisionKind::Pause,
        Decision::Resume(_) => DecisionKind::Resume,
        Decision::RollBack(_) => DecisionKind::RollBack,
        Decision::Stop => DecisionKind::Stop,
        Decision::Complete => DecisionKind::Complete,
    }
}

/// A group in which a metric is worse than tolerated.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// Label of the group.
    pub group: String,
    /// Name of the metric.
    pub metric: String,
    /// What the test says.
    pub signal: Signal,
}

/// How many devices run a version.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionShare {
    /// The version that they report.
    pub version: String,
    /// How many.
    pub devices: u32,
    /// As a share of the fleet.
    pub share: f64,
    /// What it is to the rollout.
    pub role: Role,
}

/// What a version is to a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What devices shall run.
    Target,
    /// What a delta takes to the target.
    Base,
    /// Neither: these devices were forgotten, and take the full image.
    Straggler,
}
