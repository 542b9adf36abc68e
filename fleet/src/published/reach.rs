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
    /// Of cells that were taken back, by their place, how many devices have been offered the target: no part of them grows.
    taken_back: Vec<(usize, u32)>,
}

impl Reach {
    /// What the orders reach, stage by stage up to this one: so that a ring that was taken first keeps what it has.
    pub(super) fn of(orders: &Orders, campaign: &Campaign) -> Self {
        let most = f64::from(campaign.reach(orders).ppm()) / 1e6;
        let taken_back = orders.taken_back_cells.clone();
        let mut reach = Self { anybody: 0.0, groups: vec![], most, taken_back };
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
        let is_meant = |(place, cell): (usize, &Cell)| {
            self.offered_of(place).is_none() && is_in(cell, among, campaign)
        };
        if !campaign.cells.iter().enumerate().any(is_meant) {
            return;
        }
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
        let within = |(place, cell): (usize, &Cell)| {
            if let Some(offered) = self.offered_of(place) {
                return f64::from(offered);
            }
            let labels = campaign.labels(cell);
            let groups = self.groups.iter().filter(|(group, _)| labels.contains(group));
            let so_far = groups.fold(self.anybody, |most, (_, part)| most.max(*part));
            f64::from(cell.devices)
                * if is_in(cell, among, campaign) { so_far.max(part) } else { so_far }
        };
        campaign.cells.iter().enumerate().map(within).sum()
    }

    /// How many devices of a cell that was taken back have been offered the target; none of others.
    fn offered_of(&self, place: usize) -> Option<u32> {
        let found = self.taken_back.iter().find(|(taken, _)| *taken == place);
        found.map(|(_, offered)| *offered)
    }

    /// The greatest part of any group.
    pub(super) fn greatest(&self) -> f64 {
        self.groups.iter().fold(self.anybody, |most, (_, part)| most.max(*part))
    }
}

/// Whether a cell belongs to a group; to that of all devices, if none is named.
fn is_in(cell: &Cell, among: Option<&str>, campaign: &Campaign) -> bool {
    among.is_none_or(|label| campaign.labels(cell).iter().any(|own| own == label))
}
