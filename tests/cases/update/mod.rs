//! Whole updates over two slots under power cuts: at every word and sector, with every outcome, and again later.

mod boot;
mod in_place;
mod packages;
mod world;

use whittle_flash_sim::{Chip, Cut, Outcome, Supply};

use crate::support::Draws;
use packages::Releases;
use world::{Behaviour, Flash, Geometry, World};

/// Counts what a sweep did.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    cuts: u64,
    boots: u64,
}

impl Count {
    fn add<const R: usize, const W: usize, const E: usize>(&mut self, world: &World<'_, R, W, E>) {
        self.cuts += world.cuts;
        self.boots += world.boots;
    }

    /// The line that `cargo xtask measure power-cuts` collects.
    fn tell(&self, what: &str) {
        println!(
            "power cuts: two slots, {what}: {} cuts, {} boots, 0 bricks",
            self.cuts, self.boots
        );
    }
}

/// A device that has its power cut once; whether the cut came before the update was over.
fn cut<const R: usize, const W: usize, const E: usize>(
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
fn end<const R: usize, const W: usize, const E: usize>(world: &mut World<'_, R, W, E>) {
    for _ in 0..2 {
        assert!(world.run(), "it ends: {}", world.what());
    }
    // After each cut, the envelope or one block is fetched again at most, and what was in flight.
    let again = (256 + world::CHUNK) * world.cuts as usize;
    let (fetched, wanted) = (world.fetched, world.wanted);
    assert!(fetched <= wanted + again, "{fetched} of {wanted}: {}", world.what());
}

/// Every cut that can hit the update of this device, from the first step to the last, with every outcome.
fn cuts<'r, const R: usize, const W: usize, const E: usize>(
    world: &World<'r, R, W, E>,
) -> impl Iterator<Item = World<'r, R, W, E>> {
    let all = (0..).flat_map(|step| Outcome::ALL.map(|outcome| Cut { step, outcome }));
    all.map_while(|next| {
        let mut world = world.clone();
        world.story.push(next);
        cut(&mut world, next).then_some(world)
    })
}

fn factory<'r, const R: usize, const W: usize, const E: usize>(
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
fn sweep(what: &str, chip: Chip) {
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

#[test]
fn power_cuts_do_not_brick_two_slots() {
    sweep("plain", Chip::PLAIN);
}

#[test]
fn power_cuts_do_not_brick_two_slots_with_error_correction() {
    sweep("error correction", Chip::CORRECTING);
}

#[test]
fn power_cuts_do_not_brick_two_slots_that_erase_to_zeros() {
    sweep("erased to zeros", Chip::INVERTED);
}

/// Cuts the power again, anywhere in the recovery and in what comes behind it.
fn sweep_pairs(behaviour: Behaviour) {
    let releases = Releases::new(300, 8);
    let geometry = Geometry { bank: 4096, slot: 1024, staging: 2048 };
    let mut count = Count::default();
    let world = factory::<4, 256, 512>(Chip::CORRECTING, geometry, &releases, behaviour);
    // Without common divisor with the number of outcomes, so that each of them comes first.
    let every = if is_thorough() { 1 } else { 31 };
    for once in cuts(&world).step_by(every) {
        for mut twice in cuts(&once) {
            end(&mut twice);
            count.add(&twice);
        }
    }
    count.tell(&format!("pairs of cuts (every {every}th first one), writes of 256, {behaviour:?}"));
}

#[test]
fn power_cuts_during_recovery_do_not_brick_two_slots() {
    sweep_pairs(Behaviour::Works);
}

#[test]
fn power_cuts_during_recovery_from_a_crashing_image_do_not_brick_two_slots() {
    sweep_pairs(Behaviour::Crashes);
}

/// Whether there is time for everything, as `cargo xtask measure power-cuts` takes it.
fn is_thorough() -> bool {
    std::env::var_os("WHITTLE_THOROUGH").is_some()
}

#[test]
fn random_schedules_of_power_cuts_do_not_brick_two_slots() {
    let releases = Releases::new(600, 6);
    let geometry = Geometry { bank: 1024, slot: 1024, staging: 2048 };
    let mut count = Count::default();
    let schedules: u64 = if is_thorough() { 1_000_000 } else { 10_000 };
    for seed in 0..schedules {
        let mut draws = Draws::new(seed);
        let chip = draws.one_of(&[Chip::PLAIN, Chip::CORRECTING, Chip::INVERTED]);
        let behaviour = draws.one_of(&Behaviour::ALL);
        let mut world = factory::<1, 8, 256>(chip, geometry, &releases, behaviour);
        for _ in 0..1 + draws.below(10) {
            let most = 1 << draws.below(10);
            let step = draws.below(most);
            let next = Cut { step, outcome: draws.one_of(&Outcome::ALL) };
            world.story.push(next);
            if !cut(&mut world, next) {
                break;
            }
        }
        end(&mut world);
        count.add(&world);
    }
    count.tell(&format!("{schedules} random schedules, writes of 8"));
}
