//! What is left to chance: the same for the same seed, whatever else was drawn before.

/// What is drawn for; each purpose has a stream of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Firmware,
    Character,
    Week,
    Crash,
    Power,
    Key,
}

/// Numbers that look random (splitmix64, Steele et al. 2014).
#[derive(Clone, Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    /// The stream of a purpose for one subject, such as a device, at one time.
    pub(crate) fn of(seed: u64, purpose: Purpose, subject: u32, time: u32) -> Self {
        let mut draws = Self(seed);
        for part in [purpose as u64, u64::from(subject), u64::from(time)] {
            draws.0 = draws.next() ^ part;
        }
        draws
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is above 0.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        let product = (self.next() >> 32) * u64::from(limit);
        // The high half of a product of two numbers of 32 bits fits.
        u32::try_from(product >> 32).unwrap_or_default()
    }

    /// The same of what fits an instruction.
    pub(crate) fn half(&mut self, limit: u16) -> u16 {
        u16::try_from(self.below(limit.into())).unwrap_or_default()
    }

    /// A place in a list of this length.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        self.below(crate::number(len)) as usize
    }

    /// Whether something happens that does so `of_1000` times in a thousand.
    pub(crate) fn happens(&mut self, of_1000: u32) -> bool {
        self.below(1000) < of_1000
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        all[self.place(N)]
    }

    /// One of these, as often as its weight says; the weights add up to a thousand.
    pub(crate) fn weighted<T: Copy, const N: usize>(&mut self, all: [(T, u32); N]) -> T {
        let mut left = self.below(1000);
        for (one, weight) in all {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return one,
            }
        }
        all[N - 1].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_each_of_their_names() {
        let first = |seed, purpose, subject, time| Draws::of(seed, purpose, subject, time).next();
        let one = first(1, Purpose::Crash, 1, 1);
        assert_eq!(one, first(1, Purpose::Crash, 1, 1));
        for other in [
            first(2, Purpose::Crash, 1, 1),
            first(1, Purpose::Power, 1, 1),
            first(1, Purpose::Crash, 2, 1),
            first(1, Purpose::Crash, 1, 2),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn weights_are_kept() {
        let mut draws = Draws::of(7, Purpose::Week, 0, 0);
        let rare = (0..10_000).filter(|_| draws.weighted([(true, 100), (false, 900)])).count();
        assert!((900..1100).contains(&rare), "{rare}");
    }
}
