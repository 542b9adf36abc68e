//! Whole updates over two slots under power cuts: at every word and sector, with every outcome, and again later.

mod awaited;
mod boot;
mod cancel;
mod disturbed;
mod in_place;
mod packages;
mod two_small_slots;

use whittle_flash_sim::{Chip, Cut, Outcome};

use crate::support::Draws;
use blocking::sweep::{Count, cut, cuts, end, factory, sweep};
use blocking::world::{Behaviour, Geometry};
use packages::Releases;

/// The world of the blocking build.
#[path = ""]
mod blocking {
    pub(super) use whittle_patcher_nostd::Updater;

    pub(super) mod sweep;
    pub(super) mod world;

    use whittle_flash_sim::SimFlash;

    type Lent<'f, const R: usize, const W: usize, const E: usize> = &'f mut SimFlash<R, W, E>;

    fn lend<const R: usize, const W: usize, const E: usize>(
        flash: &mut SimFlash<R, W, E>,
    ) -> Lent<'_, R, W, E> {
        flash
    }

    /// What has ended when it returns.
    fn wait<T>(ended: T) -> T {
        ended
    }
}

/// The same world of the async build.
#[path = ""]
#[expect(clippy::duplicate_mod, reason = "one world serves both")]
mod asynchronous {
    use super::awaited::{Awaited as Lent, lend, wait};
    pub(super) use whittle_patcher_nostd::asynchronous::Updater;

    pub(super) mod sweep;
    pub(super) mod world;
}

#[test]
fn power_cuts_do_not_brick_two_slots() {
    sweep("plain", Chip::PLAIN);
}

#[test]
fn power_cuts_do_not_brick_two_slots_of_the_async_build() {
    asynchronous::sweep::sweep("async, error correction", Chip::CORRECTING);
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

#[test]
fn power_cuts_during_recovery_do_not_brick_two_slots_where_deltas_lead_astray() {
    sweep_pairs(Behaviour::ComesByFullImage);
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
