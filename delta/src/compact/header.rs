//! The head of a stream: whose code the images are, and where they lie.
//!
//! ```text
//! header  = instruction set (3 bits; if 0, nothing follows) | RAM | global pointers (RISC-V) | base | target
//! RAM     = 1 bit: as usual | or start and length in 4 KiB (20 bits each)
//! pointer = 1 bit: none | or that of the base (32 bits) and how far it has moved
//! base    = number of pieces | each: length of the one before | continues (1 bit) or address | code (1 bit)
//! target  = as the base (1 bit) | or number of pieces | each: change of length | as in the base (1 bit) or address
//! address = number of zeros at its end (5 bits), what is in front of them
//! ```
//!
//! Each step makes few decisions, as [`super::stream`] demands.

use super::coder::BitCoder;
use super::isa::{InstructionSet, References};
use super::layout::{Layout, MAX_PIECES, Piece, Ram};
use super::mixer::{Number, Slot, signed};

/// What of the header comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Set,
    GlobalPointers,
    BaseCount,
    BasePiece { left: u32 },
    TargetCount,
    TargetPiece { left: u32 },
    Done,
}

/// A header that is being coded.
pub(super) struct Header<'a> {
    pub(super) counts: &'a mut Number,
    pub(super) starts: &'a mut Number,
    pub(super) sign: &'a mut Slot,
    /// What is coded so far.
    pub(super) references: &'a mut Option<References>,
}

impl Header<'_> {
    /// Codes one part, `known` on the encoder's side; returns the next one, or `None` if the stream is corrupt.
    pub(super) fn step(
        &mut self,
        coder: &mut impl BitCoder,
        known: Option<&References>,
        part: Part,
        [base_size, target_size]: [u32; 2],
    ) -> Option<Part> {
        if part == Part::Set {
            let code = raw(coder, known.map_or(0, |known| known.set.code().into()), 3);
            if code == 0 {
                return Some(Part::Done);
            }
            let set = InstructionSet::from_code(u8::try_from(code).ok()?)?;
            *self.references = Some(References {
                set,
                base: Layout::new(base_size),
                target: Layout::new(target_size),
                ram: ram(coder, known.map(|known| known.ram), set.usual_ram()),
                global_pointers: [0; 2],
            });
            let is_riscv = matches!(set, InstructionSet::Riscv32 | InstructionSet::Riscv64);
            return Some(if is_riscv { Part::GlobalPointers } else { Part::BaseCount });
        }
        let references = self.references.as_mut()?;
        match part {
            Part::GlobalPointers => {
                let [old, new] = known.map_or([0; 2], |known| known.global_pointers);
                if flag(coder, old != 0) {
                    let old = raw(coder, old, 32);
                    let change = i64::from(new.wrapping_sub(old).cast_signed());
                    let change = signed(self.starts, self.sign, coder, change);
                    let new = old.wrapping_add_signed(i32::try_from(change).ok()?);
                    references.global_pointers = [old, new];
                }
                Some(Part::BaseCount)
            }
            Part::BaseCount => {
                let count = known.map_or(0, |known| known.base.pieces().len());
                Some(Part::BasePiece { left: self.count(coder, count)? })
            }
            Part::TargetCount => {
                let model = references.base.merged();
                if flag(coder, known.is_some_and(|known| known.target.pieces() == model.pieces())) {
                    for piece in model.pieces() {
                        references.target.push(*piece).then_some(())?;
                    }
                    return Some(Part::Done);
                }
                let count = known.map_or(0, |known| known.target.pieces().len());
                Some(Part::TargetPiece { left: self.count(coder, count)? })
            }
            Part::BasePiece { left: 0 } => Some(Part::TargetCount),
            Part::BasePiece { left } => {
                let last = references.base.pieces().last().copied();
                let index = references.base.pieces().len();
                let known = known.and_then(|known| known.base.pieces().get(index)).copied();
                let known = known.unwrap_or_default();
                let (mut start, mut goes_on) = (0, None);
                if let Some(last) = last {
                    let gap = known.start.wrapping_sub(last.start);
                    let gap = self.starts.code(coder, gap);
                    start = last.start.checked_add(gap)?;
                    goes_on = Some(last.address.wrapping_add(gap));
                }
                let address = address_as(coder, known.address, goes_on);
                let piece = Piece { start, address, is_code: flag(coder, known.is_code) };
                references.base.push(piece).then_some(())?;
                Some(Part::BasePiece { left: left - 1 })
            }
            Part::TargetPiece { left: 0 } => Some(Part::Done),
            Part::TargetPiece { left } => {
                let index = references.target.pieces().len();
                let models = references.base.merged();
                let model = models.pieces().get(index).copied();
                let before = index.checked_sub(1).and_then(|before| models.pieces().get(before));
                let known = known.and_then(|known| known.target.pieces().get(index)).copied();
                let known = known.unwrap_or_default();
                let start = match references.target.pieces().last() {
                    None => 0,
                    Some(last) => {
                        let len =
                            model.zip(before).map_or(0, |(next, last)| next.start - last.start);
                        let expected = i64::from(last.start) + i64::from(len);
                        let change = i64::from(known.start) - expected;
                        let change = signed(self.starts, self.sign, coder, change);
                        u32::try_from(expected + change).ok()?
                    }
                };
                let model = model.unwrap_or_default();
                let address = address_as(coder, known.address, Some(model.address));
                let piece = Piece { start, address, is_code: false };
                references.target.push(piece).then_some(())?;
                Some(Part::TargetPiece { left: left - 1 })
            }
            Part::Set | Part::Done => None,
        }
    }

    fn count(&mut self, coder: &mut impl BitCoder, known: usize) -> Option<u32> {
        let less_one = u32::try_from(known).unwrap_or(0).wrapping_sub(1);
        let count = self.counts.code(coder, less_one) + 1;
        (count as usize <= MAX_PIECES).then_some(count)
    }
}

/// An address that is likely as expected.
fn address_as(coder: &mut impl BitCoder, value: u32, expected: Option<u32>) -> u32 {
    match expected {
        Some(expected) if flag(coder, value == expected) => expected,
        _ => address(coder, value),
    }
}

fn flag(coder: &mut impl BitCoder, flag: bool) -> bool {
    coder.bit(flag, 1 << 15)
}

/// The lowest bits of a number, without a model.
fn raw(coder: &mut impl BitCoder, value: u32, bits: u32) -> u32 {
    (0..bits).rev().fold(0, |all, place| all << 1 | u32::from(flag(coder, value >> place & 1 == 1)))
}

fn address(coder: &mut impl BitCoder, value: u32) -> u32 {
    let zeros = raw(coder, value.trailing_zeros().min(31), 5);
    raw(coder, value >> zeros, 32 - zeros) << zeros
}

fn ram(coder: &mut impl BitCoder, known: Option<Ram>, usual: Ram) -> Ram {
    const PAGE: u32 = 12;
    let known = known.unwrap_or_default();
    if flag(coder, known == usual) {
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
        fn bit(&mut self, _: bool, _: u16) -> bool {
            let bit = self.0 >> 31 == 1;
            self.0 <<= 1;
            bit
        }
    }

    /// The sets whose streams the header lets pass.
    fn readable() -> Vec<u8> {
        let [mut counts, mut starts] = [Number::NEW; 2];
        let mut sign = Slot::NEW;
        let mut is_readable = |code: u8| {
            let mut references = None;
            let mut header = Header {
                counts: &mut counts,
                starts: &mut starts,
                sign: &mut sign,
                references: &mut references,
            };
            let mut stream = Bits(u32::from(code) << 29);
            header.step(&mut stream, None, Part::Set, [100; 2]).is_some()
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
