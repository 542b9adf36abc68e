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

    /// Whom labels mean that can be told; of each other one is said what that comes to.
    fn told(&self, labels: &[String], so: &str, shortfalls: &mut Vec<String>) -> Vec<Who> {
        let mut told = vec![];
        for label in labels {
            match self.who(label) {
                Some(who) => told.push(who),
                None => shortfalls.push(format!("{}: {so}", no_name(label))),
            }
        }
        told
    }

    /// Finds a group of the rollout that devices could not be told of.
    pub(super) fn check(&self, campaign: &Campaign) -> Result<(), DriverError> {
        let mut labels = campaign.cells.iter().flat_map(|cell| campaign.labels(cell));
        match labels.find(|label| self.who(label).is_none()) {
            Some(label) => Err(DriverError::config("split_by", no_name(&label))),
            None => Ok(()),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.parse::<Label>().is_ok()
}

fn no_name(text: &str) -> String {
    let shown = text.escape_debug();
    format!("devices cannot be told of `{shown}`, wanted 1 to 32 of `A-Z a-z 0-9 . _ + -`")
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
    for label in orders.take_back.iter().filter(|label| names.who(label).is_none()) {
        found.shut(None, || label.clone());
    }
    found
}

impl Closures {
    fn shut(&mut self, who: Option<Who>, what: impl Fn() -> String) {
        let who = who.unwrap_or_else(|| {
            let all = format!("flags cannot name {}: all devices are closed", what());
            if !self.shortfalls.contains(&all) {
                self.shortfalls.push(all);
            }
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
/// `published` is the share of the stage: a part of the fleet is a percentage of it, and the draws of both are independent; without one
/// nobody is let in. A group that cannot be told gets no more than anybody.
pub(super) fn gate(
    name: &str,
    orders: &Orders,
    (reach, published): (&Reach, Option<Share>),
    closed: &Closures,
    names: &Names<'_>,
    shortfalls: &mut Vec<String>,
) -> Value {
    let Some(published) = published.filter(|_| orders.closed.is_none() && !closed.is_all()) else {
        return shut_gate(name);
    };
    let of_stage = |part: f64| share(part * 1e6 / f64::from(published.ppm().max(1)));
    let mut rules: Vec<_> = closed.who.iter().map(|who| who.rule(false, Share::ALL)).collect();
    for (label, part) in &reach.groups {
        match names.who(label) {
            Some(who) => rules.push(who.rule(true, of_stage(*part))),
            None => shortfalls.push(format!("{}: its ring is not let in", no_name(label))),
        }
    }
    let anybody = of_stage(reach.anybody);
    let default = anybody == Share::ALL;
    if !default && anybody != Share::NONE {
        rules.push(Who::All.rule(true, anybody));
    }
    json!({ "name": name, "default": default, "rules": rules })
}

/// A gate that admits nobody.
pub(super) fn shut_gate(name: &str) -> Value {
    json!({ "name": name, "default": false, "kill": true })
}

/// The flags besides the gate: the product's own, what the rollout orders of them, and the driver's, which no other may be called like.
pub(super) fn besides_gate(
    own: &[Value],
    gate: &str,
    orders: &Orders,
    campaign: &Campaign,
    names: &Names<'_>,
    shortfalls: &mut Vec<String>,
) -> Vec<Value> {
    let mut drivers = Vec::from_iter(way_back(orders, campaign, names, shortfalls));
    if orders.more_telemetry {
        drivers.push(json!({ "name": MORE_TELEMETRY, "default": true }));
    }
    let mut flags = own.to_vec();
    for wanted in &orders.feature_flags {
        let name = wanted.name.as_str();
        if name == gate || drivers.iter().any(|flag| flag["name"] == name) {
            let taken =
                format!("the driver has a flag `{name}` itself: what is ordered of it is left out");
            shortfalls.push(taken);
        } else {
            order(&mut flags, wanted, names, shortfalls);
        }
    }
    drivers.into_iter().for_each(|flag| set(&mut flags, flag));
    flags
}

/// Puts a flag into the place of one that is called alike, if there is any.
pub(super) fn set(flags: &mut Vec<Value>, flag: Value) {
    flags.retain(|other| other["name"] != flag["name"]);
    flags.push(flag);
}

/// The flag by which devices learn how to go back, if any shall.
fn way_back(
    orders: &Orders,
    campaign: &Campaign,
    names: &Names<'_>,
    shortfalls: &mut Vec<String>,
) -> Option<Value> {
    match &orders.way_back {
        None | Some(WayBack::None) => None,
        Some(WayBack::OtherSlot) => {
            Some(back(&go_back_flag(&campaign.seed()), orders, names, shortfalls))
        }
        Some(WayBack::Release { .. }) => {
            let gate = whittle_patcher_nostd::Gate::of(&campaign.seed_back());
            Some(back(gate.name(), orders, names, shortfalls))
        }
    }
}

/// A flag that is on for the groups that are taken back.
fn back(name: &str, orders: &Orders, names: &Names<'_>, shortfalls: &mut Vec<String>) -> Value {
    let who = names.told(&orders.take_back, "its devices do not go back", shortfalls);
    if who.contains(&Who::All) {
        return json!({ "name": name, "default": true });
    }
    let rules: Vec<_> = who.iter().map(|who| who.rule(true, Share::ALL)).collect();
    json!({ "name": name, "default": false, "rules": rules })
}

/// Does to the product's own flags what the rollout orders. For a group that cannot be told nothing is turned on, and what is turned off
/// is so for all.
fn order(
    flags: &mut Vec<Value>,
    order: &FlagOrder,
    names: &Names<'_>,
    shortfalls: &mut Vec<String>,
) {
    let FlagOrder { name, on, groups } = order;
    if !is_name(name) {
        shortfalls.push(format!("{}: the flag is left out", no_name(name)));
        return;
    }
    let so = if *on { "is not turned on for it" } else { "is turned off for all devices" };
    let who = names.told(groups, &format!("flag `{name}` {so}"), shortfalls);
    let are_all_told = who.len() == groups.len();
    if groups.is_empty() || who.contains(&Who::All) || !on && !are_all_told {
        set(flags, json!({ "name": name, "default": on, "kill": !on }));
        return;
    }
    let place = flags.iter().position(|flag| flag["name"] == *name);
    let place = place.unwrap_or_else(|| {
        flags.push(json!({ "name": name, "default": false }));
        flags.len() - 1
    });
    // What is ordered last counts before all else.
    let mut rules: Vec<_> = who.iter().map(|who| who.rule(*on, Share::ALL)).collect();
    // They may be there from before, if all that there is of the product's own flags is what was published.
    let before = flags[place]["rules"].as_array().cloned().unwrap_or_default();
    let others: Vec<_> = before.into_iter().filter(|rule| !rules.contains(rule)).collect();
    rules.extend(others);
    flags[place]["rules"] = rules.into();
}
