//! Cuts the power at every word that embassy-boot writes and every sector that it erases, and prints what boots then.

mod device;
mod sweep;
#[cfg(test)]
mod tests;

use whittle_flash_sim::{Chip, Outcome};

use crate::device::Updater;
use crate::sweep::{Cuts, Phase, Tally, sweep};

/// Kinds of cuts.
const KINDS: [(&str, Cuts); 4] = [
    ("between operations", Cuts::Every(&[Outcome::Nothing, Outcome::Done])),
    ("torn", Cuts::Every(&[Outcome::Prefix, Outcome::AllButLast, Outcome::RandomBits])),
    ("unstable", Cuts::Every(&[Outcome::Unstable])),
    ("erase by words", Cuts::ErasesByWords),
];

fn main() {
    let mut figures = Vec::new();
    for (name, chip) in [("plain", Chip::PLAIN), ("error-correcting", Chip::CORRECTING)] {
        for updater in Updater::ALL.into_iter().filter(|updater| updater.suits(chip)) {
            let tallies = [print::<1>(name, chip, updater), print::<4>(name, chip, updater)];
            let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
            let key = format!("{name}_{}", updater.name()).replace([' ', '-', ','], "_");
            figures.push(format!("{key}_cuts={}", sum(|tally| tally.cuts)));
            figures.push(format!("{key}_mixed={}", sum(|tally| tally.mixed)));
            figures.push(format!("{key}_no_boot={}", sum(|tally| tally.no_boot)));
        }
    }
    println!("{}", figures.join(" "));
}

/// Prints what becomes of the cuts on flash with this write size, and returns the sum.
fn print<const W: usize>(name: &str, chip: Chip, updater: Updater) -> Tally {
    let title = format!("{}, {name} flash, write size {W}", updater.name());
    println!("| {title} | while | cuts | right | other | mixed | no boot |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    let mut sum = Tally::default();
    for (kind, cuts) in KINDS {
        for phase in Phase::ALL {
            let tally = sweep::<W, 256>(chip, updater, phase, cuts);
            let Tally { cuts, right, other, mixed, no_boot } = tally;
            println!("| {kind} | {phase:?} | {cuts} | {right} | {other} | {mixed} | {no_boot} |");
            sum = sum.plus(tally);
        }
    }
    println!();
    sum
}
