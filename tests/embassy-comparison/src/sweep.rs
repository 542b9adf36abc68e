//! Cuts the power at every step of a phase, and looks what boots.

use whittle_flash_sim::{Chip, Cut, Outcome};

use crate::device::{Device, Failed, Image, Updater};

/// A part of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The application asks for the swap.
    Ask,
    /// The boot loader swaps.
    Swap,
    /// The new image confirms itself.
    Confirm,
    /// The boot loader swaps back, because the new image did not.
    Revert,
}

impl Phase {
    pub(crate) const ALL: [Self; 4] = [Self::Ask, Self::Swap, Self::Confirm, Self::Revert];

    fn run<const W: usize, const E: usize>(self, device: &mut Device<W, E>) -> Result<(), Failed> {
        match self {
            Self::Ask => device.ask(),
            Self::Confirm => device.confirm(),
            Self::Swap | Self::Revert => device.boot(),
        }
    }

    /// What goes before.
    fn earlier(self) -> &'static [Self] {
        match self {
            Self::Ask => &[],
            Self::Swap => &[Self::Ask],
            Self::Confirm | Self::Revert => &[Self::Ask, Self::Swap],
        }
    }

    /// The images that may run in the end. A request or a confirmation that was cut may have come to nothing.
    fn wanted(self) -> &'static [Image] {
        match self {
            Self::Ask | Self::Confirm => &[Image::Old, Image::New],
            Self::Swap => &[Image::New],
            Self::Revert => &[Image::Old],
        }
    }
}

/// What the cuts came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) cuts: u64,
    /// Every boot started a whole image, and the last ones the wanted one.
    pub(crate) right: u64,
    /// Every boot started a whole image, and the last ones not the wanted one.
    pub(crate) other: u64,
    /// A boot started something that is neither image.
    pub(crate) mixed: u64,
    /// The boot loader gave up at every boot.
    pub(crate) no_boot: u64,
}

impl Tally {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            cuts: self.cuts + other.cuts,
            right: self.right + other.right,
            other: self.other + other.other,
            mixed: self.mixed + other.mixed,
            no_boot: self.no_boot + other.no_boot,
        }
    }

    fn add(&mut self, phase: Phase, settled: Option<Image>) {
        self.cuts += 1;
        *match settled {
            Some(Image::Mixed) => &mut self.mixed,
            Some(image) if phase.wanted().contains(&image) => &mut self.right,
            Some(_) => &mut self.other,
            None => &mut self.no_boot,
        } += 1;
    }
}

/// What the cuts are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    /// At every word written and sector erased, with these outcomes.
    Every(&'static [Outcome]),
    /// At every sector erased; each of its words is erased, or not, by chance.
    ErasesByWords,
}

/// Runs of each cut that differ in what is left to chance.
const SEEDS: u64 = 20;

/// The same for erases by words: there are few erases.
const ERASE_SEEDS: u64 = 100;

/// Boots after a cut, the last of which settle what runs.
const BOOTS: usize = 6;

/// Cuts the power in a phase.
pub(crate) fn sweep<const W: usize, const E: usize>(
    chip: Chip,
    updater: Updater,
    phase: Phase,
    cuts: Cuts,
) -> Tally {
    let mut before = Device::<W, E>::new(chip, updater);
    for earlier in phase.earlier() {
        earlier.run(&mut before).expect("no cut");
    }
    let mut whole = before.fork();
    phase.run(&mut whole).expect("no cut");
    let mut tally = Tally::default();
    for step in 0..whole.supply.steps() {
        match cuts {
            Cuts::Every(outcomes) => {
                for outcome in outcomes.iter().copied() {
                    let by_chance = matches!(outcome, Outcome::RandomBits | Outcome::Unstable);
                    for seed in 0..if by_chance { SEEDS } else { 1 } {
                        let mut device = cut(&before, phase, Cut { step, outcome }, seed);
                        tally.add(phase, settle(&mut device, phase));
                    }
                }
            }
            Cuts::ErasesByWords => {
                let [nothing, done] = [Outcome::Nothing, Outcome::Done]
                    .map(|outcome| cut(&before, phase, Cut { step, outcome }, 0));
                for seed in 0..ERASE_SEEDS {
                    let torn = Device::erased_by_words(&nothing, &done, step ^ seed << 16);
                    if let Some(mut device) = torn {
                        tally.add(phase, settle(&mut device, phase));
                    }
                }
            }
        }
    }
    tally
}

/// A device whose power failed in a phase, as it is when the power is back.
fn cut<const W: usize, const E: usize>(
    before: &Device<W, E>,
    phase: Phase,
    cut: Cut,
    seed: u64,
) -> Device<W, E> {
    let mut device = before.fork();
    device.supply.arm(cut, cut.step ^ seed << 32);
    phase.run(&mut device).expect_err("the cut comes");
    device.supply.restore();
    device
}

/// Boots until nothing changes any more; the new image confirms itself, except where it is to be swapped back.
fn settle<const W: usize, const E: usize>(
    device: &mut Device<W, E>,
    phase: Phase,
) -> Option<Image> {
    let mut last = None;
    for _ in 0..BOOTS {
        last = device.boot().ok().map(|()| device.image());
        match last {
            Some(Image::Mixed) => return last,
            Some(Image::New) if phase != Phase::Revert => {
                // One that fails is tried again at the next start.
                let _ = device.confirm();
            }
            _ => {}
        }
    }
    last
}
