//! The head of a stream: whose code the images are, and where they lie.
//!
//! ```text
//! header  = instruction set (3 bits; if 0, nothing follows) | RAM | global pointers (RISC-V) | base | target
//! RAM     = 1 bit: as usual | or start and length in 4 KiB (20 bits each)
//! pointer = 1 bit: none | or that of the base (32 bits) and how far it has moved
//! image   = one or more of: piece | whether one follows (1 bit)
//! piece   = how much later it begins than expected (but for the first) | address | code (1 bit)
//! address = 1 bit: as expected | or number of zeros at its end (5 bits), what is in front of them
//! ```
//!
//! A piece of the target is expected where that of the base with the same number is. Where there is none, and in the base, a
//! piece is expected to begin where the one before does, and to have the address that follows from it.
//!
//! Each step makes few decisions, as [`super::stream`] demands.

use super::coder::BitCoder;
use super::isa::{InstructionSet, References};
use super::layout::{Piece, Ram};
use super::lines::Which;
use super::mixer::{Number, Slot, signed};

/// What of the header comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Set,
    GlobalPointers,
    Piece(Which),
    Done,
}

/// A header that is being coded.
pub(super) struct Header<'a> {
    pub(super) starts: &'a mut Number,
    pub(super) sign: &'a mut Slot,
    /// What is coded so far, and whether the set is known.
    pub(super) references: &'a mut References,
    pub(super) is_known: &'a mut bool,
}

impl Header<'_> {
    /// Codes one part, `known` on the encoder's side; returns the next one, or `None` if the stream is corrupt.
    pub(super) fn step(
        &mut self,
        coder: &mut impl BitCoder,
        known: Option<&References>,
        part: Part,
    ) -> Option<Part> {
        match part {
            Part::Set => self.set(coder, known),
            Part::GlobalPointers if cfg!(feature = "riscv") => self.global_pointers(coder, known),
            Part::Piece(of) => self.piece(coder, known, of),
            Part::GlobalPointers | Part::Done => Some(Part::Done),
        }
    }

    fn set(&mut self, coder: &mut impl BitCoder, known: Option<&References>) -> Option<Part> {
        let code = raw(coder, known.map_or(0, |known| known.set.code().into()), 3);
        if code == 0 {
            return Some(Part::Done);
        }
        *self.is_known = true;
        let references = &mut *self.references;
        references.set = InstructionSet::from_code(u8::try_from(code).ok()?)?;
        references.ram = ram(coder, known.map(|known| known.ram), references.set.usual_ram());
        let has_pointers = references.set.has_global_pointers();
        Some(if has_pointers { Part::GlobalPointers } else { Part::Piece(Which::Base) })
    }

    fn global_pointers(
        &mut self,
        coder: &mut impl BitCoder,
        known: Option<&References>,
    ) -> Option<Part> {
        let [old, new] = known.map_or([0; 2], |known| known.global_pointers);
        if flag(coder, old != 0) {
            let old = raw(coder, old, 32);
            let change = coder.told(|| new.wrapping_sub(old).cast_signed());
            let change = signed(self.starts, self.sign, coder, change);
            self.references.global_pointers = [old, old.wrapping_add_signed(change)];
        }
        Some(Part::Piece(Which::Base))
    }

    /// Codes the next piece of an image.
    fn piece(
        &mut self,
        coder: &mut impl BitCoder,
        known: Option<&References>,
        of: Which,
    ) -> Option<Part> {
        let references = &mut *self.references;
        let known = known.map_or(&[][..], |known| known.layout(of).pieces());
        let layout = references.layout(of);
        let number = layout.pieces().len();
        let piece = known.get(number).copied().unwrap_or_default();
        // None in the base, whose piece this is.
        let like = references.base.pieces().get(number);
        let mut start = 0;
        if let Some(last) = layout.pieces().last() {
            let expected = like.unwrap_or(last).start;
            let change = coder.told(|| piece.start.wrapping_sub(expected).cast_signed());
            start = expected.wrapping_add_signed(signed(self.starts, self.sign, coder, change));
        }
        let expected = like.map_or_else(|| layout.address(start), |like| like.address);
        let as_expected = coder.told(|| piece.address == expected);
        let as_expected = flag(coder, as_expected);
        let address = if as_expected { expected } else { address(coder, piece.address) };
        let piece = Piece { start, address, is_code: flag(coder, piece.is_code) };
        references.layout_mut(of).push(piece).then_some(())?;
        let has_more = flag(coder, known.len() > number + 1);
        Some(match of {
            _ if has_more => Part::Piece(of),
            Which::Base => Part::Piece(Which::Target),
            Which::Target => Part::Done,
        })
    }
}

fn flag(coder: &mut impl BitCoder, flag: bool) -> bool {
    let flag = coder.told(|| flag);
    coder.bit(flag, 1 << 15)
}

/// The lowest bits of a number, without a model.
fn raw(coder: &mut impl BitCoder, value: u32, bits: u32) -> u32 {
    let value = coder.told(|| value);
    (0..bits).rev().fold(0, |all, place| all << 1 | u32::from(flag(coder, value >> place & 1 == 1)))
}

fn address(coder: &mut impl BitCoder, value: u32) -> u32 {
    let zeros = coder.told(|| value.trailing_zeros().min(31));
    let zeros = raw(coder, zeros, 5);
    raw(coder, value >> zeros, 32 - zeros) << zeros
}

fn ram(coder: &mut impl BitCoder, known: Option<Ram>, usual: Ram) -> Ram {
    const PAGE: u32 = 12;
    let known = known.unwrap_or_default();
    let is_usual = coder.told(|| known == usual);
    if flag(coder, is_usual) {
        return usual;
    }
    let mut pages = |value: u32| raw(coder, value >> PAGE, 32 - PAGE) << PAGE;
    Ram { start: pages(known.start), len: pages(known.len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that says these bits and then zeros.
    struct Bits(u32);

    impl BitCoder for Bits {
        const IS_TOLD: bool = false;

        fn bit(&mut self, _: bool, _: u16) -> bool {
            let bit = self.0 >> 31 == 1;
            self.0 <<= 1;
            bit
        }
    }

    /// The sets whose streams the header lets pass.
    fn readable() -> Vec<u8> {
        let (mut starts, mut sign) = (Number::NEW, Slot::NEW);
        let mut is_readable = |code: u8| {
            let mut references = References::NEW;
            let mut header = Header {
                starts: &mut starts,
                sign: &mut sign,
                references: &mut references,
                is_known: &mut false,
            };
            let mut stream = Bits(u32::from(code) << 29);
            header.step(&mut stream, None, Part::Set).is_some()
        };
        (1..8).filter(|code| is_readable(*code)).collect()
    }

    #[test]
    fn streams_of_instruction_sets_that_are_left_out_are_refused() {
        let included = [
            (1, cfg!(feature = "thumb")),
            (2, cfg!(feature = "riscv")),
            (3, cfg!(feature = "riscv")),
            (4, cfg!(feature = "xtensa")),
            (5, cfg!(feature = "aarch64")),
            (6, cfg!(feature = "arm")),
        ];
        let included: Vec<u8> = included.iter().filter(|set| set.1).map(|set| set.0).collect();
        assert_eq!(readable(), included);
    }
}
