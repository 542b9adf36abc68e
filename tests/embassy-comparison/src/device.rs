//! A device with embassy-boot on simulated flash.

use std::fmt::Debug;

use embassy_boot::{BlockingFirmwareState, BootLoader, BootLoaderConfig};
use embedded_storage::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash, ReadNorFlash};
use whittle_flash_sim::{Chip, SimFlash, Supply};
use whittle_patcher_nostd::embassy_boot::{mark_booted, mark_booted_rewriting, mark_updated};

/// Pages of the active partition.
const PAGES: usize = 4;

/// Whose code writes the state partition for the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updater {
    /// `BlockingFirmwareState` of embassy-boot.
    Embassy,
    /// `whittle_patcher_nostd::embassy_boot`.
    Whittle,
    /// The same, with `mark_booted_rewriting`.
    WhittleRewriting,
}

impl Updater {
    pub(crate) const ALL: [Self; 3] = [Self::Embassy, Self::Whittle, Self::WhittleRewriting];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embassy => "embassy-boot",
            Self::Whittle => "whittle",
            Self::WhittleRewriting => "whittle, rewriting",
        }
    }

    /// Whether it works on this chip.
    pub(crate) fn suits(self, chip: Chip) -> bool {
        !(self == Self::WhittleRewriting && chip.write_once)
    }
}

/// What stands in the active partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    /// The image that ran before the update.
    Old,
    /// The image of the update.
    New,
    /// Neither, or flash that cannot be read.
    Mixed,
}

/// The power failed, or a machine gave up.
#[derive(Debug)]
pub(crate) struct Failed;

pub(crate) struct Device<const W: usize, const E: usize> {
    active: SimFlash<1, W, E>,
    dfu: SimFlash<1, W, E>,
    pub(crate) state: SimFlash<1, W, E>,
    pub(crate) supply: Supply,
    updater: Updater,
    chip: Chip,
}

impl<const W: usize, const E: usize> Device<W, E> {
    /// Runs the old image, confirmed, with the new one in the DFU partition.
    pub(crate) fn new(chip: Chip, updater: Updater) -> Self {
        let supply = Supply::new();
        let on = |flash: SimFlash<1, W, E>| flash.with(chip).on(&supply);
        let mut dfu = bytes(Image::New, E);
        dfu.resize((PAGES + 1) * E, 0xff);
        let mut device = Self {
            active: on(SimFlash::holding(&bytes(Image::Old, E))),
            dfu: on(SimFlash::holding(&dfu)),
            state: on(SimFlash::erased(E)),
            supply: supply.clone(),
            updater,
            chip,
        };
        device.confirm().expect("no cut");
        device
    }

    /// The same flash on a supply of its own.
    pub(crate) fn fork(&self) -> Self {
        let supply = Supply::new();
        let on = |flash: &SimFlash<1, W, E>| flash.clone().on(&supply);
        Self {
            active: on(&self.active),
            dfu: on(&self.dfu),
            state: on(&self.state),
            supply: supply.clone(),
            updater: self.updater,
            chip: self.chip,
        }
    }

    /// What an erase leaves that each word has or has not gone through, by chance; `None` if `after` is no erase of
    /// `before`. It has a supply of its own.
    pub(crate) fn erased_by_words(before: &Self, after: &Self, seed: u64) -> Option<Self> {
        let device = before.fork();
        let mix = |from: &SimFlash<1, W, E>, to: &SimFlash<1, W, E>| {
            let mixed = mixed_words::<W>(&from.bytes(), &to.bytes(), seed)?;
            Some(SimFlash::holding(&mixed).with(before.chip).on(&device.supply))
        };
        Some(Self {
            active: mix(&before.active, &after.active)?,
            dfu: mix(&before.dfu, &after.dfu)?,
            state: mix(&before.state, &after.state)?,
            ..device
        })
    }

    /// The application asks for the update.
    pub(crate) fn ask(&mut self) -> Result<(), Failed> {
        match self.updater {
            Updater::Embassy => {
                done(self.firmware_state(&mut [0; W], |state| state.mark_updated()))
            }
            Updater::Whittle | Updater::WhittleRewriting => done(mark_updated(&mut self.state)),
        }
    }

    /// The application confirms itself.
    pub(crate) fn confirm(&mut self) -> Result<(), Failed> {
        match self.updater {
            Updater::Embassy => done(self.firmware_state(&mut [0; W], |state| state.mark_booted())),
            Updater::Whittle => done(mark_booted(&mut self.state)),
            Updater::WhittleRewriting => {
                done(mark_booted_rewriting(&mut Rewritable(&mut self.state)))
            }
        }
    }

    fn firmware_state<T>(
        &mut self,
        word: &mut [u8; W],
        act: impl FnOnce(&mut BlockingFirmwareState<'_, &mut SimFlash<1, W, E>>) -> T,
    ) -> T {
        act(&mut BlockingFirmwareState::new(&mut self.state, word))
    }

    /// The boot loader runs; what it would start is in the active partition then.
    pub(crate) fn boot(&mut self) -> Result<(), Failed> {
        let config = BootLoaderConfig {
            active: &mut self.active,
            dfu: &mut self.dfu,
            state: &mut self.state,
        };
        done(BootLoader::new(config).prepare_boot(&mut [0; E]))
    }

    /// What stands in the active partition.
    pub(crate) fn image(&mut self) -> Image {
        let mut found = vec![0; PAGES * E];
        if self.active.read(0, &mut found).is_err() {
            return Image::Mixed;
        }
        let whole = [Image::Old, Image::New].into_iter().find(|image| found == bytes(*image, E));
        whole.unwrap_or(Image::Mixed)
    }
}

fn done<T, E: Debug>(result: Result<T, E>) -> Result<(), Failed> {
    result.map(|_| ()).map_err(|_| Failed)
}

/// An image of as many pages as the active partition has; no page is like another.
fn bytes(image: Image, page: usize) -> Vec<u8> {
    let salt = if image == Image::Old { 0x51 } else { 0xa7 };
    (0..PAGES * page).map(|at| (at * 31 + at / page * 7) as u8 ^ salt).collect()
}

/// Words of either; `None` if a word differs that is not erased in `after`.
fn mixed_words<const W: usize>(before: &[u8], after: &[u8], seed: u64) -> Option<Vec<u8>> {
    let words = before.chunks(W).zip(after.chunks(W)).enumerate();
    let mixed: Option<Vec<&[u8]>> = words
        .map(|(at, (old, new))| {
            let is_erased = new.iter().all(|byte| *byte == 0xff);
            (old == new || is_erased).then(|| if is_heads(seed, at as u64) { new } else { old })
        })
        .collect();
    Some(mixed?.concat())
}

/// One bit of splitmix64 (Steele, Lea and Flood 2014).
fn is_heads(seed: u64, at: u64) -> bool {
    let mut z = (seed << 32 | at).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z >> 63 == 1
}

/// Flash of which the caller knows that words can be written twice.
struct Rewritable<F>(F);

impl<F: ErrorType> ErrorType for Rewritable<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for Rewritable<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> NorFlash for Rewritable<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.0.write(offset, bytes)
    }
}

impl<F: NorFlash> MultiwriteNorFlash for Rewritable<F> {}
