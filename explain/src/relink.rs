//! Puts the functions of a target back into the order of its base, as a linker would have done.
//!
//! What lies in a section of code is cut at its functions. Those that the base has are sorted as they are there; what is new stays
//! behind what it was behind. Then every reference that the ELF file tells is made anew for where both of its ends have gone.
//!
//! Nobody runs the outcome: it is encoded, to be compared with the target as it is.

use std::ops::Range;

use crate::account::Account;
use crate::program::{Form, Program, Reference, Section};

/// The target with its functions in the order of the base; `None` if no ELF file tells all references, or something does not fit.
pub(crate) fn in_base_order(account: &Account<'_>) -> Option<Vec<u8>> {
    let (old, new) = (account.images.base_program?, account.images.target_program?);
    let mut places = vec![None; new.symbols.len()];
    for part in &account.parts {
        let place = part.counterpart.and_then(|number| old.symbols.get(number));
        if let Some(slot) = part.symbol.and_then(|number| places.get_mut(number)) {
            *slot = place.map(|symbol| symbol.range.start);
        }
    }
    rearranged(account.images.target, new, &|symbol| places.get(symbol).copied().flatten())
}

/// The image with the functions of each section sorted by the places that are given.
fn rearranged(
    image: &[u8],
    program: &Program,
    place: &dyn Fn(usize) -> Option<u32>,
) -> Option<Vec<u8>> {
    let references = program.references.as_ref()?;
    let mut plan = Plan::default();
    for (number, section) in program.sections.iter().enumerate() {
        plan.append(number, section, program, place)?;
    }
    // Behind the last section.
    let end = program.sections.last().map_or(0, |last| last.range.end);
    plan.append_rest(end, u32::try_from(image.len()).ok()?);
    let mut made = vec![0; plan.end as usize];
    for piece in &plan.pieces {
        let (from, to) = (piece.old.start as usize..piece.old.end as usize, piece.new as usize);
        made.get_mut(to..to + from.len())?.copy_from_slice(image.get(from)?);
    }
    plan.pieces.sort_by_key(|piece| piece.old.start);
    let relink = Relink { image, program, plan: &plan };
    for (number, reference) in references.iter().enumerate() {
        let upper = || relink.upper_half(references, number);
        relink.apply(&mut made, *reference, upper)?;
    }
    Some(made)
}

/// A stretch of the image, and where it goes.
#[derive(Clone, Debug)]
struct Piece {
    old: Range<u32>,
    new: u32,
}

/// Where everything goes.
#[derive(Default)]
struct Plan {
    pieces: Vec<Piece>,
    /// Where the next piece goes, and where what has been planned for ends in the image as it is.
    end: u32,
    old_end: u32,
}

/// Functions stay at their places modulo this many bytes: literals are loaded from words.
const ALIGNMENT: u32 = 4;

impl Plan {
    fn append(
        &mut self,
        number: usize,
        section: &Section,
        program: &Program,
        place: &dyn Fn(usize) -> Option<u32>,
    ) -> Option<()> {
        self.append_rest(section.range.start, section.range.start);
        let functions = program.symbols.iter().enumerate();
        let functions: Vec<(usize, u32)> = functions
            .filter(|(_, symbol)| symbol.section == number && symbol.is_code)
            .map(|(number, symbol)| (number, symbol.range.start))
            .collect();
        let first = functions.first().map_or(section.range.end, |(_, start)| *start);
        self.put(section.range.start..first);
        let ends = functions.iter().skip(1).map(|(_, start)| *start).chain([section.range.end]);
        // Functions that the base has, each with what is new behind it.
        let mut groups: Vec<(u32, Vec<Range<u32>>)> = vec![(0, Vec::new())];
        for ((symbol, start), end) in functions.iter().zip(ends) {
            let symbol_end = program.symbols.get(*symbol)?.range.end;
            // Up to the next function, but for the filler in front of that.
            let end = if end - symbol_end < ALIGNMENT { symbol_end } else { end };
            match (place(*symbol), groups.last_mut()) {
                (None, Some((_, group))) => group.push(*start..end),
                (place, _) => {
                    let group = Vec::from([Range { start: *start, end }]);
                    groups.push((place.map_or(0, |place| place + 1), group));
                }
            }
        }
        groups.sort_by_key(|(place, _)| *place);
        groups.into_iter().flat_map(|(_, group)| group).for_each(|function| self.put(function));
        self.old_end = section.range.end;
        Some(())
    }

    /// What lies between sections, and then the next section, stay where they are modulo their alignment.
    fn append_rest(&mut self, from: u32, to: u32) {
        let gap = self.old_end..from.max(self.old_end);
        self.put(gap);
        self.put(from..to);
        self.old_end = to.max(from);
    }

    /// Puts a stretch behind what is there.
    fn put(&mut self, old: Range<u32>) {
        if old.is_empty() {
            return;
        }
        let behind = old.start.wrapping_sub(self.end) % ALIGNMENT;
        let new = self.end + behind;
        self.end = new + (old.end - old.start);
        self.pieces.push(Piece { old, new });
    }

    /// Where an offset goes; the end of a piece that nothing follows goes with the piece.
    fn moved(&self, offset: u32) -> Option<u32> {
        let behind = self.pieces.partition_point(|piece| piece.old.start <= offset);
        let piece = self.pieces.get(behind.checked_sub(1)?)?;
        let inside = offset - piece.old.start;
        // What is between two pieces is filler; its end is that of the piece in front.
        Some(piece.new + inside.min(piece.old.end - piece.old.start))
    }
}

/// Makes references anew.
struct Relink<'a> {
    image: &'a [u8],
    program: &'a Program,
    plan: &'a Plan,
}

impl Relink<'_> {
    fn apply(
        &self,
        made: &mut [u8],
        reference: Reference,
        upper: impl FnOnce() -> Option<u32>,
    ) -> Option<()> {
        let Reference { offset, address, form } = reference;
        let new_offset = self.plan.moved(offset)?;
        let section = self.program.section_at(offset);
        let section = section.and_then(|number| self.program.sections.get(number))?;
        // What is copied to RAM is copied to where it was.
        let is_copied = section.address != section.load_address;
        let by = if is_copied { 0 } else { new_offset.wrapping_sub(offset) };
        let new_address = address.wrapping_add(by);
        match form {
            Form::Word => {
                let target = word(self.image, offset)?;
                put_word(made, new_offset, self.moved_address(target))
            }
            Form::Distance => {
                let target = address.wrapping_add(word(self.image, offset)?);
                put_word(made, new_offset, self.moved_address(target).wrapping_sub(new_address))
            }
            Form::ShortDistance => {
                let old = word(self.image, offset)?;
                let distance = (old << 1).cast_signed() >> 1;
                let target = address.wrapping_add_signed(distance);
                let distance = self.moved_address(target).wrapping_sub(new_address);
                put_word(made, new_offset, old & 1 << 31 | distance & !(1 << 31))
            }
            Form::Branch => {
                let old = thumb(self.image, offset)?;
                // A call of what is not there is no call: linkers put a `NOP` in its place.
                let Some(distance) = branch_distance(old) else { return Some(()) };
                let target = address.wrapping_add(4).wrapping_add_signed(distance);
                let distance = self.moved_address(target).wrapping_sub(new_address).wrapping_sub(4);
                put_thumb(made, new_offset, with_branch_distance(old, distance.cast_signed())?)
            }
            Form::Low => {
                let low = thumb(self.image, offset)?;
                let Some(upper) = upper() else {
                    // The whole of a small address.
                    let moved = self.moved_address(immediate(low));
                    let fits = moved <= 0xffff;
                    return fits
                        .then(|| put_thumb(made, new_offset, with_immediate(low, moved)))?;
                };
                let high = thumb(self.image, upper)?;
                let moved = self.moved_address(immediate(low) | immediate(high) << 16);
                put_thumb(made, new_offset, with_immediate(low, moved & 0xffff))?;
                put_thumb(made, self.plan.moved(upper)?, with_immediate(high, moved >> 16))
            }
            // Done with its other half.
            Form::High => Some(()),
        }
    }

    /// Where the `MOVT` stands that belongs to the `MOVW` with this number: the next one for the same register.
    fn upper_half(&self, references: &[Reference], number: usize) -> Option<u32> {
        const NEAR_BYTES: u32 = 256;
        let low = references.get(number)?;
        let register = |of: &Reference| thumb(self.image, of.offset).map(|code| code >> 8 & 0xf);
        let near = references.iter().skip(number + 1);
        let mut near = near.take_while(|next| next.offset - low.offset <= NEAR_BYTES);
        let next = near.find(|next| {
            matches!(next.form, Form::Low | Form::High) && register(next) == register(low)
        });
        next.filter(|next| next.form == Form::High).map(|next| next.offset)
    }

    /// Where an address goes: that of something in the image goes along, any other stays.
    fn moved_address(&self, address: u32) -> u32 {
        let place = self.program.sections.iter().find_map(|section| {
            let inside = address.wrapping_sub(section.load_address);
            let is_in = inside < section.range.end - section.range.start;
            is_in.then(|| section.range.start + inside)
        });
        let moved = place.and_then(|old| Some((old, self.plan.moved(old)?)));
        moved.map_or(address, |(old, new)| address.wrapping_add(new.wrapping_sub(old)))
    }
}

fn word(image: &[u8], offset: u32) -> Option<u32> {
    Some(u32::from_le_bytes(*image.get(offset as usize..)?.first_chunk()?))
}

fn put_word(image: &mut [u8], offset: u32, word: u32) -> Option<()> {
    *image.get_mut(offset as usize..)?.first_chunk_mut()? = word.to_le_bytes();
    Some(())
}

/// An instruction of two halfwords, the first one in the upper half.
fn thumb(image: &[u8], offset: u32) -> Option<u32> {
    word(image, offset).map(|word| word.rotate_left(16))
}

fn put_thumb(image: &mut [u8], offset: u32, code: u32) -> Option<()> {
    put_word(image, offset, code.rotate_left(16))
}

/// How far a `BL` or `B.W` leads.
fn branch_distance(code: u32) -> Option<i32> {
    if code & 0xf800_9000 != 0xf000_9000 {
        return None;
    }
    let bit = |place: u32| code >> place & 1;
    let sign = bit(26);
    let (i1, i2) = (1 ^ bit(13) ^ sign, 1 ^ bit(11) ^ sign);
    let bits = sign << 24 | i1 << 23 | i2 << 22 | (code >> 16 & 0x3ff) << 12 | (code & 0x7ff) << 1;
    Some((bits << 7).cast_signed() >> 7)
}

/// The same branch with another distance, if it reaches that far.
fn with_branch_distance(code: u32, distance: i32) -> Option<u32> {
    if distance & 1 != 0 || !(-(1 << 24)..1 << 24).contains(&distance) {
        return None;
    }
    let bits = distance.cast_unsigned();
    let sign = bits >> 24 & 1;
    let (j1, j2) = (1 ^ (bits >> 23 & 1) ^ sign, 1 ^ (bits >> 22 & 1) ^ sign);
    let fields = sign << 26 | (bits >> 12 & 0x3ff) << 16 | j1 << 13 | j2 << 11 | bits >> 1 & 0x7ff;
    Some(code & 0xf800_d000 | fields)
}

/// The immediate of a `MOVW` or `MOVT`.
fn immediate(code: u32) -> u32 {
    (code >> 16 & 0xf) << 12 | (code >> 26 & 1) << 11 | (code >> 12 & 7) << 8 | code & 0xff
}

fn with_immediate(code: u32, value: u32) -> u32 {
    let fields =
        (value >> 12 & 0xf) << 16 | (value >> 11 & 1) << 26 | (value >> 8 & 7) << 12 | value & 0xff;
    code & !(0xf << 16 | 1 << 26 | 7 << 12 | 0xff) | fields
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/explain/", $name))
        };
    }

    #[test]
    fn instructions_are_taken_apart_and_put_together() {
        // `bl . + 4`, `b.w . - 0x1000`.
        assert_eq!(branch_distance(0xf000_f800), Some(0));
        assert_eq!(branch_distance(0xf7fe_bffe), Some(-4100));
        assert_eq!(branch_distance(0xf3af_8000), None);
        for code in [0xf000_f800, 0xf7fe_bffe] {
            for distance in [0, 2, -2, 4094, -4096, 0x00ff_fffe, -0x0100_0000] {
                let moved = with_branch_distance(code, distance).expect("reaches");
                assert_eq!(branch_distance(moved), Some(distance));
                let back = branch_distance(code).and_then(|old| with_branch_distance(moved, old));
                assert_eq!(back, Some(code));
            }
            assert_eq!(with_branch_distance(code, 0x0100_0000), None);
        }
        // `movw r3, #0x1234`.
        assert_eq!(immediate(0xf241_2334), 0x1234);
        assert_eq!(immediate(with_immediate(0xf241_2334, 0xfedc)), 0xfedc);
        assert_eq!(with_immediate(with_immediate(0xf241_2334, 0), 0x1234), 0xf241_2334);
    }

    #[test]
    fn functions_in_their_own_order_make_the_same_image() {
        for (image, elf) in [
            (&fixture!("1.bin")[..], &fixture!("1.elf")[..]),
            (&fixture!("2.bin")[..], &fixture!("2.elf")[..]),
        ] {
            let program = Program::parse(elf, image).expect("describes the image");
            let in_order = |symbol| {
                program.symbols.get(symbol).map(|symbol: &crate::Symbol| symbol.range.start)
            };
            assert_eq!(rearranged(image, &program, &in_order).as_deref(), Some(image));
        }
    }

    #[test]
    fn functions_in_the_order_of_another_link_make_the_image_of_that_link() {
        let (image, elf) = (&fixture!("2.bin")[..], &fixture!("2.elf")[..]);
        let program = Program::parse(elf, image).expect("describes the image");
        let linked = &fixture!("2.in-order.bin")[..];
        let other =
            Program::parse(fixture!("2.in-order.elf"), linked).expect("describes the image");
        let place = |symbol: usize| {
            let key = &program.symbols.get(symbol)?.key;
            Some(other.symbols.iter().find(|other| other.key == *key)?.range.start)
        };
        let made = rearranged(image, &program, &place).expect("is made");
        let text = other.sections.iter().find(|section| section.name == ".text").expect("is there");
        let code = |image: &[u8], range: &Range<u32>| {
            image[range.start as usize..range.end as usize].to_vec()
        };
        // Data is as the linker puts it; only addresses of it may differ, in words and in halves of words.
        let (made, linked) = (code(&made, &text.range), code(linked, &text.range));
        let other = made.chunks(4).zip(linked.chunks(4)).filter(|(a, b)| a != b).count();
        assert!(other * 4 < made.len() / 10, "{other} of {} words", made.len() / 4);
    }
}
