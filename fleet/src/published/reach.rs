//! Which part of each group the orders reach, as shares of a draw that only ever grow.

use whittle_rollout::{Cell, Orders};

use crate::Campaign;

/// The part of each group that may have the target, from 0 to the part that is not held back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reach {
    /// Of devices of any group.
    pub(super) anybody: f64,
    /// Of devices of a group, where that is more; in the order of the stages.
    pub(super) groups: Vec<(String, f64)>,
    /// What is not held back.
    pub(super) most: f64,
}

impl Reach {
    /// What the orders reach, stage by stage up to this one: so that a ring that was taken first keeps what it has.
    pub(super) fn of(orders: &Orders, campaign: &Campaign) -> Self {
        let most = f64::from(campaign.reach(orders).ppm()) / 1e6;
        let mut reach = Self { anybody: 0.0, groups: vec![], most };
        let past = campaign.rings.iter().take(campaign.stage);
        let may_have = campaign.may_have(orders);
        for ring in past {
            reach.grow(ring.among.as_deref(), ring.devices.min(may_have), campaign);
        }
        reach.grow(orders.among.as_deref(), may_have, campaign);
        reach
    }

    /// Grows the part of a group, or of all devices, until so many devices are expected within.
    ///
    /// The number grows with the part, so the part is found by bisection; it is exact to 2^-40, far below a millionth.
    fn grow(&mut self, among: Option<&str>, devices: u32, campaign: &Campaign) {
        let (mut low, mut high) = (self.part_of_group(among), self.most);
        if self.expected(among, high, campaign) <= f64::from(devices) {
            low = high;
        }
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            let fits = self.expected(among, middle, campaign) <= f64::from(devices);
            if fits { low = middle } else { high = middle }
        }
        match among {
            None => self.anybody = low,
            Some(label) => {
                self.groups.retain(|(group, _)| group != label);
                self.groups.push((label.to_owned(), low));
            }
        }
    }

    fn part_of_group(&self, among: Option<&str>) -> f64 {
        let found = self.groups.iter().find(|(group, _)| Some(group.as_str()) == among);
        found.map_or(self.anybody, |(_, part)| part.max(self.anybody))
    }

    /// How many devices are expected within if a group, or anybody, had this part.
    fn expected(&self, among: Option<&str>, part: f64, campaign: &Campaign) -> f64 {
        let within = |cell: &Cell| {
            let labels = campaign.labels(cell);
            let groups = self.groups.iter().filter(|(group, _)| labels.contains(group));
            let so_far = groups.fold(self.anybody, |most, (_, part)| most.max(*part));
            let is_meant = among.is_none_or(|label| labels.iter().any(|l| l == label));
            f64::from(cell.devices) * if is_meant { so_far.max(part) } else { so_far }
        };
        campaign.cells.iter().map(within).sum()
    }

    /// The greatest part of any group.
    pub(super) fn greatest(&self) -> f64 {
        self.groups.iter().fold(self.anybody, |most, (_, part)| most.max(*part))
    }
}
