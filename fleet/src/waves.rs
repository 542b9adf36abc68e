//! What drivers of servers have in common: devices are offered the target in waves, each a deployment of the server with the devices
//! that it names.
//!
//! ```text
//! what is there ─▶ closed? pause or stop it ─▶ cells closed? withdraw their devices ─▶ as many as ordered? ─▶ the next wave
//!                                            └▶ devices of groups that are taken back ─▶ a wave of the way back
//! ```
//!
//! A wave's name is that of the rollout with its number, so that whoever comes back after a kill finds what is there. Which devices are
//! next follows from their place in the draw of the rollout, as on devices that check themselves: so the first devices of each
//! cell are a random sample of it, and a device keeps its place.

use std::collections::BTreeSet;

use whittle_format::Seed;
use whittle_patcher_nostd::{Draw, place};
use whittle_rollout::{Cell, FLEET, Orders, WayBack};

use crate::campaign::attributes;
use crate::driver::{ChangeKind, Report};
use crate::{Campaign, DriverError};

/// In which direction a wave takes devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the target.
    Forth,
    /// To the release that takes them back.
    Back,
}

impl Direction {
    /// What stands between the name of a rollout and the number of a wave.
    pub(crate) fn infix(self) -> &'static str {
        match self {
            Self::Forth => "-w",
            Self::Back => "-back-w",
        }
    }
}

/// How far a wave is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its making was interrupted; no device is offered anything by it.
    HalfMade,
    /// Made, but not started.
    Ready,
    /// The server is still at work on what it was told.
    Changing,
    /// Its devices are offered what it is about.
    Open,
    /// Its devices are offered nothing for the time being.
    Paused,
    /// It has ended, or the driver has ended it.
    Over,
    /// The server or somebody else has ended it before its time: what is wrong must be known before anything goes on.
    Halted,
}

/// A deployment of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wave {
    /// From 1.
    pub(crate) number: u32,
    /// What the server calls it.
    pub(crate) id: String,
    pub(crate) progress: Progress,
}

/// How far a device of a wave is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is offered something, and has not begun.
    Waiting,
    /// It has begun, or has ended in one way or another.
    Taken,
    /// It was withdrawn before it had begun, or shall be.
    Withdrawn,
}

/// A device of a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) device: String,
    pub(crate) turn: Turn,
    /// What the server calls this device's part in the wave, if it has a name of its own.
    pub(crate) id: String,
}

/// The server of a fleet.
pub(crate) trait Engine {
    /// Ids of all devices with these attributes.
    fn devices(&mut self, cell: &Cell) -> Result<Vec<String>, DriverError>;

    /// The waves of a rollout, by their numbers.
    fn waves(&mut self, base: &str, direction: Direction) -> Result<Vec<Wave>, DriverError>;

    /// The devices of a wave; none of one that is half made.
    fn members(&mut self, wave: &Wave) -> Result<Vec<Member>, DriverError>;

    /// Makes a wave of these devices and starts it; goes on with one that is half made. Tells whether it has started.
    fn offer(
        &mut self,
        name: &str,
        direction: Direction,
        devices: &[String],
    ) -> Result<bool, DriverError>;

    /// Adds devices to the last wave, if waves can grow. Tells whether they can.
    fn add(&mut self, wave: &Wave, devices: &[String]) -> Result<bool, DriverError> {
        let _ = (wave, devices);
        Ok(false)
    }

    /// Starts a wave that is made.
    fn start(&mut self, wave: &Wave) -> Result<(), DriverError>;

    /// Sees to it that no further device of a wave begins, also of one whose pause was interrupted. Tells what was done, if anything
    /// had to be.
    fn pause(&mut self, wave: &Wave) -> Result<Option<ChangeKind>, DriverError>;

    /// Lets a paused wave go on; tells why not, if the server has paused it for reasons of its own.
    fn resume(&mut self, wave: &Wave) -> Result<Option<String>, DriverError>;

    /// Ends a wave for all devices that have not begun.
    fn stop(&mut self, wave: &Wave) -> Result<(), DriverError>;

    /// Takes a device that has not begun out of a wave.
    fn withdraw(&mut self, wave: &Wave, member: &Member) -> Result<(), DriverError>;

    /// Removes what a wave that is over has needed.
    fn tidy(&mut self, wave: &Wave) -> Result<(), DriverError> {
        let _ = wave;
        Ok(())
    }

    /// Whether the server has something that takes devices back, for this way.
    fn can_take_back(&self, way: &WayBack) -> bool;
}

/// A wave with its devices.
struct Known {
    wave: Wave,
    members: Vec<Member>,
}

/// Makes the server's waves as ordered.
pub(crate) fn apply(
    engine: &mut dyn Engine,
    orders: &Orders,
    campaign: &Campaign,
) -> Result<Report, DriverError> {
    let mut report = Report::default();
    let base = campaign.id();
    let mut forth = known(engine, &base, Direction::Forth)?;
    // First whatever keeps devices from beginning.
    if orders.closed.is_some() {
        close(engine, &mut forth, campaign.is_over, &mut report)?;
    } else {
        withdraw_closed(engine, &mut forth, orders, campaign, &mut report)?;
    }
    take_back(engine, &forth, orders, campaign, &mut report)?;
    if orders.closed.is_none() {
        open(engine, &forth, orders, campaign, &mut report)?;
    }
    for known in forth.iter().filter(|known| known.wave.progress == Progress::Over) {
        engine.tidy(&known.wave)?;
    }
    report.shortfalls.extend(not_for_servers(orders));
    Ok(report)
}

/// What deployments of a server cannot tell devices.
fn not_for_servers(orders: &Orders) -> Vec<String> {
    let flags = orders.feature_flags.iter().map(|order| order.name.as_str());
    let flags = BTreeSet::from_iter(flags).into_iter().collect::<Vec<_>>().join(", ");
    let flags = (!flags.is_empty()).then(|| format!("this server sets no feature flags: {flags}"));
    let telemetry = "this server cannot ask devices for more telemetry".to_owned();
    flags.into_iter().chain(orders.more_telemetry.then_some(telemetry)).collect()
}

fn known(
    engine: &mut dyn Engine,
    base: &str,
    direction: Direction,
) -> Result<Vec<Known>, DriverError> {
    let waves = engine.waves(base, direction)?;
    let known = waves.into_iter().map(|wave| {
        let members = engine.members(&wave)?;
        Ok(Known { wave, members })
    });
    known.collect()
}

/// Pauses what is open, or ends it if the rollout is over.
fn close(
    engine: &mut dyn Engine,
    waves: &mut [Known],
    is_over: bool,
    report: &mut Report,
) -> Result<(), DriverError> {
    for known in waves {
        let wave = &known.wave;
        match wave.progress {
            Progress::Over | Progress::Halted | Progress::HalfMade => {
                report.already.push(wave.id.clone());
            }
            Progress::Ready if !is_over => report.already.push(wave.id.clone()),
            Progress::Changing if !is_over => report.unfinished.push(wave.id.clone()),
            _ if is_over => {
                engine.stop(wave)?;
                report.change(ChangeKind::Stopped, &wave.id, None);
                known.members = engine.members(wave)?;
            }
            _ => match engine.pause(wave)? {
                Some(kind) => {
                    report.change(kind, &wave.id, None);
                    known.members = engine.members(wave)?;
                }
                None => report.already.push(wave.id.clone()),
            },
        }
    }
    Ok(())
}

/// Takes devices of closed cells that have not begun out of their waves.
fn withdraw_closed(
    engine: &mut dyn Engine,
    waves: &mut [Known],
    orders: &Orders,
    campaign: &Campaign,
    report: &mut Report,
) -> Result<(), DriverError> {
    let is_live = |known: &&mut Known| {
        use Progress::{HalfMade, Halted, Over};
        !matches!(known.wave.progress, Over | Halted | HalfMade)
    };
    let has_waiting =
        |known: &&mut Known| known.members.iter().any(|member| member.turn == Turn::Waiting);
    let mut live: Vec<_> = waves.iter_mut().filter(is_live).filter(has_waiting).collect();
    if live.is_empty() || orders.closed_cells.is_empty() {
        return Ok(());
    }
    let closed = orders.closed_cells.iter().filter_map(|(place, _)| campaign.cells.get(*place));
    let closed = devices_of(engine, closed)?;
    for known in &mut live {
        let is_out =
            |member: &&mut Member| member.turn == Turn::Waiting && closed.contains(&member.device);
        let mut number = 0;
        for member in known.members.iter_mut().filter(is_out) {
            engine.withdraw(&known.wave, member)?;
            member.turn = Turn::Withdrawn;
            number += 1;
        }
        if number > 0 {
            report.change(ChangeKind::Withdrawn, &known.wave.id, Some(number));
        }
    }
    Ok(())
}

fn devices_of<'a>(
    engine: &mut dyn Engine,
    cells: impl Iterator<Item = &'a Cell>,
) -> Result<BTreeSet<String>, DriverError> {
    let mut all = BTreeSet::new();
    for cell in cells {
        all.extend(engine.devices(cell)?);
    }
    Ok(all)
}

/// Offers the way back to devices of groups that are taken back, as far as they were not withdrawn in time.
fn take_back(
    engine: &mut dyn Engine,
    forth: &[Known],
    orders: &Orders,
    campaign: &Campaign,
    report: &mut Report,
) -> Result<(), DriverError> {
    let Some(way) = orders.way_back.as_ref().filter(|_| !orders.take_back.is_empty()) else {
        return Ok(());
    };
    if !engine.can_take_back(way) {
        let groups = orders.take_back.join(", ");
        report.shortfalls.push(format!("nothing is configured that takes {groups} back"));
        return Ok(());
    }
    let cells = campaign.cells.iter().filter(|cell| {
        let labels = campaign.labels(cell);
        orders.take_back.iter().any(|group| group == FLEET || labels.contains(group))
    });
    let meant = devices_of(engine, cells)?;
    let have = forth.iter().flat_map(|known| &known.members);
    let have = have.filter(|member| member.turn != Turn::Withdrawn).map(|member| &member.device);
    let back = known(engine, &campaign.id(), Direction::Back)?;
    restart(engine, &back, report)?;
    let offered = offered(&back);
    let left: BTreeSet<_> = have
        .filter(|device| meant.contains(*device) && !offered.contains(device.as_str()))
        .collect();
    let left: Vec<String> = left.into_iter().cloned().collect();
    offer(engine, &back, Direction::Back, campaign, &left, report)
}

fn offered(waves: &[Known]) -> BTreeSet<&str> {
    let members = waves.iter().flat_map(|known| &known.members);
    let has = members.filter(|member| member.turn != Turn::Withdrawn);
    has.map(|member| member.device.as_str()).collect()
}

/// Starts what is ready, and lets go on what was paused.
fn restart(
    engine: &mut dyn Engine,
    waves: &[Known],
    report: &mut Report,
) -> Result<(), DriverError> {
    for Known { wave, .. } in waves {
        match wave.progress {
            Progress::Ready => {
                engine.start(wave)?;
                report.change(ChangeKind::Started, &wave.id, None);
            }
            Progress::Paused => match engine.resume(wave)? {
                Some(why) => report.shortfalls.push(format!("`{}` stays paused: {why}", wave.id)),
                None => report.change(ChangeKind::Resumed, &wave.id, None),
            },
            Progress::Changing => report.unfinished.push(wave.id.clone()),
            Progress::Open | Progress::Over => report.already.push(wave.id.clone()),
            Progress::Halted => {
                let why = "was ended by the server or somebody else; delete it to go on";
                report.shortfalls.push(format!("`{}` {why}", wave.id));
            }
            Progress::HalfMade => {}
        }
    }
    Ok(())
}

/// Lets the waves go on, and offers the target to as many more devices as ordered.
fn open(
    engine: &mut dyn Engine,
    forth: &[Known],
    orders: &Orders,
    campaign: &Campaign,
    report: &mut Report,
) -> Result<(), DriverError> {
    restart(engine, forth, report)?;
    if forth.iter().any(|known| known.wave.progress == Progress::Halted) {
        return Ok(());
    }
    let offered = offered(forth);
    let may_have = usize::try_from(campaign.may_have(orders)).unwrap_or(usize::MAX);
    let more = may_have.saturating_sub(offered.len());
    let next = if more == 0 {
        vec![]
    } else {
        let mut next = candidates(engine, orders, campaign)?;
        next.retain(|device| !offered.contains(device.as_str()));
        next.truncate(more);
        next
    };
    offer(engine, forth, Direction::Forth, campaign, &next, report)
}

/// Devices that may be offered the target, the next ones first.
fn candidates(
    engine: &mut dyn Engine,
    orders: &Orders,
    campaign: &Campaign,
) -> Result<Vec<String>, DriverError> {
    let is_closed = |place: usize| orders.closed_cells.iter().any(|(closed, _)| *closed == place);
    let is_among = |cell: &Cell| {
        let labels = campaign.labels(cell);
        orders.among.as_ref().is_none_or(|label| labels.contains(label))
    };
    let cells = campaign.cells.iter().enumerate();
    let cells = cells.filter(|(place, cell)| !is_closed(*place) && is_among(cell));
    let devices = devices_of(engine, cells.map(|(_, cell)| cell))?;
    let reach = campaign.reach(orders);
    let seed = campaign.seed();
    let places = devices.into_iter().map(|device| (place_of(&seed, &device), device));
    let mut places: Vec<_> = places.filter(|(place, _)| reach.covers(*place)).collect();
    places.sort();
    Ok(places.into_iter().map(|(_, device)| device).collect())
}

fn place_of(seed: &Seed, device: &str) -> u32 {
    place(Draw::Rollout, seed, device.as_bytes())
}

/// Puts devices into the last wave if it can grow, or into the next one.
fn offer(
    engine: &mut dyn Engine,
    waves: &[Known],
    direction: Direction,
    campaign: &Campaign,
    devices: &[String],
    report: &mut Report,
) -> Result<(), DriverError> {
    if devices.is_empty() {
        return Ok(());
    }
    let last = waves.last().map(|known| &known.wave);
    if let Some(last) = last.filter(|wave| wave.progress == Progress::Open)
        && engine.add(last, devices)?
    {
        report.change(ChangeKind::Offered, &last.id, Some(devices.len()));
        return Ok(());
    }
    let number = match last {
        Some(wave) if wave.progress == Progress::HalfMade => wave.number,
        Some(wave) => wave.number + 1,
        None => 1,
    };
    let name = format!("{}{}{number}", campaign.id(), direction.infix());
    let has_started = engine.offer(&name, direction, devices)?;
    report.change(ChangeKind::Offered, &name, Some(devices.len()));
    if !has_started {
        report.unfinished.push(name);
    }
    Ok(())
}

/// The number of a wave with this name; none if it is the name of something else.
pub(crate) fn number(name: &str, base: &str, direction: Direction) -> Option<u32> {
    let digits = name.strip_prefix(base)?.strip_prefix(direction.infix())?;
    digits.parse().ok().filter(|number| *number > 0 && !digits.starts_with(['+', '0']))
}

/// What a cell is called in errors.
pub(crate) fn cell_name(cell: &Cell) -> String {
    if cell.attributes.is_empty() { FLEET.to_owned() } else { attributes(&cell.attributes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_are_known_by_their_names() {
        let forth = |name| number(name, "whittle-a", Direction::Forth);
        assert_eq!(forth("whittle-a-w1"), Some(1));
        assert_eq!(forth("whittle-a-w12"), Some(12));
        for other in [
            "whittle-a",
            "whittle-a-w",
            "whittle-a-w0",
            "whittle-a-w01",
            "whittle-a-w+1",
            "whittle-ab-w1",
            "whittle-a-back-w1",
        ] {
            assert_eq!(forth(other), None, "{other}");
        }
        assert_eq!(number("whittle-a-back-w3", "whittle-a", Direction::Back), Some(3));
    }
}
