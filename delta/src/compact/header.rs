//! The head of a stream: whose code the images are, and where they lie.
//!
//! ```text
//! header  = instruction set (3 bits; if 0, nothing follows) | RAM | global pointers (RISC-V) | base | target
//! RAM     = 1 bit: as usual | or start and length in 4 KiB (20 bits each)
//! pointer = 1 bit: none | or that of the base (32 bits) and how far it has moved
//! image   = number of pieces | each: how much later it begins than expected (but for the first) | address | code (1 bit)
//! address = 1 bit: as expected | or number of zeros at its end (5 bits), what is in front of them
//! ```
//!
//! A piece of the base is expected to begin where the one before does, and to have the address that follows from it. A piece
//! of the target is expected to be as long as that of the base with the same number, and to have its address; pieces of the
//! base whose addresses go on are one there.
//!
//! Each step makes few decisions, as [`super::stream`] demands.

use super::coder::BitCoder;
use super::isa::{InstructionSet, References};
use super::layout::{Layout, Piece, Ram};
use super::lines::Which;
use super::mixer::{Number, Slot, signed};

/// What of the header comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Set,
    GlobalPointers,
    Count(Which),
    Piece(Which),
    Done,
}

/// A header that is being coded.
pub(super) struct Header<'a> {
    pub(super) counts: &'a mut Number,
    pub(super) starts: &'a mut Number,
    pub(super) sign: &'a mut Slot,
    /// What is coded so far.
    pub(super) references: &'a mut Option<References>,
    /// Pieces of the image that are to come.
    pub(super) left: &'a mut u32,
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
            return Some(Part::GlobalPointers);
        }
        let Self { counts, starts, sign, references, left } = self;
        let references = references.as_mut()?;
        let moved = |coder: &mut _, change| signed(starts, sign, coder, change);
        Some(match part {
            Part::GlobalPointers => {
                if references.set.has_global_pointers() {
                    let known = known.map_or([0; 2], |known| known.global_pointers);
                    references.global_pointers = global_pointers(coder, known, moved);
                }
                Part::Count(Which::Base)
            }
            Part::Count(of) => {
                let known = known.map_or(0, |known| known.layout(of).pieces().len());
                let less_one = u32::try_from(known).unwrap_or(0).wrapping_sub(1);
                **left = counts.code(coder, less_one) + 1;
                Part::Piece(of)
            }
            Part::Piece(Which::Base) if **left == 0 => Part::Count(Which::Target),
            Part::Piece(of) if **left > 0 => {
                let index = references.layout(of).pieces().len();
                let known = known.and_then(|known| known.layout(of).pieces().get(index).copied());
                let piece = piece(coder, known.unwrap_or_default(), references, of, moved);
                let layout = match of {
                    Which::Base => &mut references.base,
                    Which::Target => &mut references.target,
                };
                layout.push(piece).then_some(())?;
                **left -= 1;
                Part::Piece(of)
            }
            _ => Part::Done,
        })
    }
}

fn global_pointers<C: BitCoder>(
    coder: &mut C,
    [old, new]: [u32; 2],
    mut moved: impl FnMut(&mut C, i32) -> i32,
) -> [u32; 2] {
    if !flag(coder, old != 0) {
        return [0; 2];
    }
    let old = raw(coder, old, 32);
    let change = new.wrapping_sub(old).cast_signed();
    [old, old.wrapping_add_signed(moved(coder, change))]
}

/// The next piece of an image.
fn piece<C: BitCoder>(
    coder: &mut C,
    known: Piece,
    references: &References,
    of: Which,
    mut moved: impl FnMut(&mut C, i32) -> i32,
) -> Piece {
    let layout = references.layout(of);
    let number = layout.pieces().len();
    let like = references.base.stretch(number).filter(|_| of == Which::Target);
    let mut start = 0;
    if let Some(last) = layout.pieces().last() {
        let before = references.base.stretch(number - 1);
        let len = like.zip(before).map_or(0, |(like, before)| like.start - before.start);
        let expected = last.start.wrapping_add(len);
        let change = known.start.wrapping_sub(expected).cast_signed();
        start = expected.wrapping_add_signed(moved(coder, change));
    }
    let expected = like.map_or_else(|| layout.address(start), |like| like.address);
    let as_expected = flag(coder, known.address == expected);
    let address = if as_expected { expected } else { address(coder, known.address) };
    Piece { start, address, is_code: flag(coder, known.is_code) }
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
                left: &mut 0,
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
