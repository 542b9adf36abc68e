//! Cuts the power of a world.

use whittle_flash_sim::{Chip, Cut, Outcome, Supply};

use super::super::packages::Releases;
use super::world::{self, Behaviour, Flash, Geometry, World};

/// Counts what a sweep did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    cuts: u64,
    boots: u64,
}

impl Count {
    pub(crate) fn add<const R: usize, const W: usize, const E: usize>(
        &mut self,
        world: &World<'_, R, W, E>,
    ) {
        self.cuts += world.cuts;
        self.boots += world.boots;
    }

    /// The line that `cargo xtask measure power-cuts` collects.
    pub(crate) fn tell(&self, what: &str) {
        println!(
            "power cuts: two slots, {what}: {} cuts, {} boots, 0 bricks",
            self.cuts, self.boots
        );
    }
}

/// A device that has its power cut once; whether the cut came before the update was over.
pub(crate) fn cut<const R: usize, const W: usize, const E: usize>(
    world: &mut World<'_, R, W, E>,
    cut: Cut,
) -> bool {
    world.supply.arm(cut, cut.step.wrapping_mul(31) ^ world.cuts);
    world.run();
    let came = world.supply.is_down();
    world.supply.restore();
    world.cuts += u64::from(came);
    came
}

/// Lets a device end its update, and looks whether it stays so.
pub(crate) fn end<const R: usize, const W: usize, const E: usize>(world: &mut World<'_, R, W, E>) {
    for _ in 0..2 {
        assert!(world.run(), "it ends: {}", world.what());
    }
    // After each cut, the envelope or one block is fetched again at most, and what was in flight.
    let again = (256 + world::CHUNK) * world.cuts as usize;
    let (fetched, wanted) = (world.fetched, world.wanted);
    assert!(fetched <= wanted + again, "{fetched} of {wanted}: {}", world.what());
}

/// Every cut that can hit the update of this device, from the first step to the last, with every outcome.
pub(crate) fn cuts<'r, const R: usize, const W: usize, const E: usize>(
    world: &World<'r, R, W, E>,
) -> impl Iterator<Item = World<'r, R, W, E>> {
    let all = (0..).flat_map(|step| Outcome::ALL.map(|outcome| Cut { step, outcome }));
    all.map_while(|next| {
        let mut world = world.clone();
        world.story.push(next);
        cut(&mut world, next).then_some(world)
    })
}

pub(crate) fn factory<'r, const R: usize, const W: usize, const E: usize>(
    chip: Chip,
    geometry: Geometry,
    releases: &'r Releases,
    behaviour: Behaviour,
) -> World<'r, R, W, E> {
    let supply = Supply::new();
    let flash = Flash::<R, W, E>::new(chip, geometry, releases, &supply);
    World::new(flash, releases, behaviour, &supply)
}

/// Cuts the power once, at every step and with every outcome.
pub(crate) fn sweep(what: &str, chip: Chip) {
    let releases = Releases::new(600, 6);
    let geometry = Geometry { bank: 1024, slot: 1024, staging: 2048 };
    let mut count = Count::default();
    for behaviour in Behaviour::ALL {
        for mut world in cuts(&factory::<1, 8, 256>(chip, geometry, &releases, behaviour)) {
            end(&mut world);
            count.add(&world);
        }
    }
    count.tell(&format!("single cuts, writes of 8, {what}"));
}
