//! The one place where a verdict becomes a decision.
//!
//! A policy is somebody else's code, and wishes; here it is decided. In this order, the first that applies:
//!
//! ```text
//! devices are lost ─▶ roll back        a pause is over ─▶ its fallback        a stage takes too long ─▶ pause
//!     but for the last two: what the policy ends of the rollout, if they end nothing themselves
//!     no answer, or nonsense ─▶ pause        otherwise the verdict, within what the rails allow:
//!        hold, stop                          as they are
//!        pause                               deadline within 72 h; not what a person has paused, nor easier than a guard rail has
//!        roll-back                           of groups that there are, if there is a way back
//!        advance, resume, complete           fresh figures, few lost, no freeze, approved, watched; share cut to what is allowed
//! ```

use crate::log::{Answered, Asked, Decided, Rail};
use crate::observation::DeviceCounts;
use crate::policy::types::{
    DecidedBy, Decision, Fallback, FlagOrder, PauseOrder, Reason, RollbackOrder, Severity, Stage,
    Verdict,
};
use crate::state::{Pause, Phase, State};
use crate::statistics::{Certainty, events_needed};
use crate::terms::{FLEET, KillRule, LONGEST_PAUSE_S, Lost, MetricTerms, WayBack, part_of};

/// The longest memo, in bytes.
pub const MAX_MEMO_BYTES: usize = 64 << 10;

/// A cell that holds at least this part of all devices on new firmware must have sent figures.
const PART_THAT_COUNTS: f64 = 0.01;

/// Decides, after a policy was asked.
pub(crate) fn decide(state: &State, at_s: u64, asked: &Asked) -> Decided {
    let of_policy = of_policy(state, at_s, asked);
    let of_time = || {
        let is_running = state.phase == Phase::Running;
        let overdue = || overdue(state, at_s).filter(|_| is_running);
        // What holds, pauses or goes on must not hide that the policy ends it.
        deadline(state, at_s)
            .or_else(overdue)
            .filter(|of_time| ends(of_time, state) || !ends(&of_policy, state))
    };
    match kill(state).or_else(of_time) {
        // A kill switch that the policy has turned is turned all the same.
        Some(decided) => Decided { feature_flags: of_policy.feature_flags, ..decided },
        None => of_policy,
    }
}

/// Whether a decision ends a rollout, or takes devices back that were not: a policy that takes the same ones back at each tick keeps
/// nothing from going on.
fn ends(decided: &Decided, state: &State) -> bool {
    match &decided.decision {
        Decision::Stop => true,
        Decision::RollBack(RollbackOrder { groups, quarantine }) => {
            let is_barred = |label: &String| state.barred.contains(label);
            *quarantine || groups.is_empty() || !groups.iter().all(is_barred)
        }
        // What has become of it without a way back.
        Decision::Pause(order) => {
            decided.by == DecidedBy::GuardRail
                && order.severity == Severity::Critical
                && decided.rails.contains(&Rail::Bounds)
        }
        Decision::Hold | Decision::Advance(_) | Decision::Resume(_) | Decision::Complete => false,
    }
}

/// Rolls devices back of which too many are lost.
fn kill(state: &State) -> Option<Decided> {
    let (order, why) = lost(state)?;
    roll_back(state, order, DecidedBy::GuardRail, Rail::Kill, why)
}

/// Which devices are to go back because too many are lost, and why: all of them, or the group that they belong to.
fn lost(state: &State) -> Option<(RollbackOrder, Reason)> {
    for group in &state.groups {
        let cells: Vec<_> =
            group.cells.iter().copied().filter(|cell| !state.is_barred(*cell)).collect();
        let counts = state.counts(&cells);
        let Some((rule, lost)) =
            state.terms.limits.kill.iter().find_map(|rule| is_hit(rule, counts))
        else {
            continue;
        };
        let share = f64::from(lost) / f64::from(counts.updated);
        let is_fleet = group.label == FLEET;
        let text = format!("{lost} of {} updated devices are {}", counts.updated, name(rule.state));
        let reason = Reason {
            group: Some(group.label.clone()),
            observed: Some(share),
            limit: Some(rule.share),
            ..reason("devices-lost", text)
        };
        let groups = if is_fleet { vec![] } else { vec![group.label.clone()] };
        // What breaks a part of the fleet may be well for the rest of it.
        return Some((RollbackOrder { groups, quarantine: is_fleet }, reason));
    }
    None
}

fn is_hit(rule: &KillRule, counts: DeviceCounts) -> Option<(KillRule, u32)> {
    let lost = match rule.state {
        Lost::Bricked => counts.bricked,
        Lost::Silent => counts.silent,
        Lost::RolledBack => counts.rolled_back,
    };
    let is_over = f64::from(lost) > rule.share * f64::from(counts.updated);
    (lost >= rule.at_least.max(1) && is_over).then_some((*rule, lost))
}

fn name(lost: Lost) -> &'static str {
    match lost {
        Lost::Bricked => "bricked",
        Lost::Silent => "silent",
        Lost::RolledBack => "back on the old firmware",
    }
}

/// Takes devices back; where there is no way back, pauses for people to decide. None if that has been done already.
fn roll_back(
    state: &State,
    order: RollbackOrder,
    by: DecidedBy,
    rail: Rail,
    why: Reason,
) -> Option<Decided> {
    if state.terms.way_back != WayBack::None {
        return Some(decided(Decision::RollBack(order), by, vec![rail], vec![why]));
    }
    // A pause of the policy's own is one that it may end.
    let is_paused = state.pause().is_some_and(|Pause { by, order, .. }| {
        *by != DecidedBy::Policy && order.severity == Severity::Critical && is_end(&order.otherwise)
    });
    if is_paused {
        return None;
    }
    let order = PauseOrder {
        severity: Severity::Critical,
        otherwise: Fallback::Stop,
        ..state.terms.limits.pause.clone()
    };
    let reasons = vec![why, no_way_back()];
    Some(decided(Decision::Pause(order), DecidedBy::GuardRail, vec![rail], reasons))
}

fn no_way_back() -> Reason {
    reason("no-way-back", "devices cannot go back to the old firmware".to_owned())
}

/// Carries out what was declared when the time of a pause is over.
fn deadline(state: &State, at_s: u64) -> Option<Decided> {
    let pause = state.pause().filter(|pause| at_s >= pause.deadline_s())?;
    let why = reason("nobody-decided", "the time to decide on the pause is over".to_owned());
    match &pause.order.otherwise {
        Fallback::Stop => {
            Some(decided(Decision::Stop, DecidedBy::GuardRail, vec![Rail::Deadline], vec![why]))
        }
        // Another pause would only put off what people had the time to decide.
        Fallback::RollBack(_) if state.terms.way_back == WayBack::None => {
            let reasons = vec![why, no_way_back()];
            Some(decided(Decision::Stop, DecidedBy::GuardRail, vec![Rail::Deadline], reasons))
        }
        Fallback::RollBack(order) => {
            let decision = Decision::RollBack(order.clone());
            Some(decided(decision, DecidedBy::GuardRail, vec![Rail::Deadline], vec![why]))
        }
        // Of what a policy has declared nothing begins a stage's longest time anew.
        Fallback::Resume(_) if pause.by == DecidedBy::Policy && too_long(state, at_s).is_some() => {
            overdue(state, at_s)
        }
        Fallback::Resume(share) => {
            let mut ruling = Ruling::new(state, at_s, DecidedBy::GuardRail);
            ruling.rails.push(Rail::Deadline);
            ruling.reasons.push(why);
            Some(ruling.resume(*share))
        }
    }
}

/// Pauses a stage that has lasted longer than it may.
fn overdue(state: &State, at_s: u64) -> Option<Decided> {
    let text = too_long(state, at_s)?;
    let order = pause_of_terms(state);
    let reasons = vec![reason("stage-overdue", text)];
    Some(decided(Decision::Pause(order), DecidedBy::GuardRail, vec![Rail::Deadline], reasons))
}

/// How the terms pause this stage: they name one share for all of them.
fn pause_of_terms(state: &State) -> PauseOrder {
    let mut order = state.terms.limits.pause.clone();
    if let Fallback::Resume(share) = &mut order.otherwise {
        *share = share.min(state.current_stage().share);
    }
    order
}

/// Whether the stage has lasted longer than it may.
fn too_long(state: &State, at_s: u64) -> Option<String> {
    let stage = state.current_stage();
    let max_s = u64::from(stage.max_time?);
    let lasted_s = at_s.saturating_sub(state.watched_since_s);
    let text = || format!("stage `{}` has lasted {lasted_s} s, {max_s} s are planned", stage.name);
    (lasted_s >= max_s).then(text)
}

/// What the policy wants, within the rails.
fn of_policy(state: &State, at_s: u64, asked: &Asked) -> Decided {
    let verdict = match asked.answers.last() {
        Some(Answered::Verdict { verdict, .. }) => verdict,
        Some(Answered::Fault { text, .. }) => return fault(state, text),
        None => return fault(state, "the policy was not asked"),
    };
    if let Err(nonsense) = check(verdict, state) {
        return fault(state, &nonsense);
    }
    let mut ruling = Ruling::new(state, at_s, DecidedBy::Policy);
    ruling.reasons.clone_from(&verdict.reasons);
    ruling.feature_flags.clone_from(&verdict.feature_flags);
    match &verdict.decision {
        Decision::Hold => ruling.decide(Decision::Hold),
        Decision::Stop => ruling.decide(Decision::Stop),
        Decision::Advance(share) => ruling.advance(*share),
        Decision::Pause(order) => ruling.pause(order),
        Decision::Resume(share) => ruling.resume(*share),
        Decision::RollBack(order) => ruling.roll_back(order),
        Decision::Complete => ruling.complete(),
    }
}

/// No answer that counts: a pause, or a pause that goes on.
fn fault(state: &State, text: &str) -> Decided {
    let reasons = vec![reason("policy-fault", shortened(text))];
    let decision = match state.phase {
        Phase::Running => Decision::Pause(pause_of_terms(state)),
        Phase::Waiting | Phase::Paused(_) | Phase::Over(_) => Decision::Hold,
    };
    decided(decision, DecidedBy::GuardRail, vec![Rail::Fault], reasons)
}

/// Finds what contradicts the state or the contract.
fn check(verdict: &Verdict, state: &State) -> Result<(), String> {
    if verdict.memo.len() > MAX_MEMO_BYTES {
        return Err(format!("a memo of {} bytes", verdict.memo.len()));
    }
    let is_share = |share: f64| share > 0.0 && share <= 1.0;
    let labels = verdict.feature_flags.iter().flat_map(|flag| &flag.groups);
    check_groups(labels, state)?;
    match &verdict.decision {
        Decision::Hold | Decision::Stop => Ok(()),
        Decision::Advance(_) if state.pause().is_some() => Err("advance during a pause".to_owned()),
        Decision::Advance(share) if !is_share(*share) => Err(format!("advance to {share}")),
        Decision::Advance(share) if *share <= state.share_limit => {
            Err(format!("advance from {} to {share}", state.share_limit))
        }
        Decision::Advance(_) => Ok(()),
        Decision::Resume(_) if state.pause().is_none() => Err("resume without a pause".to_owned()),
        Decision::Resume(share) if !is_share(*share) => Err(format!("resume to {share}")),
        Decision::Resume(_) => Ok(()),
        Decision::Pause(order) => match &order.otherwise {
            Fallback::Resume(share) if !is_share(*share) => Err(format!("resume to {share}")),
            Fallback::RollBack(order) => check_groups(order.groups.iter(), state),
            Fallback::Resume(_) | Fallback::Stop => Ok(()),
        },
        Decision::RollBack(order) => check_groups(order.groups.iter(), state),
        Decision::Complete if state.pause().is_some() => Err("complete during a pause".to_owned()),
        Decision::Complete if state.next_stage().is_some() => {
            Err("complete with stages left".to_owned())
        }
        Decision::Complete => Ok(()),
    }
}

/// How much of a rollout a fallback ends: what goes on is the weakest.
fn strength(fallback: &Fallback) -> u8 {
    match fallback {
        Fallback::Resume(_) => 0,
        Fallback::RollBack(order) => match (order.groups.is_empty(), order.quarantine) {
            (false, false) => 1,
            (false, true) => 2,
            (true, false) => 3,
            (true, true) => 4,
        },
        Fallback::Stop => 2,
    }
}

/// Whether nothing goes on after a fallback.
fn is_end(fallback: &Fallback) -> bool {
    strength(fallback) >= strength(&Fallback::Stop)
}

fn check_groups<'a>(
    mut labels: impl Iterator<Item = &'a String>,
    state: &State,
) -> Result<(), String> {
    labels
        .find(|label| !state.has_group(label))
        .map_or(Ok(()), |label| Err(format!("no group `{label}`")))
}

/// A decision in the making.
pub(crate) struct Ruling<'a> {
    state: &'a State,
    at_s: u64,
    by: DecidedBy,
    rails: Vec<Rail>,
    rail_reasons: Vec<Reason>,
    pub(crate) reasons: Vec<Reason>,
    feature_flags: Vec<FlagOrder>,
}

impl<'a> Ruling<'a> {
    pub(crate) fn new(state: &'a State, at_s: u64, by: DecidedBy) -> Self {
        let (rails, rail_reasons, reasons, feature_flags) = (vec![], vec![], vec![], vec![]);
        Self { state, at_s, by, rails, rail_reasons, reasons, feature_flags }
    }

    pub(crate) fn advance(mut self, wanted: f64) -> Decided {
        let share = self.in_order(wanted);
        let allowed = self
            .may_grow()
            .and_then(|()| self.watched(share))
            .and_then(|()| self.approved(self.stage_of(share)));
        if let Err(why) = allowed {
            return self.hold(why);
        }
        let share = self.grown(share);
        match self.within_radius(share) {
            Ok(share) => self.decide(Decision::Advance(share)),
            Err(why) => self.hold(why),
        }
    }

    pub(crate) fn resume(mut self, wanted: f64) -> Decided {
        let allowed =
            self.not_by_person().and_then(|()| self.in_time()).and_then(|()| self.may_grow());
        if let Err(why) = allowed {
            return self.hold(why);
        }
        let share = self.within_stage(wanted);
        // What has been offered is out there: a share below it takes nothing back.
        match self.within_radius(share) {
            Ok(share) => self.decide(Decision::Resume(share)),
            Err(why) => self.hold(why),
        }
    }

    pub(crate) fn pause(mut self, order: &PauseOrder) -> Decided {
        if let Err(why) = self.not_by_person() {
            return self.hold(why);
        }
        let decide_within = order.decide_within.clamp(1, LONGEST_PAUSE_S);
        if decide_within != order.decide_within {
            let text = format!(
                "a pause of {} s, at most {LONGEST_PAUSE_S} s are allowed",
                order.decide_within
            );
            self.note(
                Rail::Deadline,
                "pause-too-long",
                text,
                f64::from(order.decide_within),
                f64::from(LONGEST_PAUSE_S),
            );
        }
        let mut order = PauseOrder { decide_within, ..order.clone() };
        if let Fallback::Resume(share) = &mut order.otherwise {
            *share = self.within_stage(*share);
        }
        let order = self.no_easier(order);
        self.decide(Decision::Pause(order))
    }

    /// Cuts a share after a pause to its stage.
    fn within_stage(&mut self, wanted: f64) -> f64 {
        let most = self.state.current_stage().share;
        if wanted > most {
            let text = format!("a resumption to {wanted}, above its stage");
            self.note(Rail::Bounds, "resume-above-stage", text, wanted, most);
        }
        wanted.min(most)
    }

    /// What a guard rail has paused a policy may make graver and shorter, but not easier.
    fn no_easier(&mut self, wanted: PauseOrder) -> PauseOrder {
        let agreed = match self.state.pause() {
            Some(Pause { by: DecidedBy::GuardRail, order, .. }) if self.by == DecidedBy::Policy => {
                order
            }
            Some(_) | None => return wanted,
        };
        // What goes on goes on as agreed, with all that guard rails ask of a resumption.
        let goes_on = matches!(agreed.otherwise, Fallback::Resume(_)) && !is_end(&wanted.otherwise);
        let is_stronger = strength(&wanted.otherwise) > strength(&agreed.otherwise) && !goes_on;
        let otherwise = if is_stronger { &wanted } else { agreed }.otherwise.clone();
        // A sooner end of the pause is no graver one if the rollout goes on then.
        let least_s = if is_end(&otherwise) { 0 } else { agreed.decide_within };
        let order = PauseOrder {
            severity: wanted.severity.max(agreed.severity),
            decide_within: wanted.decide_within.clamp(least_s, agreed.decide_within),
            otherwise,
            more_telemetry: wanted.more_telemetry,
        };
        if order != wanted {
            let text = "a guard rail has paused, and a policy makes that no easier".to_owned();
            self.rails.push(Rail::Bounds);
            self.rail_reasons.push(reason("paused-by-a-guard-rail", text));
        }
        order
    }

    pub(crate) fn roll_back(self, order: &RollbackOrder) -> Decided {
        if self.state.terms.way_back != WayBack::None {
            return self.decide(Decision::RollBack(order.clone()));
        }
        // It becomes a pause, or another one.
        if let Err(why) = self.not_by_person() {
            return self.hold(why);
        }
        let why =
            reason("roll-back-wanted", "devices should go back to the old firmware".to_owned());
        match roll_back(self.state, order.clone(), self.by, Rail::Bounds, why.clone()) {
            Some(decided) => decided,
            None => self.hold(refused(Rail::Bounds, why)),
        }
    }

    pub(crate) fn complete(self) -> Decided {
        let end = self.state.current_stage().share;
        if self.state.share_limit < end {
            let text = format!("the last stage has reached {} of {end}", self.state.share_limit);
            return self.hold(refused(Rail::StageOrder, reason("stage-not-reached", text)));
        }
        // No stage follows that a larger sample would protect.
        match self.may_grow().and_then(|()| self.watched(end)) {
            Ok(()) => self.decide(Decision::Complete),
            Err(why) => self.hold(why),
        }
    }

    pub(crate) fn decide(mut self, decision: Decision) -> Decided {
        self.rail_reasons.append(&mut self.reasons);
        let Self { by, rails, rail_reasons, feature_flags, .. } = self;
        Decided { decision, by, rails, reasons: rail_reasons, feature_flags }
    }

    fn hold(mut self, Refused { rail, why }: Refused) -> Decided {
        self.rails.push(rail);
        self.rail_reasons.push(*why);
        self.by = DecidedBy::GuardRail;
        self.decide(Decision::Hold)
    }

    fn note(&mut self, rail: Rail, code: &str, text: String, observed: f64, limit: f64) {
        self.rails.push(rail);
        let (observed, limit) = (Some(observed), Some(limit));
        self.rail_reasons.push(Reason { observed, limit, ..reason(code, text) });
    }

    /// What a person has paused is no policy's business.
    fn not_by_person(&self) -> Result<(), Refused> {
        let is_by_person = self.state.pause().is_some_and(|pause| pause.by == DecidedBy::Person);
        if !is_by_person || self.by != DecidedBy::Policy {
            return Ok(());
        }
        let text = "a person has paused, and only a person changes that".to_owned();
        Err(refused(Rail::Order, reason("paused-by-a-person", text)))
    }

    /// A stage that has taken too long is no policy's business, either.
    fn in_time(&self) -> Result<(), Refused> {
        match too_long(self.state, self.at_s).filter(|_| self.by == DecidedBy::Policy) {
            Some(text) => Err(refused(Rail::Deadline, reason("stage-overdue", text))),
            None => Ok(()),
        }
    }

    /// What holds for everything by which more devices are updated.
    fn may_grow(&self) -> Result<(), Refused> {
        if self.by != DecidedBy::Person {
            self.fresh()?;
            self.not_lost()?;
        }
        if self.state.quarantined {
            let text = "the build is quarantined".to_owned();
            return Err(refused(Rail::Bounds, reason("quarantined", text)));
        }
        // Also in a pause, which may have begun while it waited.
        self.approved(self.state.stage)?;
        self.open()
    }

    /// Whether too few devices are lost to take any back. Where none can go back, people are to decide.
    fn not_lost(&self) -> Result<(), Refused> {
        lost(self.state).map_or(Ok(()), |(_, why)| Err(refused(Rail::Kill, why)))
    }

    /// Whether figures are there, right and fresh.
    fn fresh(&self) -> Result<(), Refused> {
        let state = self.state;
        if let Some(problem) = &state.problem {
            return Err(refused(Rail::Freshness, reason("bad-figures", problem.to_string())));
        }
        self.came(None, (state.counted_until_s > 0).then_some(state.counted_until_s))?;
        let on_new = |counts: DeviceCounts| {
            f64::from(counts.updated) - f64::from(counts.rolled_back) - f64::from(counts.bricked)
        };
        let all = on_new(state.fleet());
        for (cell, counts) in state.cells.iter().enumerate() {
            let is_small = on_new(*counts) <= 0.0 || on_new(*counts) < all * PART_THAT_COUNTS;
            if is_small || state.is_barred(cell) {
                continue;
            }
            let metrics = state.terms.metrics.iter().zip(&state.seen_s[cell]);
            for (metric, seen_s) in metrics.filter(|(metric, _)| metric.required) {
                self.came(Some(metric), *seen_s)?;
            }
        }
        Ok(())
    }

    /// Whether figures came, and not too long ago.
    fn came(&self, metric: Option<&MetricTerms>, seen_s: Option<u64>) -> Result<(), Refused> {
        let limits = &self.state.terms.limits;
        let every_s = metric.and_then(|metric| metric.every).unwrap_or(0).max(limits.tick);
        let limit_s = u64::from(every_s) * u64::from(limits.stale_ticks);
        let text = match seen_s.map(|seen_s| self.at_s.saturating_sub(seen_s)) {
            Some(age_s) if age_s <= limit_s => return Ok(()),
            Some(age_s) => {
                format!("the newest figures are {age_s} s old, at most {limit_s} s are allowed")
            }
            None => "no figures have come".to_owned(),
        };
        let metric = metric.map(|metric| metric.name.clone());
        Err(refused(Rail::Freshness, Reason { metric, ..reason("stale-figures", text) }))
    }

    /// Whether the calendar lets any device be updated.
    fn open(&self) -> Result<(), Refused> {
        let mut closed = None;
        for labels in &self.state.labels {
            match self.state.terms.calendar.closed(labels, self.at_s) {
                None => return Ok(()),
                Some(why) => closed = Some(why),
            }
        }
        closed.map_or(Ok(()), |why| Err(refused(Rail::Order, reason("calendar", why))))
    }

    /// Whether the share that has been reached was watched for long enough, and by enough devices.
    fn watched(&self, wanted: f64) -> Result<(), Refused> {
        if self.by == DecidedBy::Person {
            return Ok(());
        }
        let (state, stage) = (self.state, self.state.current_stage());
        let Some(full_for_s) = state.full_for(self.at_s) else {
            return Err(refused(
                Rail::Watch,
                reason("not-full", format!("stage `{}` is not full", stage.name)),
            ));
        };
        let min_s = state.watch_time();
        if full_for_s < min_s {
            let text =
                format!("stage `{}` was watched for {full_for_s} s of {min_s} s", stage.name);
            return Err(refused(Rail::Watch, reason("not-watched", text)));
        }
        let is_within_stage = wanted <= stage.share;
        if is_within_stage || state.terms.limits.blind_stages.contains(&stage.name) {
            return Ok(());
        }
        self.seen_enough()
    }

    /// Whether so many events were to be expected that a regression would have shown.
    fn seen_enough(&self) -> Result<(), Refused> {
        let terms = &self.state.terms;
        let Some(fleet) = self.state.groups.first() else { return Ok(()) };
        for (metric, evidence) in terms.metrics.iter().zip(&fleet.metrics) {
            let Some(must_see) = metric.must_see else { continue };
            let (expected, treated_by_control) = evidence.expected(metric);
            let x = if treated_by_control.is_finite() { treated_by_control } else { 0.0 };
            let needed = events_needed(must_see, x, terms.limits.alpha, Certainty::Half);
            if expected < needed {
                let text = format!(
                    "{expected:.2} events were to be expected, {needed:.2} show a regression by {must_see}x"
                );
                let (observed, limit) = (Some(expected), Some(needed));
                let why = Reason {
                    metric: Some(metric.name.clone()),
                    observed,
                    limit,
                    ..reason("too-little-seen", text)
                };
                return Err(refused(Rail::Watch, why));
            }
        }
        Ok(())
    }

    fn approved(&self, stage: usize) -> Result<(), Refused> {
        let state = self.state;
        let stages = &state.terms.plan.stages;
        let Some(Stage { name, .. }) = stages.get(stage).filter(|_| state.lacks_approval(stage))
        else {
            return Ok(());
        };
        let text = format!("stage `{name}` needs approval");
        Err(refused(Rail::Order, reason("needs-approval", text)))
    }

    /// The stage that a share belongs to: this one, or the next.
    fn stage_of(&self, share: f64) -> usize {
        self.state.stage + usize::from(share > self.state.current_stage().share)
    }

    /// Cuts a share to the stage that comes next, or this one if it has not been reached.
    fn in_order(&mut self, wanted: f64) -> f64 {
        let state = self.state;
        let this = state.current_stage().share;
        let is_reached = state.share_limit >= this;
        let most = state.next_stage().filter(|_| is_reached).map_or(this, |next| next.share);
        if wanted > most {
            self.note(
                Rail::StageOrder,
                "stage-skipped",
                format!("an advance to {wanted}, beyond the stage that comes next"),
                wanted,
                most,
            );
        }
        wanted.min(most)
    }

    /// Cuts a share to the factor by which it may grow.
    fn grown(&mut self, wanted: f64) -> f64 {
        let most = self.state.share_limit * self.state.terms.limits.growth;
        if self.by == DecidedBy::Person || wanted <= most {
            return wanted;
        }
        self.note(
            Rail::Growth,
            "grows-too-fast",
            format!("an advance from {} to {wanted}", self.state.share_limit),
            wanted,
            most,
        );
        most
    }

    /// Cuts a share to the devices that may be on new firmware without having committed it.
    fn within_radius(&mut self, wanted: f64) -> Result<f64, Refused> {
        let (state, terms) = (self.state, &self.state.terms);
        let cap = terms.limits.most_uncommitted();
        let stage = self.stage_of(wanted);
        let fleet = state.fleet();
        let settled = f64::from(fleet.committed) + f64::from(fleet.rolled_back);
        let uncommitted = f64::from(terms.devices_at(wanted, stage)) - settled;
        if uncommitted <= cap {
            return Ok(wanted);
        }
        let text = format!("{uncommitted} devices would have what they have not committed");
        let share = ((cap + settled) / f64::from(terms.devices())).min(wanted);
        let devices = part_of(terms.devices(), share);
        let is_step = devices > part_of(terms.devices(), state.share_limit);
        if devices > 0 && (is_step || state.pause().is_some()) {
            self.note(Rail::BlastRadius, "blast-radius", text, uncommitted, cap);
            return Ok(share);
        }
        let (observed, limit) = (Some(uncommitted), Some(cap));
        Err(refused(Rail::BlastRadius, Reason { observed, limit, ..reason("blast-radius", text) }))
    }
}

/// By which rail something is refused, and why.
struct Refused {
    rail: Rail,
    why: Box<Reason>,
}

fn refused(rail: Rail, why: Reason) -> Refused {
    Refused { rail, why: Box::new(why) }
}

fn decided(decision: Decision, by: DecidedBy, rails: Vec<Rail>, reasons: Vec<Reason>) -> Decided {
    Decided { decision, by, rails, reasons, feature_flags: vec![] }
}

fn reason(code: &str, text: String) -> Reason {
    Reason { code: code.to_owned(), text, metric: None, group: None, observed: None, limit: None }
}

/// At most 1,024 bytes of a text.
pub(crate) fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(1024);
    text[..end].to_owned()
}
