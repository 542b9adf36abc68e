//! The flags that are published: the product's own, what the rollout orders, and the gates.

use serde_json::{Map, Value, json};
use whittle_format::{Label, Seed, Share};
use whittle_release::image::hex;
use whittle_release::percent;
use whittle_rollout::policy::types::FlagOrder;
use whittle_rollout::{FLEET, Orders, WayBack};

use super::reach::Reach;
use crate::campaign::share;
use crate::{Campaign, DriverError};

/// Name of the flag that is on while updated devices shall send more telemetry.
pub const MORE_TELEMETRY: &str = "more-telemetry";

/// Name of the flag that is on for devices that shall return to their other slot: `go-back-` and the first eight hexadecimal digits of
/// the rollout's seed.
#[must_use]
pub fn go_back_flag(seed: &Seed) -> String {
    format!("go-back-{}", hex(&seed[..4]))
}

/// Names of what flags know of a device: its region, and its groups.
pub(super) struct Names<'a> {
    pub(super) region: Option<&'a str>,
}

/// What a rule says of a device besides its share.
#[derive(Clone, Debug, PartialEq)]
enum Who {
    All,
    Group(String),
    Region(String),
    GroupInRegion(String, String),
}

impl Names<'_> {
    /// Whom a label means; none if its value cannot be the name of a group or region.
    fn who(&self, label: &str) -> Option<Who> {
        if label == FLEET {
            return Some(Who::All);
        }
        let (attribute, value) = label.split_once('=')?;
        if Some(attribute) == self.region {
            return is_name(value).then(|| Who::Region(value.to_owned()));
        }
        let group = format!("{attribute}.{value}");
        is_name(&group).then_some(Who::Group(group))
    }

    /// The same where it must be possible.
    fn wanted(&self, label: &str) -> Result<Who, DriverError> {
        let why = || format!("`{label}` is no name of a group: 1 to 32 of `A-Z a-z 0-9 . _ + -`");
        self.who(label).ok_or_else(|| DriverError::config("region", why()))
    }
}

fn is_name(text: &str) -> bool {
    text.parse::<Label>().is_ok()
}

impl Who {
    fn rule(&self, value: bool, part: Share) -> Value {
        let mut rule = Map::new();
        rule.insert("value".into(), value.into());
        let (group, region) = match self {
            Self::All => (None, None),
            Self::Group(group) => (Some(group), None),
            Self::Region(region) => (None, Some(region)),
            Self::GroupInRegion(group, region) => (Some(group), Some(region)),
        };
        if let Some(group) = group {
            rule.insert("groups".into(), json!([group]));
        }
        if let Some(region) = region {
            rule.insert("regions".into(), json!([region]));
        }
        if part != Share::ALL || *self == Self::All {
            rule.insert("percent".into(), percent::number(part).into());
        }
        rule.into()
    }
}

/// Whose gate is shut, and what had to be shut besides.
pub(super) struct Closures {
    who: Vec<Who>,
    pub(super) shortfalls: Vec<String>,
}

/// Finds the fewest rules that shut the gate for all closed cells; where flags cannot name a cell, for more than it.
pub(super) fn closures(orders: &Orders, campaign: &Campaign, names: &Names<'_>) -> Closures {
    let mut found = Closures { who: vec![], shortfalls: vec![] };
    let is_closed = |place: usize| orders.closed_cells.iter().any(|(closed, _)| *closed == place);
    let cells: Vec<_> = campaign.cells.iter().map(|cell| campaign.labels(cell)).collect();
    let mut labels: Vec<&String> = cells.iter().flatten().collect();
    labels.sort();
    labels.dedup();
    let is_whole = |label: &&&String| {
        cells.iter().enumerate().all(|(place, cell)| !cell.contains(label) || is_closed(place))
    };
    let whole: Vec<_> = labels.iter().filter(is_whole).map(|label| (*label).clone()).collect();
    for label in &whole {
        found.shut(names.who(label), || label.clone());
    }
    for (place, cell) in cells.iter().enumerate() {
        if !is_closed(place) || cell.iter().any(|label| whole.contains(label)) {
            continue;
        }
        let parts: Vec<_> = cell.iter().filter(|label| *label != FLEET).collect();
        let known: Option<Vec<_>> = parts.iter().map(|label| names.who(label)).collect();
        let exact = match known.as_deref() {
            Some(
                [Who::Group(group), Who::Region(region)] | [Who::Region(region), Who::Group(group)],
            ) => Some(Who::GroupInRegion(group.clone(), region.clone())),
            Some([one]) => Some(one.clone()),
            _ => None,
        };
        if let Some(who) = exact {
            found.shut(Some(who), String::new);
            continue;
        }
        let smallest = parts.iter().min_by_key(|label| campaign.devices_of(label));
        let cell = crate::campaign::attributes(&campaign.cells[place].attributes);
        match smallest.map(|label| (names.who(label), label)) {
            Some((Some(who), label)) => {
                let all = format!("flags cannot name {cell} alone: all of {label} is closed");
                found.shortfalls.push(all);
                found.shut(Some(who), String::new);
            }
            _ => found.shut(None, || cell.clone()),
        }
    }
    found
}

impl Closures {
    fn shut(&mut self, who: Option<Who>, what: impl Fn() -> String) {
        let who = who.unwrap_or_else(|| {
            self.shortfalls.push(format!("flags cannot name {}: all devices are closed", what()));
            Who::All
        });
        if !self.who.contains(&who) {
            self.who.push(who);
        }
    }

    fn is_all(&self) -> bool {
        self.who.contains(&Who::All)
    }
}

/// The gate of the rollout.
///
/// `published` is the share of the stage: a part of the fleet is a percentage of it, and the draws of both are independent.
pub(super) fn gate(
    name: &str,
    orders: &Orders,
    (reach, published): (&Reach, Share),
    closed: &Closures,
    names: &Names<'_>,
) -> Result<Value, DriverError> {
    if orders.closed.is_some() || closed.is_all() {
        return Ok(shut_gate(name));
    }
    let of_stage = |part: f64| share(part * 1e6 / f64::from(published.ppm().max(1)));
    let mut rules: Vec<_> = closed.who.iter().map(|who| who.rule(false, Share::ALL)).collect();
    for (label, part) in &reach.groups {
        rules.push(names.wanted(label)?.rule(true, of_stage(*part)));
    }
    let anybody = of_stage(reach.anybody);
    let default = anybody == Share::ALL;
    if !default && anybody != Share::NONE {
        rules.push(Who::All.rule(true, anybody));
    }
    Ok(json!({ "name": name, "default": default, "rules": rules }))
}

/// A gate that admits nobody.
pub(super) fn shut_gate(name: &str) -> Value {
    json!({ "name": name, "default": false, "kill": true })
}

/// A flag that is on for the groups that are taken back.
pub(super) fn back(name: &str, orders: &Orders, names: &Names<'_>) -> Result<Value, DriverError> {
    let who: Result<Vec<_>, _> = orders.take_back.iter().map(|label| names.wanted(label)).collect();
    let who = who?;
    if who.contains(&Who::All) {
        return Ok(json!({ "name": name, "default": true }));
    }
    let rules: Vec<_> = who.iter().map(|who| who.rule(true, Share::ALL)).collect();
    Ok(json!({ "name": name, "default": false, "rules": rules }))
}

/// The flag by which devices learn how to go back, if any shall.
pub(super) fn way_back(
    orders: &Orders,
    campaign: &Campaign,
    names: &Names<'_>,
) -> Result<Option<Value>, DriverError> {
    match &orders.way_back {
        None | Some(WayBack::None) => Ok(None),
        Some(WayBack::OtherSlot) => back(&go_back_flag(&campaign.seed()), orders, names).map(Some),
        Some(WayBack::Release { .. }) => {
            let gate = whittle_patcher_nostd::Gate::of(&campaign.seed_back());
            back(gate.name(), orders, names).map(Some)
        }
    }
}

/// Does to the product's own flags what the rollout orders.
pub(super) fn order(
    flags: &mut Vec<Value>,
    order: &FlagOrder,
    names: &Names<'_>,
) -> Result<(), DriverError> {
    let who: Result<Vec<_>, _> = order.groups.iter().map(|label| names.wanted(label)).collect();
    let who = who?;
    let place = flags.iter().position(|flag| flag["name"] == *order.name);
    let place = place.unwrap_or_else(|| {
        flags.push(json!({ "name": order.name, "default": false }));
        flags.len() - 1
    });
    if who.is_empty() || who.contains(&Who::All) {
        flags[place] = json!({ "name": order.name, "default": order.on, "kill": !order.on });
        return Ok(());
    }
    // What is ordered last counts before all else.
    let mut rules: Vec<_> = who.iter().map(|who| who.rule(order.on, Share::ALL)).collect();
    rules.extend(flags[place]["rules"].as_array().cloned().unwrap_or_default());
    flags[place]["rules"] = rules.into();
    Ok(())
}
