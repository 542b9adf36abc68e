//! Whole updates over two slots under power cuts: at every word and sector, with every outcome, and again later.

mod packages;
mod world;

use whittle_flash_sim::{Chip, Cut, Outcome, Supply};

use packages::Releases;
use world::{Behaviour, Flash, Geometry, World};

/// Counts what a sweep did.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    cuts: u64,
    boots: u64,
}

/// Runs one update with the cuts in turn, each counted in steps from the boot before it, and with power to the end.
fn run<const R: usize, const W: usize, const E: usize>(
    factory: &Flash<R, W, E>,
    releases: &Releases,
    behaviour: Behaviour,
    supply: &Supply,
    cuts: &[Cut],
) -> Option<Count> {
    let what = || format!("{W}/{E}, {behaviour:?}, {cuts:?}");
    let mut world = World::new(factory.clone(), releases, behaviour, supply);
    supply.restore();
    let mut came = 0;
    for (number, cut) in cuts.iter().enumerate() {
        supply.arm(*cut, cut.step ^ number as u64);
        let over = world.run(&what);
        came += u64::from(supply.is_down());
        supply.restore();
        if over && number + 1 == cuts.len() && came == 0 {
            return None;
        }
    }
    assert!(world.run(&what), "it ends: {}", what());
    assert!(world.run(&what), "and stays so: {}", what());
    // After each cut, the envelope or one block is fetched again at most, and what was in flight.
    let again = (256 + 48) * came as usize;
    assert!(world.fetched <= world.wanted + again, "{} of {}: {}", world.fetched, world.wanted, what());
    Some(Count { cuts: came, boots: world.boots as u64 })
}

/// Cuts the power once, at every step and with every outcome.
fn sweep<const R: usize, const W: usize, const E: usize>(
    chip: Chip,
    geometry: Geometry,
    releases: &Releases,
) -> Count {
    let mut total = Count::default();
    for behaviour in Behaviour::ALL {
        let supply = Supply::new();
        let factory = Flash::<R, W, E>::new(chip, geometry, releases, &supply);
        'steps: for step in 0.. {
            for outcome in Outcome::ALL {
                let cuts = [Cut { step, outcome }];
                match run(&factory, releases, behaviour, &supply, &cuts) {
                    Some(count) => {
                        total.cuts += count.cuts;
                        total.boots += count.boots;
                    }
                    None => break 'steps,
                }
            }
        }
    }
    total
}

/// Sweeps over one kind of chip, and tells what there was.
fn sweep_chip(name: &str, chip: Chip) {
    let releases = Releases::new(600, 6);
    let geometry = Geometry { bank: 1024, slot: 1024, staging: 2048 };
    let count = sweep::<1, 8, 256>(chip, geometry, &releases);
    println!("two slots, 8/256, {name}: {} cuts, {} boots, 0 bricks", count.cuts, count.boots);
}

#[test]
fn no_cut_bricks_two_slots() {
    sweep_chip("plain", Chip::PLAIN);
}

#[test]
fn no_cut_bricks_two_slots_with_error_correction() {
    sweep_chip("error correction", Chip::CORRECTING);
}

#[test]
fn no_cut_bricks_two_slots_that_erase_to_zeros() {
    sweep_chip("inverted", Chip::INVERTED);
}
