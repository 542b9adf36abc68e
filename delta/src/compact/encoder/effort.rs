//! How hard the encoder tries.

use super::map_builder::{FEW_VOTES, MANY_VOTES};

/// Time against size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Where time counts more than size.
    Quick,
    /// 2 to 10 % smaller, in about twice the time, and in four times that of small images.
    Thorough,
}

/// The numbers behind an effort.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// How often the parse is improved.
    pub(super) passes: u32,
    /// How often references to one target count in a map: a chain of parses for each of these, the first one alone where images are
    /// large.
    pub(super) max_votes: &'static [u32],
    /// States that are kept.
    pub(super) beam: usize,
    /// Bytes that a match has at least.
    pub(super) min_match: usize,
    /// Earlier places with the same hash that are looked at.
    pub(super) chain: usize,
    /// Matches that become candidates.
    pub(super) best_matches: usize,
}

impl Effort {
    pub(super) fn search(self) -> Search {
        match self {
            Self::Quick => Search {
                passes: 1,
                max_votes: &[MANY_VOTES],
                beam: 32,
                min_match: 4,
                chain: 48,
                best_matches: 5,
            },
            Self::Thorough => Search {
                passes: 2,
                max_votes: &[MANY_VOTES, FEW_VOTES],
                beam: 64,
                min_match: 3,
                chain: 96,
                best_matches: 8,
            },
        }
    }
}
