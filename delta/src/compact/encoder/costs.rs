//! What things cost in bits, measured while encoding, for the next parse.

use alloc::vec;
use alloc::vec::Vec;

use super::super::predict::KINDS;
use super::super::stream::{Event, STRIDE};

/// Classes of the last 32 hits and misses.
const HISTORIES: usize = 12;

/// Kinds of jumps, after a literal or not, by the logarithm of their distance.
const JUMPS: usize = 2 * 8 * 32;

fn history_class(history: u32) -> usize {
    match history {
        0 => 0,
        _ if history & 0xffff == 0 => 1,
        _ if history & 0xff == 0 => 2,
        _ => 2 + (history & 0xff).count_ones() as usize,
    }
}

fn place(kind: u8, odd: bool) -> usize {
    usize::from(kind) * 2 + usize::from(odd)
}

fn jump_place(after_literal: bool, kind: u32, distance: u32) -> usize {
    let log2 = distance.saturating_add(1).ilog2() as usize;
    (usize::from(after_literal) * 8 + kind as usize) * 32 + log2
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    bits: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, bits: f64, count: f64) {
        self.bits += bits;
        self.count += count;
    }

    /// The mean, as if `weight` observations of `prior` had been made too.
    fn smoothed(self, prior: f32, weight: f64) -> f32 {
        #[allow(clippy::cast_possible_truncation, reason = "bits per event")]
        let mean = ((self.bits + f64::from(prior) * weight) / (self.count + weight)) as f32;
        mean
    }
}

/// Sums while encoding.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    hit: Vec<Mean>,
    miss: Vec<Mean>,
    substitute: Vec<Mean>,
    leave: Mean,
    stay: Mean,
    literal: Mean,
    literal_start: Mean,
    jump: Vec<Mean>,
}

impl Default for Tally {
    fn default() -> Self {
        let none = Mean::default();
        Self {
            hit: vec![none; KINDS * 2 * HISTORIES],
            miss: vec![none; KINDS * 2 * HISTORIES],
            substitute: vec![none; KINDS * 2],
            leave: none,
            stay: none,
            literal: none,
            literal_start: none,
            jump: vec![none; JUMPS],
        }
    }
}

impl Tally {
    pub(super) fn note(&mut self, event: Event, bits: f64) {
        let mean = match event {
            Event::Map => return,
            Event::Hit { kind, odd, history, hit } => {
                let means = if hit { &mut self.hit } else { &mut self.miss };
                means.get_mut(place(kind, odd) * HISTORIES + history_class(history))
            }
            Event::Stride { hit: true } => {
                let calm = self.hit.first_mut();
                return calm.into_iter().for_each(|mean| mean.add(bits, STRIDE.into()));
            }
            // What a stride that misses costs is the price of its first miss.
            Event::Stride { hit: false } | Event::Doubted { hit: true } => {
                return self.miss.first_mut().into_iter().for_each(|mean| mean.add(bits, 0.0));
            }
            Event::Doubted { hit: false } => self.miss.first_mut(),
            Event::Leave { leave } => Some(if leave { &mut self.leave } else { &mut self.stay }),
            Event::Substitute { kind, odd } => self.substitute.get_mut(place(kind, odd)),
            Event::LiteralStart => Some(&mut self.literal_start),
            Event::Literal { bytes } => return self.literal.add(bits, bytes.into()),
            Event::Jump { after_literal, kind, distance } => {
                self.jump.get_mut(jump_place(after_literal, kind, distance))
            }
        };
        if let Some(mean) = mean {
            mean.add(bits, 1.0);
        }
    }

    pub(super) fn costs(&self) -> Costs {
        const HIT: [f32; HISTORIES] =
            [0.01, 0.03, 0.08, 0.2, 0.45, 0.7, 0.9, 1.0, 1.1, 1.2, 1.3, 1.3];
        const MISS: [f32; HISTORIES] =
            [10.0, 7.5, 5.5, 3.6, 2.2, 1.7, 1.4, 1.3, 1.2, 1.1, 1.0, 1.0];
        let smooth = |means: &[Mean], priors: &[f32; HISTORIES], all: f64, one: f64| -> Vec<f32> {
            let overall = priors.iter().enumerate().map(|(class, prior)| {
                let same_class = means.iter().skip(class).step_by(HISTORIES);
                let sum = same_class.fold(Mean::default(), |mut sum, mean| {
                    sum.add(mean.bits, mean.count);
                    sum
                });
                sum.smoothed(*prior, all)
            });
            let overall: Vec<f32> = overall.collect();
            means
                .iter()
                .zip(overall.iter().cycle())
                .map(|(mean, prior)| mean.smoothed(*prior, one))
                .collect()
        };
        let jump = self.jump.iter().enumerate().map(|(place, mean)| {
            #[allow(clippy::cast_precision_loss, reason = "below 32")]
            let (kind, log2) = ((place / 32) % 8, (place % 32) as f32);
            let prior = match kind {
                0 => 2.0,
                1 => 4.0,
                2 => 6.0,
                3 => 7.0,
                4 => 8.0,
                5 => 8.0 + 1.2 * log2,
                _ => 9.0 + 1.1 * log2,
            };
            mean.smoothed(prior, 3.0)
        });
        let miss = smooth(&self.miss, &MISS, 5.0, 3.0);
        let stay = self.stay.smoothed(0.4, 5.0);
        let bytes = self.substitute.iter().map(|mean| mean.smoothed(5.5, 8.0));
        let by_history = miss.chunks(HISTORIES).zip(bytes);
        let substitution = by_history
            .flat_map(|(misses, byte)| misses.iter().map(move |miss| miss + stay + byte))
            .collect();
        Costs {
            hit: smooth(&self.hit, &HIT, 20.0, 8.0),
            miss,
            substitution,
            leave: self.leave.smoothed(1.5, 5.0),
            literal: self.literal.smoothed(6.0, 50.0),
            literal_start: self.literal_start.smoothed(8.0, 5.0),
            jump: jump.collect(),
        }
    }
}

/// Means in bits.
#[derive(Clone, Debug)]
pub(super) struct Costs {
    hit: Vec<f32>,
    miss: Vec<f32>,
    /// A miss and the byte that is there instead.
    substitution: Vec<f32>,
    pub(super) leave: f32,
    pub(super) literal: f32,
    pub(super) literal_start: f32,
    jump: Vec<f32>,
}

impl Default for Costs {
    /// What experience says before anything has been measured.
    fn default() -> Self {
        Tally::default().costs()
    }
}

impl Costs {
    pub(super) fn hit(&self, kind: u8, odd: bool, history: u32) -> f32 {
        Self::of(&self.hit, kind, odd, history)
    }

    /// A miss alone, before what follows it.
    pub(super) fn miss(&self, kind: u8, odd: bool, history: u32) -> f32 {
        Self::of(&self.miss, kind, odd, history)
    }

    /// A miss and the byte that is there instead.
    pub(super) fn substitution(&self, kind: u8, odd: bool, history: u32) -> f32 {
        Self::of(&self.substitution, kind, odd, history)
    }

    fn of(costs: &[f32], kind: u8, odd: bool, history: u32) -> f32 {
        let place = place(kind, odd) * HISTORIES + history_class(history);
        costs.get(place).copied().unwrap_or(0.0)
    }

    pub(super) fn jump(&self, after_literal: bool, kind: u32, distance: i64) -> f32 {
        let distance = u32::try_from(distance.unsigned_abs()).unwrap_or(u32::MAX);
        self.jump.get(jump_place(after_literal, kind, distance)).copied().unwrap_or(0.0)
    }
}
