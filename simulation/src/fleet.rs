//! A made-up fleet: how many devices of each cell are in which state, and what they report.

use std::collections::BTreeMap;

use whittle_rollout::policy::types::{MetricKind, Tally};
use whittle_rollout::{
    CellObservation, DeviceCounts, FLEET, MetricObservation, MetricTerms, Observation, Orders,
    Terms, WayBack, part_of,
};

use crate::random::{Place, Purpose, Stream};
use crate::scenario::{Bug, Effect, Scenario};

const DAY_H: f64 = 24.0;

/// A device that fails again and again counts once a day.
const LEAST_MTTF_H: f64 = DAY_H;

/// Devices with a fault that are still at work.
#[derive(Clone, Copy, Debug, Default)]
struct Affected {
    /// It has not shown yet.
    latent: u32,
    /// It has, and they go on.
    failing: u32,
}

/// A cell's devices.
#[derive(Clone, Debug)]
struct Cell {
    devices: u32,
    /// Those that check in at all.
    online: u32,
    /// Those that may get the new firmware before the rollout is over.
    reachable: u32,
    counts: DeviceCounts,
    /// On new firmware, without a fault.
    healthy: u32,
    /// By bug.
    affected: Vec<Affected>,
    /// Devices that were counted today, by metric: on new and on old firmware.
    today: Vec<[f64; 2]>,
}

/// What a fleet has gone through so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Toll {
    /// Devices that failed at least once.
    pub(crate) harmed: u32,
    /// Devices that need somebody's help.
    pub(crate) stuck: u32,
    /// Tickets of the last tick.
    pub(crate) tickets: f64,
    /// Bytes that devices have fetched.
    pub(crate) bytes: f64,
}

pub(crate) struct Fleet<'a> {
    scenario: &'a Scenario,
    terms: &'a Terms,
    cells: Vec<Cell>,
    pub(crate) toll: Toll,
    /// How many ticks have gone by.
    ticks: u64,
    tick_h: f64,
    /// How many times as many events there are in this tick as on average, on any firmware.
    factor: f64,
    place: Place,
}

impl<'a> Fleet<'a> {
    pub(crate) fn new(scenario: &'a Scenario, terms: &'a Terms, seed: u64, run: u64) -> Self {
        let cells = terms.cells.iter().map(|cell| Cell {
            devices: cell.devices,
            online: part_of(cell.devices, 1.0 - scenario.fleet.offline),
            reachable: cell.devices - part_of(cell.devices, terms.plan.hold_back),
            counts: DeviceCounts::default(),
            healthy: 0,
            affected: vec![Affected::default(); scenario.bugs.len()],
            today: vec![[0.0; 2]; terms.metrics.len()],
        });
        Self {
            scenario,
            terms,
            cells: cells.collect(),
            toll: Toll::default(),
            ticks: 0,
            tick_h: f64::from(terms.limits.tick) / 3600.0,
            factor: 1.0,
            place: Place { seed, run, cell: 0, tick: 0 },
        }
    }

    /// Devices that have ever had the new firmware.
    pub(crate) fn updated(&self) -> u32 {
        self.cells.iter().map(|cell| cell.counts.updated).sum()
    }

    /// Lets a tick go by under these orders; returns what is known at its end.
    pub(crate) fn tick(&mut self, orders: &Orders, from_s: u64) -> Observation {
        let quotas = self.quotas(orders);
        let mut starts = orders.start_now;
        self.toll.tickets = 0.0;
        self.factor = self.factor_now();
        let is_new_day = (self.hours() % DAY_H) < self.tick_h;
        let mut reports = vec![];
        for (at, quota) in quotas.into_iter().enumerate() {
            if is_new_day {
                self.cells[at].today.fill([0.0; 2]);
            }
            let before = self.cells[at].clone();
            let started = self.update(at, quota, &mut starts, orders.release_held_back);
            let events = self.fail(at);
            self.go_back(at, orders);
            let cell = &mut self.cells[at];
            // What has just been installed is committed by the next tick.
            cell.counts.committed = cell.running().saturating_sub(started);
            reports.push(self.report(at, &before, &events));
        }
        self.ticks += 1;
        let until_s = from_s + u64::from(self.terms.limits.tick);
        Observation { from_s, until_s, cells: reports, versions: self.versions() }
    }

    fn hours(&self) -> f64 {
        // Ticks of a rollout are far fewer than a double counts.
        #[allow(clippy::cast_precision_loss)]
        let ticks = self.ticks as f64;
        ticks * self.tick_h
    }

    fn stream(&self, cell: usize, purpose: Purpose, which: usize) -> Stream {
        let place = Place { cell: cell as u64, tick: self.ticks, ..self.place };
        Stream::new(place, purpose, which)
    }

    /// How many devices of each cell may have the new firmware; none where nothing is offered.
    fn quotas(&self, orders: &Orders) -> Vec<Option<u32>> {
        let is_open = |at: usize| {
            let is_closed = orders.closed_cells.iter().any(|(closed, _)| *closed == at);
            let labels = || self.terms.cells[at].labels(&self.terms.split_by);
            let is_among = orders.among.as_ref().is_none_or(|among| labels().contains(among));
            orders.closed.is_none() && !is_closed && is_among
        };
        let open: Vec<_> = (0..self.cells.len()).map(is_open).collect();
        let with =
            |wanted: bool| self.cells.iter().zip(&open).filter(move |(_, open)| **open == wanted);
        let elsewhere: u32 = with(false).map(|(cell, _)| cell.counts.offered).sum();
        let room = |cell: &Cell| {
            u64::from(if orders.release_held_back { cell.devices } else { cell.reachable })
        };
        let rooms: u64 = with(true).map(|(cell, _)| room(cell)).sum();
        let wanted = u64::from(orders.devices.saturating_sub(elsewhere)).min(rooms);
        let (mut seen, mut given) = (0, 0);
        let cells = self.cells.iter().zip(&open);
        cells
            .map(|(cell, open)| {
                if !open {
                    return None;
                }
                // Of so many among all, in proportion, without losing one to rounding.
                seen += room(cell);
                let until_here = wanted * seen / rooms.max(1);
                let own = until_here - given;
                given = until_here;
                u32::try_from(own).ok()
            })
            .collect()
    }

    /// Devices check in and update; returns how many did.
    fn update(&mut self, at: usize, quota: Option<u32>, starts: &mut u32, all: bool) -> u32 {
        let Some(quota) = quota else { return 0 };
        let probability = self.checks_in();
        let (mut draw, terms) = (self.stream(at, Purpose::CheckIn, 0), self.terms);
        let cell = &mut self.cells[at];
        let most = if all { cell.online } else { cell.online.min(quota) };
        let pending = most.saturating_sub(cell.counts.offered);
        let new = draw.binomial(pending, probability).min(*starts);
        *starts -= new;
        cell.counts.offered += new;
        cell.counts.updated += new;
        let full = self.scenario.fleet.stragglers;
        self.toll.bytes += f64::from(new)
            * (full * terms.release.full_bytes + (1.0 - full) * terms.release.delta_bytes);
        let mut left = new;
        for (which, bug) in self.scenario.bugs.iter().enumerate() {
            if matches!(bug.effect, Effect::Drift { .. }) || !has(bug, &terms.cells[at].attributes)
            {
                continue;
            }
            let sick = self.stream(at, Purpose::Affected, which).binomial(left, bug.affected);
            self.cells[at].affected[which].latent += sick;
            left -= sick;
        }
        self.cells[at].healthy += left;
        new
    }

    fn checks_in(&self) -> f64 {
        1.0 - (-self.tick_h * 3600.0 / self.scenario.fleet.check_in_s).exp()
    }

    /// Faults show; returns events by metric.
    fn fail(&mut self, at: usize) -> BTreeMap<&'a str, f64> {
        let mut events = BTreeMap::new();
        let scenario = self.scenario;
        for (which, bug) in scenario.bugs.iter().enumerate() {
            let mttf_h = match &bug.effect {
                Effect::Crash { mttf_h, .. }
                | Effect::BootLoop { mttf_h, .. }
                | Effect::Brick { mttf_h }
                | Effect::Silence { mttf_h } => *mttf_h,
                Effect::Drift { .. } => continue,
            };
            let mut draw = self.stream(at, Purpose::Failing, which);
            let Affected { latent, failing } = self.cells[at].affected[which];
            let first = draw.binomial(latent, self.within_tick(mttf_h));
            let again = draw.binomial(failing, self.within_tick(mttf_h.max(LEAST_MTTF_H)));
            self.cells[at].affected[which].latent -= first;
            self.toll.harmed += first;
            let mut helpless = 0;
            let cell = &mut self.cells[at];
            match &bug.effect {
                Effect::Crash { metric, .. } => {
                    cell.affected[which].failing += first;
                    *events.entry(metric.as_str()).or_default() += f64::from(first + again);
                }
                Effect::BootLoop { metric, .. } => {
                    helpless = draw.binomial(first, 1.0 - scenario.fleet.rollback_success);
                    cell.counts.bricked += helpless;
                    cell.counts.rolled_back += first - helpless;
                    if let Some(metric) = metric {
                        *events.entry(metric.as_str()).or_default() += f64::from(first);
                    }
                }
                Effect::Brick { .. } => {
                    helpless = first;
                    cell.counts.bricked += first;
                }
                Effect::Silence { .. } => {
                    helpless = first;
                    cell.counts.silent += first;
                }
                Effect::Drift { .. } => {}
            }
            self.open_tickets(at, which, first, helpless);
        }
        if let Some(metric) = &scenario.fleet.ticket_metric {
            *events.entry(metric.as_str()).or_default() += self.toll.tickets;
        }
        events
    }

    fn open_tickets(&mut self, at: usize, which: usize, first: u32, helpless: u32) {
        self.toll.stuck += helpless;
        let expected = f64::from(first.max(helpless)) * self.scenario.fleet.tickets_per_failure;
        self.toll.tickets += self.stream(at, Purpose::Tickets, which).poisson(expected);
    }

    /// How likely something with this mean time happens within a tick.
    fn within_tick(&self, mean_h: f64) -> f64 {
        1.0 - (-self.tick_h / mean_h).exp()
    }

    /// Devices that shall go back do so when they check in.
    fn go_back(&mut self, at: usize, orders: &Orders) {
        if orders.take_back.is_empty() {
            return;
        }
        let labels = self.terms.cells[at].labels(&self.terms.split_by);
        let is_barred =
            orders.take_back.iter().any(|label| label == FLEET || labels.contains(label));
        let has_way = !matches!(orders.way_back, None | Some(WayBack::None));
        if !is_barred || !has_way {
            return;
        }
        let probability = self.checks_in();
        let mut draw = self.stream(at, Purpose::GoingBack, 0);
        let cell = &mut self.cells[at];
        let mut leave = |devices: &mut u32| {
            let going = draw.binomial(*devices, probability);
            *devices -= going;
            going
        };
        let mut going = leave(&mut cell.healthy);
        for affected in &mut cell.affected {
            going += leave(&mut affected.latent) + leave(&mut affected.failing);
        }
        let fails = 1.0 - self.scenario.fleet.rollback_success;
        let helpless = self.stream(at, Purpose::GoingBackFails, 0).binomial(going, fails);
        let cell = &mut self.cells[at];
        cell.counts.bricked += helpless;
        cell.counts.rolled_back += going - helpless;
        self.open_tickets(at, self.scenario.bugs.len(), 0, helpless);
    }

    /// What a cell reports of a tick: of devices that were on either firmware when it began.
    fn report(
        &mut self,
        at: usize,
        before: &Cell,
        events: &BTreeMap<&str, f64>,
    ) -> CellObservation {
        let terms = self.terms;
        let (new, old) = (before.running(), before.devices - before.counts.updated);
        let metrics = terms.metrics.iter().enumerate().filter_map(|(which, metric)| {
            if !self.is_due(metric) {
                return None;
            }
            let extra = events.get(metric.name.as_str()).copied().unwrap_or(0.0);
            let drift = self.drift(at, &metric.name);
            let treated = self.tally(at, which, new, drift, extra, Purpose::Treated);
            let control = self.tally(at, which, old, 1.0, 0.0, Purpose::Control);
            Some(MetricObservation { name: metric.name.clone(), treated, control })
        });
        let metrics = metrics.collect();
        let attributes = terms.cells[at].attributes.clone();
        CellObservation { attributes, devices: self.cells[at].counts, metrics }
    }

    /// Rates are gathered all the time; others when they are asked for.
    fn is_due(&self, metric: &MetricTerms) -> bool {
        let every_h = metric.every.map_or(0.0, |every| f64::from(every) / 3600.0);
        let hours = self.hours();
        metric.kind == MetricKind::Rate || (hours % every_h.max(self.tick_h)) < self.tick_h
    }

    /// How many times the value of old firmware that of new firmware is.
    fn drift(&self, at: usize, name: &str) -> f64 {
        let attributes = &self.terms.cells[at].attributes;
        let of_bug = |bug: &Bug| match &bug.effect {
            Effect::Drift { metric, times } if metric == name && has(bug, attributes) => {
                1.0 + bug.affected * (times - 1.0)
            }
            _ => 1.0,
        };
        self.scenario.bugs.iter().map(of_bug).product()
    }

    fn tally(
        &mut self,
        at: usize,
        which: usize,
        devices: u32,
        drift: f64,
        extra: f64,
        purpose: Purpose,
    ) -> Tally {
        let metric = &self.terms.metrics[which];
        let baseline = self.terms.cells[at].baselines.get(&metric.name);
        let (mean, variance) =
            baseline.filter(|baseline| baseline.exposure > 0.0).map_or((0.0, 0.0), |baseline| {
                let mean = baseline.count / baseline.exposure;
                (mean, (baseline.squares / baseline.exposure - mean * mean).max(0.0))
            });
        let mut draw = self.stream(at, purpose, which);
        let number = f64::from(devices);
        match metric.kind {
            MetricKind::Rate => {
                let side = usize::from(matches!(purpose, Purpose::Control));
                let exposure = number * self.tick_h;
                let factor = self.factor * drift;
                let today = &mut self.cells[at].today[which][side];
                // A device counts once a day.
                let fresh = (number - *today).max(0.0) * self.tick_h;
                let events = draw.poisson(fresh * mean * factor).min(number);
                *today += events;
                // More than one a device and tick is not reported either, nor more than is believed.
                let most = metric.most_events(exposure, devices);
                let count = if exposure > 0.0 { (events + extra).min(most) } else { 0.0 };
                Tally { count, exposure, squares: 0.0 }
            }
            MetricKind::Proportion => {
                let count = f64::from(draw.binomial(devices, mean * drift));
                Tally { count, exposure: number, squares: 0.0 }
            }
            MetricKind::Mean => {
                let (mean, spread) = (mean * drift, (variance * number).sqrt() * drift);
                let most = metric.most.unwrap_or(f64::MAX);
                let count = draw.normal(mean * number, spread).clamp(0.0, most * number);
                let mean = if number > 0.0 { count / number } else { 0.0 };
                // Values from 0 to `most` spread no further (Bhatia and Davis 2000).
                let variance = (variance * drift * drift).min(mean * (most - mean));
                Tally { count, exposure: number, squares: (mean * mean + variance) * number }
            }
        }
    }

    fn factor_now(&self) -> f64 {
        let hours = self.hours();
        let day = 1.0 - self.scenario.fleet.daily * (hours / DAY_H * std::f64::consts::TAU).cos();
        let seasons = self.scenario.fleet.seasons.iter();
        let now = seasons.filter(|season| (season.from_h..season.until_h).contains(&hours));
        day * now.map(|season| season.factor).product::<f64>()
    }

    fn versions(&self) -> BTreeMap<String, u32> {
        let on_new: u32 = self.cells.iter().map(Cell::running).sum();
        let all = self.terms.devices();
        let old = all - on_new - self.cells.iter().map(Cell::lost).sum::<u32>();
        let mut versions = BTreeMap::from([(self.terms.version.clone(), on_new)]);
        let base = self.terms.base_versions.first().cloned().unwrap_or_else(|| "base".to_owned());
        *versions.entry(base).or_default() += old;
        versions
    }
}

impl Cell {
    /// Devices that run the new firmware and are heard of.
    fn running(&self) -> u32 {
        let affected = self.affected.iter().map(|sick| sick.latent + sick.failing);
        self.healthy + affected.sum::<u32>()
    }

    fn lost(&self) -> u32 {
        self.counts.bricked + self.counts.silent
    }
}

fn has(bug: &Bug, attributes: &BTreeMap<String, String>) -> bool {
    bug.attributes.iter().all(|(name, value)| attributes.get(name) == Some(value))
}
