//! A share of the fleet, in millionths.

use core::fmt;

use crate::manifest::at_most;
use crate::{FormatError, Part};

/// What a draw is salted with: devices take other places for another seed.
pub type Seed = [u8; 16];

/// A fraction of the fleet in parts per million, so that percentages with four decimals, 0 % and 100 % are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Share(u32);

impl Share {
    /// No device: 0 %.
    pub const NONE: Self = Self(0);
    /// Every device: 100 %.
    pub const ALL: Self = Self(Self::WHOLE_PPM);
    /// How many places there are.
    pub const WHOLE_PPM: u32 = 1_000_000;

    /// Takes parts per million.
    ///
    /// # Errors
    /// [`FormatError::OutOfRange`] above [`Self::WHOLE_PPM`].
    pub fn from_ppm(ppm: u32) -> Result<Self, FormatError> {
        at_most(Part::Share, ppm, Self::WHOLE_PPM)?;
        Ok(Self(ppm))
    }

    /// The parts per million.
    #[must_use]
    pub fn ppm(self) -> u32 {
        self.0
    }

    /// Whether the device at this place, from 0, is within the share; a larger share covers all that a smaller one does.
    #[must_use]
    pub fn covers(self, place: u32) -> bool {
        place < self.0
    }
}

impl fmt::Display for Share {
    /// Shows per cent without trailing zeros: `12.5 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_cent = Self::WHOLE_PPM / 100;
        let (whole, mut fraction) = (self.0 / per_cent, self.0 % per_cent);
        for decimals in (1..=4usize).rev() {
            if !fraction.is_multiple_of(10) {
                return write!(f, "{whole}.{fraction:0decimals$} %");
            }
            fraction /= 10;
        }
        write!(f, "{whole} %")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn shares_show_as_per_cent() {
        for (ppm, text) in [
            (0, "0 %"),
            (1, "0.0001 %"),
            (5_000, "0.5 %"),
            (125_000, "12.5 %"),
            (100_100, "10.01 %"),
            (1_000_000, "100 %"),
        ] {
            assert_eq!(Share::from_ppm(ppm).expect("in range").to_string(), text);
        }
    }

    #[test]
    fn nothing_is_above_the_whole() {
        let error = FormatError::OutOfRange { field: Part::Share };
        assert_eq!(Share::from_ppm(1_000_001), Err(error));
        assert!(Share::ALL.covers(Share::WHOLE_PPM - 1) && !Share::NONE.covers(0));
    }
}
