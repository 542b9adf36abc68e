//! The state of a decoder, in the order in which it is passed on.
//!
//! ```text
//! state = class (1 byte; 255 if nothing has come yet, and nothing follows)
//!       | reader: interval, code, counts, ring
//!       | machine: mode, places and numbers, what has just been coded, diagonals
//!       | references: instruction set, RAM, global pointers, layouts
//!       | map: number of entries (4 bytes), entries
//!       | numbers | model: tables, then what no class changes | exceptions, trust
//! ```
//!
//! Each part is passed on by a method `pass_state` beside its fields. Numbers are little-endian, flags take a byte. What
//! lies in caches is not part of it, and of the tables only what the stream's class has.

use super::class::{Class, Shape};
use super::coder::BitReader;
use super::curves::Curve;
use super::decoder::{CompactDecoder, Stage};
use super::layout::Layout;
use super::map::PackedEntry;
use super::mixer::{Flag, Slot};
use super::model::{self, ByteWeights, FlagWeights};
use super::predict::{Exception, Trust};
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
    + size_of::<Trust>();

impl Shape {
    const fn state_bytes(self) -> usize {
        self.slots as usize * size_of::<Slot>()
            + self.map as usize * size_of::<PackedEntry>()
            + self.flags as usize * size_of::<Flag>()
            + self.flag_sets as usize * size_of::<FlagWeights>()
            + (self.family_sets as usize + self.path_sets as usize) * size_of::<ByteWeights>()
            + self.recent as usize
            + self.substitutions as usize * 3
            + self.exceptions as usize * size_of::<Exception>()
            + OTHER_BYTES
    }
}

impl Class {
    /// Most bytes of the state of a decoder ([`Resume`]), at a stream of this class.
    #[must_use]
    pub const fn state_bytes(self) -> u64 {
        (self.shape().state_bytes() + self.curves() * size_of::<Curve>()) as u64
    }
}

impl Resume for CompactDecoder<'_> {
    fn state_bytes(&self) -> u64 {
        match self.stage {
            Stage::Running(class) => class.state_bytes(),
            Stage::Waiting | Stage::Lost => 1,
        }
    }

    fn pass_state<S: StateBytes>(&mut self, state: &mut S) -> Result<(), StateError<S::Error>> {
        let outcome = state::pass(state, |state| self.pass_parts(state));
        if outcome.is_err() {
            // Half a state is none.
            self.stage = Stage::Lost;
        }
        outcome
    }
}

impl CompactDecoder<'_> {
    fn pass_parts(&mut self, state: &mut Passing<'_>) {
        let known = match self.stage {
            Stage::Running(class) => class.code(),
            Stage::Waiting | Stage::Lost => NOTHING_YET,
        };
        let mut code = known;
        state.small(&mut code, u8::MAX);
        if known == NOTHING_YET && code != NOTHING_YET {
            state.check(self.start::<()>(code).is_ok());
        } else {
            state.check(code == known);
        }
        if let Stage::Running(_) = self.stage {
            self.reader.pass_state(state);
            self.machine.pass_state(state);
        }
    }
}
