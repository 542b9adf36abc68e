//! Streams of random numbers that do not depend on what was drawn before.

use rand_core::SeedableRng;
use rand_distr::{Binomial, Distribution, Normal, Poisson};
use rand_pcg::Pcg64Mcg;

/// What a draw is for.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Purpose {
    CheckIn = 1,
    Affected,
    Failing,
    Treated,
    Control,
    GoingBack,
    GoingBackFails,
    Tickets,
}

/// Where a draw happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) seed: u64,
    pub(crate) run: u64,
    pub(crate) cell: u64,
    pub(crate) tick: u64,
}

/// A stream for a purpose at a place; `which` tells bugs and metrics apart.
pub(crate) struct Stream(Pcg64Mcg);

impl Stream {
    pub(crate) fn new(place: Place, purpose: Purpose, which: usize) -> Self {
        let Place { seed, run, cell, tick } = place;
        let parts = [seed, run, cell, tick, purpose as u64, which as u64];
        Self(Pcg64Mcg::seed_from_u64(parts.into_iter().fold(0, mixed)))
    }

    /// How many of `of` are hit, each with this probability.
    pub(crate) fn binomial(&mut self, of: u32, probability: f64) -> u32 {
        let probability = probability.clamp(0.0, 1.0);
        let Ok(law) = Binomial::new(u64::from(of), probability) else { return 0 };
        u32::try_from(law.sample(&mut self.0)).unwrap_or(of).min(of)
    }

    /// How many events there are, if so many are expected.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        match Poisson::new(mean) {
            Ok(law) => law.sample(&mut self.0),
            // Above what there is a law for, chance does not show; 0, or what is no number, has no events.
            Err(_) => mean.max(0.0),
        }
    }

    /// A normal number.
    pub(crate) fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        Normal::new(mean, deviation).map_or(mean, |law| law.sample(&mut self.0))
    }
}

/// SplitMix64's step and finaliser (Steele, Lea, Flood, Fast splittable pseudorandom number generators, 2014), as a hash.
fn mixed(state: u64, part: u64) -> u64 {
    let state = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { seed: 1, run: 2, cell: 3, tick: 4 };

    #[test]
    fn a_stream_depends_on_its_place_alone() {
        let draw = |place, which| Stream::new(place, Purpose::Failing, which).poisson(1e6);
        assert_eq!(draw(PLACE, 0).to_bits(), draw(PLACE, 0).to_bits());
        assert_ne!(draw(PLACE, 0).to_bits(), draw(PLACE, 1).to_bits());
        assert_ne!(draw(PLACE, 0).to_bits(), draw(Place { tick: 5, ..PLACE }, 0).to_bits());
    }

    const DRAWS: u32 = 200_000;

    #[test]
    fn laws_have_their_means_and_variances() {
        let draws = |draw: &dyn Fn(&mut Stream) -> f64| {
            let all: Vec<_> = (0..DRAWS)
                .map(|tick| Place { tick: tick.into(), ..PLACE })
                .map(|place| draw(&mut Stream::new(place, Purpose::Treated, 0)))
                .collect();
            let number = f64::from(DRAWS);
            let mean = all.iter().sum::<f64>() / number;
            (mean, all.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / number)
        };
        for (of, probability) in [(10, 0.3), (1_000_000, 0.00001), (1_000_000, 0.4)] {
            let (mean, variance) = draws(&|stream| f64::from(stream.binomial(of, probability)));
            let (right, spread) = (f64::from(of) * probability, 1.0 - probability);
            assert!((mean / right - 1.0).abs() < 0.02, "{mean} of {right}");
            assert!((variance / (right * spread) - 1.0).abs() < 0.06, "{variance}");
        }
        for mean in [0.1, 3.0, 5_000.0] {
            let (got, variance) = draws(&|stream| stream.poisson(mean));
            let off = [got / mean - 1.0, variance / mean - 1.0].map(f64::abs);
            assert!(off[0] < 0.03 && off[1] < 0.04, "{mean}: {off:?}");
        }
        assert_eq!(Stream::new(PLACE, Purpose::Treated, 0).poisson(0.0).to_bits(), 0);
        assert_eq!(Stream::new(PLACE, Purpose::Treated, 0).binomial(7, 1.0), 7);
    }
}
