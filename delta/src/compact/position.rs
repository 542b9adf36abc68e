//! Where in an instruction the next target byte stands, for sets whose first byte tells an instruction's length.

use super::isa::InstructionSet;
use crate::state::Passing;

/// Follows the target's instructions byte by byte; of other sets, and of data, it knows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    set: Option<InstructionSet>,
    /// How far behind the start of its instruction the next byte stands.
    index: u8,
    /// Length of the instruction at hand, once its first byte is known.
    len: u8,
    /// The first byte of the instruction at hand, and of the one before.
    heads: [u8; 2],
}

impl Position {
    /// At the start of an instruction, if the set's lengths are told by first bytes.
    pub(super) fn new(set: Option<InstructionSet>) -> Self {
        Self { set: set.filter(|set| set.instruction_len(0).is_some()), ..Self::default() }
    }

    pub(super) const STATE_BYTES: usize = 4;

    /// Passes on all but the set.
    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        const MAX_INDEX: u8 = 3;
        state.small(&mut self.index, MAX_INDEX);
        state.small(&mut self.len, u8::MAX);
        state.bytes(&mut self.heads);
    }

    /// The same place among the instructions of a set.
    pub(super) fn within(self, set: Option<InstructionSet>) -> Self {
        Self { set: Self::new(set).set, ..self }
    }

    /// Takes the word of a source that knows where its instructions begin.
    pub(super) fn correct(&mut self, index: u8) {
        self.index = index;
    }

    /// The set, if its instructions are followed: never in a build where no set's are.
    fn set(&self) -> Option<InstructionSet> {
        self.set.filter(|_| cfg!(any(feature = "riscv", feature = "xtensa")))
    }

    /// Notes the next byte.
    pub(super) fn note(&mut self, byte: u8) {
        let Some(set) = self.set() else { return };
        if self.index == 0 {
            let [head, _] = self.heads;
            self.heads = [byte, head];
            self.len = set.instruction_len(byte).unwrap_or(1);
        }
        self.index = if self.index + 1 < self.len { self.index + 1 } else { 0 };
    }

    /// Whether instructions are followed at all.
    pub(super) fn is_followed(&self) -> bool {
        self.set().is_some()
    }

    /// The index of the byte at target offset `n` in its instruction, or in its word where none are followed.
    pub(super) fn index(&self, n: u32) -> u32 {
        if self.is_followed() { self.index.into() } else { n & 3 }
    }

    /// The first byte of the instruction at hand; at its start, that of the one before.
    pub(super) fn head(&self) -> u8 {
        let [head, _] = self.heads;
        head
    }

    /// The first byte of the instruction before that.
    pub(super) fn head_before(&self) -> u8 {
        let [_, before] = self.heads;
        before
    }
}

#[cfg(all(test, feature = "riscv", feature = "xtensa"))]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_followed_where_their_first_byte_tells_their_length() {
        let indexes = |set, bytes: &[u8]| {
            let mut position = Position::new(Some(set));
            let mut index = |byte: &u8| {
                position.note(*byte);
                position.index(7)
            };
            bytes.iter().map(&mut index).collect::<Vec<_>>()
        };
        let riscv = InstructionSet::Riscv32;
        assert_eq!(indexes(riscv, &[0x13, 0, 0, 0, 0x01, 0]), [1, 2, 3, 0, 1, 0]);
        assert_eq!(indexes(InstructionSet::Xtensa, &[0x21, 0, 0, 0x0d, 0xf0]), [1, 2, 0, 1, 0]);
        assert_eq!(indexes(InstructionSet::Thumb, &[0x21, 0]), [3, 3]);
    }
}
