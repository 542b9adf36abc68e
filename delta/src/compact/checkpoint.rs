//! The state of a decoder, in the order in which it is passed on.
//!
//! ```text
//! state = class (1 byte; 255 if nothing has come yet, and nothing follows)
//!       | reader: interval, code, counts, ring
//!       | machine: place, mode, what has just been coded, diagonals
//!       | references: instruction set, RAM, global pointers, layouts
//!       | map: number of entries (4 bytes), entries
//!       | numbers | model: tables, then what no class changes | learned: exceptions, words, trust
//! ```
//!
//! Each part is passed on by a method `pass_state` beside its fields. Numbers are little-endian, flags take a byte. What
//! lies in caches is not part of it, and of the tables only what the stream's class has.

use super::class::{Class, Shape};
use super::coder::BitReader;
use super::decoder::{CompactDecoder, Stage};
use super::layout::Layout;
use super::map::PackedEntry;
use super::mixer::{Flag, Slot};
use super::model::{self, ByteWeights, FlagWeights};
use super::predict::{self, Moved};
use super::stream::{Machine, Numbers};
use crate::state::{self, Passing};
use crate::{Resume, StateBytes, StateError};

/// Stands for the class while nothing has come.
const NOTHING_YET: u8 = u8::MAX;

/// Most bytes besides the tables: the class, and parts of fixed size.
const OTHER_BYTES: usize = 1
    + BitReader::STATE_BYTES
    + Machine::STATE_BYTES
    + 2 * Layout::STATE_BYTES
    + size_of::<Numbers>()
    + size_of::<model::Fixed>()
    + size_of::<predict::Fixed>();

impl Shape {
    const fn state_bytes(self) -> usize {
        self.slots * size_of::<Slot>()
            + self.map * size_of::<PackedEntry>()
            + self.flag_count() * size_of::<Flag>()
            + self.flag_sets * size_of::<FlagWeights>()
            + (self.family_sets + self.path_sets()) * size_of::<ByteWeights>()
            + self.recent_count()
            + self.substitutions * 3
            + self.moved * size_of::<Moved>()
            + OTHER_BYTES
    }
}

impl Class {
    /// Most bytes of the state of a decoder ([`Resume`]), at a stream of this class.
    #[must_use]
    pub const fn state_bytes(self) -> u64 {
        self.shape().state_bytes() as u64
    }
}

impl Resume for CompactDecoder<'_> {
    fn state_bytes(&self) -> u64 {
        match &self.stage {
            Stage::Waiting(_) => 1,
            Stage::Running { class, .. } => class.state_bytes(),
        }
    }

    fn pass_state<S: StateBytes>(&mut self, state: &mut S) -> Result<(), StateError<S::Error>> {
        let outcome = state::pass(state, |state| self.pass_parts(state));
        if outcome.is_err() {
            // Half a state is none.
            self.stage = Stage::Waiting(None);
        }
        outcome
    }
}

impl CompactDecoder<'_> {
    fn pass_parts(&mut self, state: &mut Passing<'_>) {
        let known = match &self.stage {
            Stage::Waiting(_) => NOTHING_YET,
            Stage::Running { class, .. } => class.code(),
        };
        let mut code = known;
        state.small(&mut code, u8::MAX);
        state.check(known == NOTHING_YET || code == known);
        if code != NOTHING_YET {
            state.check(self.start::<()>(code).is_ok());
        }
        if let Stage::Running { machine, reader, .. } = &mut self.stage {
            reader.pass_state(state);
            machine.pass_state(state);
        }
    }
}
