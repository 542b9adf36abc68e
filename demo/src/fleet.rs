//! All devices, hour by hour, and what they report.

use std::collections::BTreeMap;

use whittle_format::Label;
use whittle_patcher_nostd::{Ending, Phase};
use whittle_rollout::policy::types::Tally;
use whittle_rollout::statistics::DistinctDevices;
use whittle_rollout::{Cell, CellObservation, DeviceCounts, MetricObservation, Observation};

use crate::character::{ATTRIBUTE, Character, Hardware};
use crate::device::{Device, Happening};
use crate::draws::{Draws, Purpose};
use crate::event::{Event, Note, Share, Troubles};
use crate::server::Server;
use crate::summary::{DeviceReport, Summary};
use crate::workshop::{FIXED, Factory, WAY_BACK, Workshop};
use crate::{DemoError, HOUR_S, now_s, number};

/// The metric that is watched: distinct devices that crash in a day, by device-hour.
pub(crate) const METRIC: &str = "crashes";

/// How long crashes were counted before the demo begins.
const WEEK_H: u32 = 168;

/// A release that is tried in vain runs for a few minutes.
const TRIED_H: f64 = 0.1;

/// A device is silent that has not been heard of for longer.
const SILENT_H: u32 = 24;

/// Of each kind, so many devices are told of one by one.
const SHOWN: usize = 3;

pub(crate) struct Fleet {
    seed: u64,
    members: Vec<Member>,
    pub(crate) server: Server,
    distinct: DistinctDevices,
    pub(crate) summary: Summary,
    /// How many notes of each kind there were in this rollout.
    shown: BTreeMap<&'static str, usize>,
}

/// A device, and what is known of it.
struct Member {
    device: Device,
    report: DeviceReport,
    /// Whether a new release went wrong on it.
    had_trouble: bool,
    /// How far it is in the rollout at hand.
    offered: bool,
    updated: bool,
    /// Whether it can be reached in this hour, and when it last could.
    is_heard: bool,
    heard_h: u32,
    /// The version that it has reported last.
    version: String,
    /// Hours of this hour that it ran what is rolled out, and whether it crashed on it.
    treated_h: f64,
    crashed: Option<Side>,
}

/// Which firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Treated,
    Control,
}

impl Fleet {
    /// A fleet of so many devices, as factories and earlier releases left them.
    pub(crate) fn new(seed: u64, devices: u32, workshop: &Workshop) -> Result<Self, DemoError> {
        let keys = workshop.keyring();
        let mut factories: BTreeMap<&str, Factory> = BTreeMap::new();
        let mut members = vec![];
        for number in 1..=devices {
            let character = Character::draw(seed, number);
            let version = character.version;
            if !factories.contains_key(version) {
                factories.insert(version, workshop.factory(version)?);
            }
            let device = Device::new(number, character, seed, &factories[version], &keys)?;
            members.push(Member::new(device));
        }
        let public = workshop.public_directory();
        let server = Server::new(&public, workshop.product_directory(), keys);
        let distinct = DistinctDevices::default();
        let summary = Summary::new(seed, devices);
        Ok(Self { seed, members, server, distinct, summary, shown: BTreeMap::new() })
    }

    /// What it is like.
    pub(crate) fn picture(&self) -> Event {
        let characters = || self.members.iter().map(|member| &member.device.character);
        let count =
            |is: &dyn Fn(&Character) -> bool| number(characters().filter(|one| is(one)).count());
        let hardware = Hardware::ALL.map(|hardware| Share {
            name: hardware.name().to_owned(),
            devices: count(&|one| one.hardware == hardware),
        });
        Event::Fleet {
            devices: number(self.members.len()),
            hardware: hardware.to_vec(),
            versions: self.versions(),
            troubles: Troubles {
                stragglers: count(&|one| one.version == "1.9.0"),
                offline: count(&|one| !one.is_steady()),
                narrow: count(&|one| one.link == crate::character::Link::Narrow),
            },
        }
    }

    /// Devices by revision, with what was measured on them in the week before.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let cells = Hardware::ALL.map(|hardware| {
            let mine: Vec<_> = self.of(hardware).collect();
            let crashes: u32 = mine.iter().map(|member| self.crashes_of_a_week(member)).sum();
            let exposure = f64::from(WEEK_H) * f64::from(number(mine.len()));
            let tally = Tally { count: f64::from(crashes), exposure, squares: 0.0 };
            Cell {
                attributes: attributes(hardware),
                devices: number(mine.len()),
                baselines: BTreeMap::from([(METRIC.to_owned(), tally)]),
            }
        });
        cells.into_iter().filter(|cell| cell.devices > 0).collect()
    }

    fn of(&self, hardware: Hardware) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.device.character.hardware == hardware)
    }

    /// On how many days of the week before a device crashed.
    fn crashes_of_a_week(&self, member: &Member) -> u32 {
        let character = &member.device.character;
        let crashes = |hour| {
            let mut draws = Draws::of(self.seed, Purpose::Week, member.device.number, hour);
            draws.happens(character.crashes_of_1000(character.version))
        };
        let days = (0..WEEK_H / 24).filter(|day| (0..24).any(|hour| crashes(day * 24 + hour)));
        number(days.count())
    }

    /// Begins to count anew, for a rollout.
    pub(crate) fn begin(&mut self) {
        self.shown.clear();
        for member in &mut self.members {
            (member.offered, member.updated, member.had_trouble) = (false, false, false);
        }
    }

    /// Whether every device runs a version.
    pub(crate) fn all_run(&self, version: &str) -> bool {
        self.members.iter().all(|member| member.version == version)
    }

    /// Revisions of which a good part of the devices that took the release went back by themselves or crash, by what they report.
    pub(crate) fn suspicious(&self) -> Vec<Hardware> {
        let is_suspicious = |hardware: &Hardware| {
            let updated = self.of(*hardware).filter(|member| member.updated).count();
            let bad = self.of(*hardware).filter(|member| member.updated && member.had_trouble);
            let bad = bad.count();
            bad >= 2 && bad * 3 > updated
        };
        Hardware::ALL.into_iter().filter(is_suspicious).collect()
    }

    /// An hour in the life of all devices, and what they report of it.
    pub(crate) fn hour(
        &mut self,
        hour: u32,
        target: &str,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Observation, DemoError> {
        self.server.refresh()?;
        for member in &mut self.members {
            member.live(self.seed, hour, target, &self.server)?;
        }
        for place in 0..self.members.len() {
            self.take_note(place, hour, target, tell);
        }
        Ok(self.observation(hour, target))
    }

    /// What has happened to a device: for the summary, for the rollout's figures, and for whoever watches.
    fn take_note(&mut self, place: usize, hour: u32, target: &str, tell: &mut dyn FnMut(Event)) {
        let member = &mut self.members[place];
        for happening in member.device.take_happenings() {
            self.summary.count(&happening);
            member.reckon(&happening, target);
            let Some(note) = member.note(&happening) else { continue };
            let shown = self.shown.entry(kind(&note)).or_default();
            *shown += 1;
            if *shown <= SHOWN {
                tell(Event::Device(note));
            }
        }
        if member.is_heard {
            member.heard_h = hour;
            if let Some(version) = member.device.version() {
                member.version = version.to_string();
            }
        }
    }

    fn observation(&mut self, hour: u32, target: &str) -> Observation {
        let from_s = now_s(hour);
        let mut cells = vec![];
        for hardware in Hardware::ALL {
            let [mut treated, mut control] = [Tally { count: 0.0, exposure: 0.0, squares: 0.0 }; 2];
            let mut devices = DeviceCounts::default();
            let mut is_there = false;
            for member in &self.members {
                if member.device.character.hardware != hardware {
                    continue;
                }
                is_there = true;
                member.count(&mut devices, hour, target);
                if !member.is_heard {
                    continue;
                }
                treated.exposure += member.treated_h;
                control.exposure += 1.0 - member.treated_h;
                let Some(side) = member.crashed else { continue };
                // Hours come in their order, so that no day is closed.
                let device = u64::from(member.device.number);
                if self.distinct.count(device, from_s) == Ok(true) {
                    let tally = if side == Side::Treated { &mut treated } else { &mut control };
                    tally.count += 1.0;
                }
            }
            if is_there {
                let metrics = vec![MetricObservation { name: METRIC.to_owned(), treated, control }];
                cells.push(CellObservation { attributes: attributes(hardware), devices, metrics });
            }
        }
        let versions = self.versions().into_iter().map(|share| (share.name, share.devices));
        Observation {
            from_s,
            until_s: from_s + u64::from(HOUR_S),
            cells,
            versions: versions.collect(),
        }
    }

    /// Devices by the version that they have reported last.
    pub(crate) fn versions(&self) -> Vec<Share> {
        let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
        for member in &self.members {
            *versions.entry(&member.version).or_default() += 1;
        }
        let shares = versions.into_iter();
        shares.map(|(name, devices)| Share { name: name.to_owned(), devices }).collect()
    }

    /// What became of each device, and of all of them.
    pub(crate) fn finish(mut self, hours: u32) -> (Summary, Vec<DeviceReport>) {
        self.summary.versions = self.versions();
        self.summary.hours = hours;
        for member in &self.members {
            self.summary.add(&member.device.counts);
        }
        let reports: Vec<_> = self.members.into_iter().map(Member::finish).collect();
        let is_mended = |report: &&DeviceReport| report.went_back() && report.runs == FIXED;
        self.summary.mended = number(reports.iter().filter(is_mended).count());
        (self.summary, reports)
    }
}

impl Member {
    fn new(device: Device) -> Self {
        let version = device.version().map(|version| version.to_string()).unwrap_or_default();
        let report = DeviceReport::new(&device, &version);
        Self {
            device,
            report,
            had_trouble: false,
            offered: false,
            updated: false,
            is_heard: true,
            heard_h: 0,
            version,
            treated_h: 0.0,
            crashed: None,
        }
    }

    fn live(
        &mut self,
        seed: u64,
        hour: u32,
        target: &str,
        server: &Server,
    ) -> Result<(), DemoError> {
        self.crashed = None;
        let character = &self.device.character;
        self.is_heard = !character.is_offline(hour);
        let version = self.device.version();
        if let Some(version) = version {
            let mut draws = Draws::of(seed, Purpose::Crash, self.device.number, hour);
            if draws.happens(character.crashes_of_1000(version.as_str())) {
                self.device.crash(server, hour)?;
            }
        }
        if self.is_heard && (self.device.is_busy() || self.device.character.checks_in(hour)) {
            self.device.wake(server, hour)?;
        }
        let runs = self.device.version();
        let is_new = runs.is_some_and(|version| version.as_str() == target);
        self.treated_h = if is_new { 1.0 } else { 0.0 };
        Ok(())
    }

    /// What a happening means for the rollout, and for its report.
    fn reckon(&mut self, happening: &Happening, target: &str) {
        let is_target = |version: &Label| version.as_str() == target;
        match happening {
            Happening::Offered(version) => self.offered |= is_target(version),
            Happening::Installed(version) => self.updated |= is_target(version),
            Happening::Committed(version) => {
                self.updated |= is_target(version);
                self.report.committed.push(version.to_string());
            }
            Happening::WentBack { from, .. } => {
                // Another release that was tried in vain, such as the way back, says nothing of this one.
                if is_target(from) {
                    self.updated = true;
                    (self.treated_h, self.crashed) = (TRIED_H, Some(Side::Treated));
                    self.had_trouble = true;
                } else {
                    self.crashed = Some(Side::Control);
                }
                self.report.went_back_from.push(from.to_string());
            }
            Happening::Crashed(version) => {
                let is_new = is_target(version);
                self.crashed = Some(if is_new { Side::Treated } else { Side::Control });
                self.had_trouble |= is_new && self.is_heard;
            }
            Happening::PowerFailed(_) | Happening::Resumed(_) | Happening::Fetched { .. } => {}
        }
    }

    /// What whoever watches may want to know of a happening.
    fn note(&self, happening: &Happening) -> Option<Note> {
        let device = self.device.id.clone();
        let hardware = self.device.character.hardware.name();
        Some(match happening {
            Happening::Committed(version) => match version.as_str() {
                WAY_BACK => Note::TakenBack { device, hardware, to: version.to_string() },
                FIXED if self.report.went_back() => {
                    Note::Mended { device, hardware, version: version.to_string() }
                }
                _ => return None,
            },
            Happening::WentBack { from, ending, boots } => {
                let to = self.device.version().map(|version| version.to_string());
                let (from, to) = (from.to_string(), to.unwrap_or_default());
                Note::WentBack { device, hardware, from, to, why: why(*ending), boots: *boots }
            }
            Happening::PowerFailed(phase) => {
                Note::PowerCameBack { device, hardware, during: during(*phase) }
            }
            Happening::Resumed(at) => Note::Resumed { device, at: *at },
            Happening::Offered(_)
            | Happening::Installed(_)
            | Happening::Fetched { .. }
            | Happening::Crashed(_) => return None,
        })
    }

    /// Adds it to what a rollout is told.
    fn count(&self, counts: &mut DeviceCounts, hour: u32, target: &str) {
        let is_new = self.device.version().is_some_and(|version| version.as_str() == target);
        let is_dark = self.device.version().is_none();
        counts.offered += u32::from(self.offered);
        counts.updated += u32::from(self.updated);
        counts.committed += u32::from(self.updated && is_new);
        counts.rolled_back += u32::from(self.updated && !is_new && !is_dark);
        counts.bricked += u32::from(self.updated && self.device.counts.is_bricked);
        counts.silent += u32::from(self.updated && hour.saturating_sub(self.heard_h) > SILENT_H);
    }

    fn finish(self) -> DeviceReport {
        let Self { device, report, version, .. } = self;
        report.finish(&device.counts, version)
    }
}

fn attributes(hardware: Hardware) -> BTreeMap<String, String> {
    BTreeMap::from([(ATTRIBUTE.to_owned(), hardware.name().to_owned())])
}

fn kind(note: &Note) -> &'static str {
    match note {
        Note::WentBack { why, .. } => why,
        Note::PowerCameBack { during, .. } => during,
        Note::Resumed { .. } => "resumed",
        Note::TakenBack { .. } => "taken back",
        Note::Mended { .. } => "mended",
    }
}

fn why(ending: Ending) -> &'static str {
    match ending {
        Ending::Crashed => "it crashed at each start",
        Ending::TooLate => "its health checks did not end in time",
        Ending::Unhealthy => "a health check failed",
        _ => "it did not come up",
    }
}

fn during(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "while it wrote its journal",
        Phase::Downloading => "in a download",
        Phase::Verified => "in an installation",
        Phase::Installed | Phase::Pending | Phase::Trial => "at the first start of the new image",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_counts_against_the_release_that_it_was_from() {
        let room = tempfile::tempdir().expect("there is room");
        let workshop = Workshop::open(room.path(), 1).expect("opens");
        let reckoned = |from: &str| {
            let mut fleet = Fleet::new(1, 1, &workshop).expect("one device");
            let mut member = fleet.members.remove(0);
            let from = from.parse().expect("a label");
            let happening = Happening::WentBack { from, ending: Ending::Crashed, boots: 3 };
            member.reckon(&happening, FIXED);
            (member.crashed, member.treated_h, member.had_trouble, member.updated)
        };
        assert_eq!(reckoned(FIXED), (Some(Side::Treated), TRIED_H, true, true));
        assert_eq!(reckoned(WAY_BACK), (Some(Side::Control), 0.0, false, false));
    }
}
