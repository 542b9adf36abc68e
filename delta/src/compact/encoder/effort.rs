//! How hard the encoder tries.

/// Time against size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Where time counts more than size.
    Quick,
    /// 2 to 10 % smaller, in about twice the time.
    Thorough,
}

/// The numbers behind an effort.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// How often the parse is improved.
    pub(super) passes: u32,
    /// How many chains of parses are tried where images are small.
    pub(super) chains: usize,
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
            Self::Quick => {
                Search { passes: 1, chains: 1, beam: 32, min_match: 4, chain: 48, best_matches: 5 }
            }
            Self::Thorough => {
                Search { passes: 2, chains: 2, beam: 64, min_match: 3, chain: 96, best_matches: 8 }
            }
        }
    }
}
