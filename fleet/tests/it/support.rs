//! A fleet, its rollout, and what drivers need from outside.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use whittle_fleet::{Campaign, ChangeKind, Report, Ring, Surroundings};
use whittle_rollout::{Cell, Orders};

/// SHA-256 of the target, as terms name it.
pub(crate) const BUILD: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

/// What only its receiver may see.
pub(crate) const SECRET: &str = "hunter2-very-secret";

/// Surroundings whose variables all hold the secret, and that note how long they were asked to sleep.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) slept: RefCell<Vec<Duration>>,
}

impl Surroundings for World {
    fn variable(&self, name: &str) -> Option<String> {
        (!name.starts_with("NO_")).then(|| SECRET.to_owned())
    }
    fn now_s(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("after 1970").as_secs()
    }
    fn seed(&self) -> u64 {
        7
    }
    fn sleep(&self, time: Duration) {
        self.slept.borrow_mut().push(time);
    }
}

pub(crate) fn cell(attributes: &[(&str, &str)], devices: u32) -> Cell {
    let attributes =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Cell { attributes: attributes.collect(), devices, baselines: BTreeMap::new() }
}

/// A rollout to these cells in stages of so many per cent.
pub(crate) fn campaign(cells: &[Cell], split_by: &[&str], percent: &[u32]) -> Campaign {
    let devices: u32 = cells.iter().map(|cell| cell.devices).sum();
    let ring = |percent: &u32| Ring { among: None, devices: devices * percent / 100 };
    Campaign {
        name: "spring".to_owned(),
        version: "2.4.1".to_owned(),
        build: BUILD.to_owned(),
        cells: cells.to_vec(),
        split_by: split_by.iter().map(|name| (*name).to_owned()).collect(),
        hold_back: 0.0,
        rings: percent.iter().map(ring).collect(),
        stage: 0,
        offered: 0,
        is_over: false,
    }
}

/// Orders to go on with so many devices.
pub(crate) fn orders(devices: u32) -> Orders {
    Orders {
        closed: None,
        share: 0.5,
        devices,
        start_now: devices,
        among: None,
        closed_cells: vec![],
        taken_back_cells: vec![],
        take_back: vec![],
        way_back: None,
        more_telemetry: false,
        release_held_back: false,
        feature_flags: vec![],
    }
}

pub(crate) fn closed(orders: &Orders, why: &str) -> Orders {
    Orders { closed: Some(why.to_owned()), start_now: 0, ..orders.clone() }
}

/// What a report says was changed.
pub(crate) fn changes(report: &Report) -> Vec<(ChangeKind, &str)> {
    report.changed.iter().map(|change| (change.kind, change.object.as_str())).collect()
}
