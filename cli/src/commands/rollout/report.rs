//! What a rollout is like now: for people at a glance, and as JSON.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use whittle_policy_host::types::{DecidedBy, Group, Metric, MetricKind, Signal};
use whittle_rollout::statistics::log_threshold;
use whittle_rollout::{Decided, DeviceCounts, Ending, FLEET, Phase, Role, Rollout};
use whittle_rollout_store::RolloutName;

use crate::printer::{grouped, one_line, table};
use crate::{time, words};

/// What a rollout is like.
#[derive(JsonSchema, Serialize)]
pub(crate) struct Report {
    /// Name of the rollout.
    rollout: String,
    /// Name of the release.
    release: String,
    /// Version of the target.
    version: String,
    /// What the rollout is doing.
    #[schemars(extend("enum" = PHASES))]
    phase: &'static str,
    /// Whether its build must never be rolled out again.
    quarantined: bool,
    /// The stage that it is in.
    stage: StageReport,
    /// Devices of the fleet.
    devices: u32,
    /// Devices that keep the old firmware until the end, to compare with.
    held_back: u32,
    /// How far devices are.
    counts: Counts,
    /// Times of the rollout.
    time: TimeReport,
    /// The pause that is under way; none if there is none.
    pause: Option<PauseReport>,
    /// Metrics of the fleet, and those of groups of which something is known.
    metrics: Vec<MetricReport>,
    /// Groups that do worse than they may.
    suspects: Vec<Named>,
    /// Devices by the version that they report; empty if that is not known.
    versions: Vec<Version>,
    /// Why the last figures were set aside; none if they were counted.
    problem: Option<String>,
    /// The last decision; none before the first.
    last_decision: Option<Decided>,
    /// What whoever drives the fleet shall do now.
    orders: whittle_rollout::Orders,
}

/// The stage that a rollout is in.
#[derive(JsonSchema, Serialize)]
struct StageReport {
    /// Name of the stage.
    name: String,
    /// Its number, from 1.
    number: usize,
    /// How many stages there are.
    of: usize,
    /// Share of the fleet, from 0 to 1, that has the new firmware when it is full.
    share: f64,
    /// Share of the fleet, from 0 to 1, that the rollout may reach now.
    share_limit: f64,
    /// The same as a number of devices.
    devices: u32,
}

/// Devices of the fleet, by how far they are.
#[derive(JsonSchema, Serialize)]
struct Counts {
    /// Have been offered the new firmware.
    offered: u32,
    /// Of those, have installed it at least once.
    updated: u32,
    /// Of the updated, have committed it and still run it.
    committed: u32,
    /// Of the updated, went back.
    rolled_back: u32,
    /// Of the updated, no longer work.
    bricked: u32,
    /// Of the updated, have not been heard of for too long.
    silent: u32,
}

impl From<DeviceCounts> for Counts {
    fn from(counts: DeviceCounts) -> Self {
        let DeviceCounts { offered, updated, committed, rolled_back, bricked, silent } = counts;
        Self { offered, updated, committed, rolled_back, bricked, silent }
    }
}

/// Times of a rollout. Those that end in `_s` and are large are seconds from 1970, UTC.
#[derive(JsonSchema, Serialize)]
struct TimeReport {
    /// Now, in seconds from 1970, UTC.
    now_s: u64,
    /// Seconds since the rollout began.
    elapsed_s: u32,
    /// Seconds since the stage began.
    stage_age_s: u32,
    /// Seconds for which the stage has been full; none while it fills.
    full_for_s: Option<u32>,
    /// Seconds until the stage may be passed, at least.
    stage_left_s: u32,
    /// When the next look is due, in seconds from 1970, UTC.
    due_s: u64,
}

/// A pause that is under way.
#[derive(JsonSchema, Serialize)]
struct PauseReport {
    /// When it began, in seconds from 1970, UTC.
    since_s: u64,
    /// When it is to be decided, in seconds from 1970, UTC.
    deadline_s: u64,
    /// How bad it is.
    #[schemars(extend("enum" = ["low", "moderate", "high", "critical"]))]
    severity: &'static str,
    /// What happens if nobody has decided by then, in words.
    otherwise: String,
    /// Who paused.
    by: DecidedBy,
    /// What is known about the cause.
    root_cause: whittle_policy_host::types::RootCause,
    /// Why.
    reasons: Vec<whittle_policy_host::types::Reason>,
}

/// A metric of a group of devices.
#[derive(JsonSchema, Serialize)]
struct MetricReport {
    /// Label of the group: `fleet`, or such as `hw=C`.
    group: String,
    /// Name of the metric.
    name: String,
    /// What its value means.
    kind: MetricKind,
    /// Its value on new firmware: events per hour of a device, a share from 0 to 1, or a mean reading. None if nothing was measured.
    treated: Option<f64>,
    /// The same on devices that still ran the old firmware.
    control: Option<f64>,
    /// The same on these devices before the rollout.
    baseline: Option<f64>,
    /// Age of the newest figure, in seconds.
    age_s: u32,
    /// What the test says; none while there is too little to test.
    signal: Option<Signal>,
}

/// A group that does worse than it may.
#[derive(JsonSchema, Serialize)]
struct Named {
    /// Label of the group, such as `hw=C`.
    group: String,
    /// Name of the metric.
    metric: String,
    /// What the test says.
    signal: Signal,
}

/// Devices that report a version.
#[derive(JsonSchema, Serialize)]
struct Version {
    /// The version.
    version: String,
    /// How many report it.
    devices: u32,
    /// The same as a share of those that report any, from 0 to 1.
    share: f64,
    /// Whether it is the target, a base that a delta leads from, or another one.
    #[schemars(extend("enum" = ["target", "base", "straggler"]))]
    role: &'static str,
}

impl Report {
    pub(super) fn of(name: &RolloutName, rollout: &Rollout, at_s: u64) -> Self {
        let (state, now) = (rollout.state(), rollout.snapshot(at_s));
        let terms = state.terms();
        let stage = &terms.plan.stages[state.stage_index()];
        let watched = now.full_for.unwrap_or(0);
        let suspects = state.suspects(terms.limits.alpha).into_iter();
        Self {
            rollout: name.to_string(),
            release: terms.release.name.clone(),
            version: terms.version.clone(),
            phase: phase(state.phase()),
            quarantined: state.is_quarantined(),
            stage: StageReport {
                name: stage.name.clone(),
                number: state.stage_index() + 1,
                of: terms.plan.stages.len(),
                share: stage.share,
                share_limit: state.share_limit(),
                devices: terms.devices_at(state.share_limit(), state.stage_index()),
            },
            devices: terms.devices(),
            held_back: terms.held_back(),
            counts: state.devices_of(FLEET).unwrap_or_default().into(),
            time: TimeReport {
                now_s: at_s,
                elapsed_s: now.clock.elapsed,
                stage_age_s: now.stage_age,
                full_for_s: now.full_for,
                stage_left_s: state.watch_time().saturating_sub(watched),
                due_s: rollout.due_s(),
            },
            pause: pause(state.phase()),
            metrics: metrics(&rollout.groups(at_s)),
            suspects: suspects
                .map(|suspect| Named {
                    group: suspect.group,
                    metric: suspect.metric,
                    signal: suspect.signal,
                })
                .collect(),
            versions: versions(rollout),
            problem: state.problem().map(ToString::to_string),
            last_decision: state.last_decision().cloned(),
            orders: rollout.orders(at_s),
        }
    }

    /// A page for an operator.
    pub(super) fn page(&self) -> String {
        let mut page = self.heading();
        if let Some(pause) = &self.pause {
            page += &self.pause_lines(pause);
        }
        if let Some(problem) = &self.problem {
            let _ = writeln!(page, "figures   set aside: {}", one_line(problem));
        }
        page += &self.metric_table();
        if !self.suspects.is_empty() {
            let named = self.suspects.iter().map(|suspect| {
                let Signal { ratio, low, .. } = suspect.signal;
                let about = format!("{} {}", suspect.group, suspect.metric);
                format!("{} {ratio:.1} times worse, at least {low:.1}", one_line(&about))
            });
            let _ = writeln!(page, "\nsuspects  {}", named.collect::<Vec<_>>().join("; "));
        }
        if !self.versions.is_empty() {
            let shares = self.versions.iter().map(|version| {
                let percent = version.share * 100.0;
                format!("{} {percent:.1} % ({})", one_line(&version.version), version.role)
            });
            let _ = writeln!(page, "\nversions  {}", shares.collect::<Vec<_>>().join(" · "));
        }
        if let Some(decided) = &self.last_decision {
            let by = words::decided_by(decided.by);
            let decision = one_line(&words::decision(&decided.decision));
            let _ = writeln!(page, "\ndecision  {decision} (by {by})");
            page.extend(decided.reasons.iter().map(words::reason));
        }
        page
    }

    fn heading(&self) -> String {
        let Self { stage, counts, time, .. } = self;
        let devices = |number: u32| grouped(u64::from(number));
        let quarantined = if self.quarantined { ", build quarantined" } else { "" };
        let groups = self.taken_back();
        let mut text = format!(
            "{}: {} {}{groups}{quarantined}, stage {} of {} `{}`\n",
            one_line(&self.rollout),
            one_line(&self.version),
            self.phase,
            stage.number,
            stage.of,
            one_line(&stage.name),
        );
        let _ = writeln!(
            text,
            "share     {} {}: {} of {} devices may have it",
            bar(stage.share_limit),
            words::percent(stage.share_limit),
            devices(stage.devices),
            devices(self.devices),
        );
        let _ = writeln!(
            text,
            "devices   offered {} · updated {} · committed {} · rolled back {} · bricked {} · silent {}",
            devices(counts.offered),
            devices(counts.updated),
            devices(counts.committed),
            devices(counts.rolled_back),
            devices(counts.bricked),
            devices(counts.silent),
        );
        let _ = writeln!(text, "time      {}", self.times(time));
        text
    }

    /// Which groups alone go back, if not all devices do.
    fn taken_back(&self) -> String {
        match self.orders.take_back.as_slice() {
            [] => String::new(),
            groups if groups.iter().any(|group| group == FLEET) => String::new(),
            groups => format!(" (back: {} alone)", one_line(&groups.join(", "))),
        }
    }

    fn times(&self, time: &TimeReport) -> String {
        let length = |seconds: u32| time::length(u64::from(seconds));
        let mut parts = vec![
            format!("{} since the start", length(time.elapsed_s)),
            format!("{} in this stage", length(time.stage_age_s)),
        ];
        if self.phase == "running" {
            parts.push(match time.full_for_s {
                Some(full) => format!("full for {}", length(full)),
                None => "not full yet".to_owned(),
            });
            parts.push(format!("{} left at least", length(time.stage_left_s)));
            let wait_s = time.due_s.saturating_sub(time.now_s);
            parts.push(format!("next look in {}", time::length(wait_s)));
        }
        parts.join(", ")
    }

    fn pause_lines(&self, pause: &PauseReport) -> String {
        let now_s = self.time.now_s;
        let left = match pause.deadline_s.checked_sub(now_s).filter(|left| *left > 0) {
            Some(left) => format!("to be decided within {}", time::length(left)),
            None => "the time to decide is over".to_owned(),
        };
        let mut text = format!(
            "paused    by {} for {} ({} severity), {left}, otherwise {}\n",
            words::decided_by(pause.by),
            time::length(now_s.saturating_sub(pause.since_s)),
            pause.severity,
            one_line(&pause.otherwise),
        );
        text.extend(pause.reasons.iter().map(words::reason));
        text
    }

    fn metric_table(&self) -> String {
        let rows: Vec<_> = self.metrics.iter().map(MetricReport::row).collect();
        if rows.is_empty() {
            return String::new();
        }
        let header =
            ["metric", "group", "new", "old", "times worse (95 %)", "limit", "evidence", "age"];
        format!("\n{}\n", table(&header, rows))
    }
}

impl MetricReport {
    fn row(&self) -> Vec<String> {
        let value =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| figure(value, self.kind));
        let old = self.control.or(self.baseline);
        let (ratio, limit, evidence) = match &self.signal {
            Some(signal) => (
                format!("{:.2} ({:.2} to {})", signal.ratio, signal.low, most(signal.high)),
                format!("{}x, alarm {}x", signal.tolerated, signal.alarm),
                verdict(signal),
            ),
            None => ("-".to_owned(), "-".to_owned(), "too little"),
        };
        vec![
            one_line(&self.name),
            one_line(&self.group),
            value(self.treated),
            value(old),
            ratio,
            limit,
            evidence.to_owned(),
            time::length(u64::from(self.age_s)),
        ]
    }
}

/// What a signal says, at level 0.05.
fn verdict(signal: &Signal) -> &'static str {
    let enough = log_threshold(0.05);
    if signal.log_e_worse >= enough {
        "WORSE"
    } else if signal.log_e_fine >= enough {
        "fine"
    } else {
        "open"
    }
}

fn figure(value: f64, kind: MetricKind) -> String {
    match kind {
        MetricKind::Rate => format!("{value:.3e}/h"),
        MetricKind::Proportion => format!("{:.2} %", value * 100.0),
        MetricKind::Mean => format!("{value:.3}"),
    }
}

fn most(high: f64) -> String {
    if high >= 1e6 { "any".to_owned() } else { format!("{high:.2}") }
}

fn bar(share: f64) -> String {
    const WIDTH: usize = 20;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let full = ((share * 20.0).ceil() as usize).min(WIDTH);
    format!("[{}{}]", "#".repeat(full), ".".repeat(WIDTH - full))
}

/// All that [`phase`] says.
pub(super) const PHASES: [&str; 6] =
    ["waits for approval", "running", "paused", "completed", "rolled back", "stopped"];

pub(super) fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waits for approval",
        Phase::Running => "running",
        Phase::Paused(_) => "paused",
        Phase::Over(Ending::Completed) => "completed",
        Phase::Over(Ending::RolledBack) => "rolled back",
        Phase::Over(Ending::Stopped) => "stopped",
    }
}

fn pause(phase: &Phase) -> Option<PauseReport> {
    let Phase::Paused(pause) = phase else { return None };
    Some(PauseReport {
        since_s: pause.since_s,
        deadline_s: pause.deadline_s(),
        severity: words::severity(pause.order.severity),
        otherwise: words::fallback(&pause.order.otherwise),
        by: pause.by,
        root_cause: pause.root_cause,
        reasons: pause.reasons.clone(),
    })
}

/// The fleet's metrics, and those of other groups of which something is known.
fn metrics(groups: &[Group]) -> Vec<MetricReport> {
    let groups = groups.iter().flat_map(|group| {
        let metrics = group.metrics.iter();
        metrics.filter(|metric| group.label == FLEET || metric.signal.is_some()).map(|metric| {
            MetricReport {
                group: group.label.clone(),
                name: metric.name.clone(),
                kind: metric.kind,
                treated: value(metric, |metric| metric.treated),
                control: value(metric, |metric| metric.control),
                baseline: value(metric, |metric| metric.baseline),
                age_s: metric.age,
                signal: metric.signal,
            }
        })
    });
    groups.collect()
}

fn value(
    metric: &Metric,
    tally: impl Fn(&Metric) -> whittle_policy_host::types::Tally,
) -> Option<f64> {
    let tally = tally(metric);
    (tally.exposure > 0.0).then(|| tally.count / tally.exposure)
}

fn versions(rollout: &Rollout) -> Vec<Version> {
    let role = |role| match role {
        Role::Target => "target",
        Role::Base => "base",
        Role::Straggler => "straggler",
    };
    let versions = rollout.state().distribution().into_iter();
    versions
        .map(|version| Version {
            version: version.version,
            devices: version.devices,
            share: version.share,
            role: role(version.role),
        })
        .collect()
}
