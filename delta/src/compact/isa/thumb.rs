//! Thumb code. Encodings: Arm v8-M Architecture Reference Manual, C2.4; Arm v7-A/R, A6 and A8.8.

use core::num::NonZeroU32;

use super::{Bytes, Code, Family, Field, Group, LastHigh, References, Step};

const FIRST: isize = 3;

/// Which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// BL and B (T4), four bytes. Its number follows those of the forms that hold none of Thumb, so that zeros are plain.
    Call = FIRST,
    /// B (T3), conditional, four bytes.
    FarBranch,
    /// B (T2), two bytes.
    Jump,
    /// B (T1), conditional, two bytes, of which the low one tells where.
    Branch,
    /// CBZ and CBNZ, two bytes, of which the low one tells where.
    CompareBranch,
    /// LDR (literal) and ADR (T1), two bytes, of which the low one tells where.
    Literal,
    /// LDR (literal) and its kin (T2), four bytes, of which the last two tell where.
    FarLiteral,
    /// VLDR of a literal, four bytes, of which the third tells where.
    FloatLiteral,
    /// MOVW of an address whose upper half a MOVT sets.
    MoveLow,
    /// MOVT of an address whose lower half a MOVW has set.
    MoveHigh,
}

/// What is told of an instruction by its form alone.
struct Row {
    family: Family,
    /// Length in bytes.
    len: u8,
    /// One bit for each byte that depends on what is referred to.
    moving: u8,
    field: Field,
}

const fn row(family: Family, len: u8, moving: u8, bits: u32, groups: &'static [Group]) -> Row {
    Row { family, len, moving, field: Field { bits, groups } }
}

/// The immediate of MOVW and MOVT: imm8, imm3, i and imm4.
const MOVE: &[Group] = &[(16, 0, 8), (28, 8, 3), (10, 11, 1), (0, 12, 4)];

/// By form, in their order. Of calls, two bits are inverted unless the distance is negative.
static ROWS: [Row; 10] = [
    row(
        Family::Call,
        4,
        0b1111,
        25,
        &[(16, 1, 11), (0, 12, 10), (27, 22, 1), (29, 23, 1), (10, 24, 1)],
    ),
    row(
        Family::Call,
        4,
        0b1111,
        21,
        &[(16, 1, 11), (0, 12, 6), (29, 18, 1), (27, 19, 1), (10, 20, 1)],
    ),
    row(Family::Jump, 2, 0b11, 12, &[(0, 1, 11)]),
    row(Family::Branch, 2, 0b01, 9, &[(0, 1, 8)]),
    row(Family::Branch, 2, 0b01, 8, &[(3, 1, 5), (9, 6, 1)]),
    row(Family::Literal, 2, 0b01, 11, &[(0, 2, 8)]),
    row(Family::Literal, 4, 0b1100, 13, &[(16, 0, 12)]),
    row(Family::Literal, 4, 0b0100, 11, &[(16, 2, 8)]),
    row(Family::Low, 4, 0b1111, 17, MOVE),
    row(Family::High, 4, 0b1111, 17, MOVE),
];

/// Instructions that follow a MOVW and are looked at for its MOVT.
const LOOK_AHEAD: u32 = 16;

/// Instructions of two bytes, and of four that are no calls: under this mask they are this. The first that fits counts.
static SHORT: [(u32, u32, Option<Form>); 6] = [
    (0xf800, 0x4800, Some(Form::Literal)),
    // Undefined, and SVC.
    (0xfe00, 0xde00, None),
    (0xf000, 0xd000, Some(Form::Branch)),
    (0xf500, 0xb100, Some(Form::CompareBranch)),
    (0xf800, 0xe000, Some(Form::Jump)),
    (0xf800, 0xa000, Some(Form::Literal)),
];
static LONG: [(u32, u32, Option<Form>); 4] = [
    (0xfe9f, 0xf89f, Some(Form::FarLiteral)),
    // Among them barriers and accesses to special registers.
    (0xd000_fb80, 0x8000_f380, None),
    (0xd000_f800, 0x8000_f000, Some(Form::FarBranch)),
    (0x0e00_ffbf, 0x0a00_ed9f, Some(Form::FloatLiteral)),
];

/// A call that stands in these four bytes.
pub(crate) fn call(own: u32) -> Option<Form> {
    (own & 0x9000_f800 == 0x9000_f000).then_some(Form::Call)
}

/// That of an instruction of two bytes.
fn short(own: u32) -> Option<Form> {
    first_fit(&SHORT, own)
}

/// That of an instruction of four bytes that is no call.
fn long(own: u32) -> Option<Form> {
    first_fit(&LONG, own)
}

fn first_fit(table: &[(u32, u32, Option<Form>)], own: u32) -> Option<Form> {
    let (.., form) = table.iter().find(|(mask, opcode, _)| own & mask == *opcode)?;
    *form
}

fn is_long(low: u32) -> bool {
    low & 0xffff >= 0xe800
}

fn is_movw(own: u32) -> bool {
    own & 0x8000_fbf0 == 0xf240
}

fn is_movt(own: u32) -> bool {
    own & 0x8000_fbf0 == 0xf2c0
}

fn register(own: u32) -> usize {
    (own >> 24 & 15) as usize
}

/// What stands at an even offset.
pub(super) fn step(
    references: &References,
    bytes: &mut impl Bytes,
    at: u32,
    end: u32,
    last: &mut LastHigh,
) -> Step {
    if at & 1 == 1 {
        return Step::plain(1);
    }
    let own = bytes.up_to_four(at);
    let is_long = is_long(own) && at + 4 <= end;
    if is_long && is_call(references, own, at) {
        return Step::of(super::Form::Thumb(Form::Call), 4);
    }
    if at & 3 == 0 && at + 4 <= end {
        let form = references.word_form(own);
        let may_be_data = form != super::Form::Plain || super::is_small(own) && !is_long;
        if may_be_data && is_data(references, bytes, at, own) {
            return Step::of(form, 4);
        }
    }
    if !is_long {
        let form = short(own).map_or(super::Form::Plain, super::Form::Thumb);
        return Step::of(form, 2);
    }
    if is_movw(own) {
        return step_movw(references, bytes, at, end, own, last);
    }
    if is_movt(own)
        && let Some(low) = last.get_mut(register(own)).and_then(Option::take)
        && let Some(back) = super::behind(at, low.get() - 1)
    {
        return Step { form: super::Form::Thumb(Form::MoveHigh), len: 4, distance: back };
    }
    Step::of(long(own).map_or(super::Form::Plain, super::Form::Thumb), 4)
}

/// Whether a call stands here: one that leads nowhere is something else.
fn is_call(references: &References, own: u32, at: u32) -> bool {
    let target =
        |form: Form| form.target(Code { own, ..Code::default() }, references.base.address(at));
    call(own).is_some_and(|form| references.known_in_base(target(form)))
}

/// The upper byte of MOVS to the first register, and of most addresses in RAM.
const MOVS_R0: u32 = 0x20;

/// Whether an aligned word that may be an address is one, rather than parts of two instructions.
///
/// What looks like a long instruction, or like MOVS, is code unless the flow of instructions ends in front of it, as it does
/// in front of literals, or words of data stand next to it.
fn is_data(references: &References, bytes: &mut impl Bytes, at: u32, word: u32) -> bool {
    if !is_long(word) && word >> 24 != MOVS_R0 {
        return true;
    }
    let Some(before) = at.checked_sub(4) else { return true };
    let before = bytes.up_to_four(before);
    let ends_flow = match before >> 16 {
        // Two kinds of NOP, BX, POP with the program counter, B.
        0xbf00 | 0x46c0 | 0x4700..=0x4780 | 0xbd00..=0xbdff | 0xe000..=0xe7ff => true,
        // The address of a peripheral.
        0x4000..=0x4007 | 0x5000 => true,
        // The longer POP and B.
        0x8000..=0xbfff => before & 0xffff == 0xe8bd || before & 0x9000_f800 == 0x9000_f000,
        _ => false,
    };
    if ends_flow || super::is_small(before) || references.is_pointer(before) {
        return true;
    }
    references.is_pointer(bytes.up_to_four(at + 4))
}

/// A MOVW counts if a MOVT of the same register follows soon and both give an address that may have moved.
fn step_movw(
    references: &References,
    bytes: &mut impl Bytes,
    at: u32,
    end: u32,
    own: u32,
    last: &mut LastHigh,
) -> Step {
    let mut next = at + 4;
    for _ in 0..LOOK_AHEAD {
        if next + 4 > end {
            break;
        }
        let other = bytes.up_to_four(next);
        if is_movt(other) && register(other) == register(own) {
            let field = &Form::MoveLow.row().field;
            let target = field.raw(own) | field.raw(other) << 16;
            if references.known_in_base(target)
                && let Some(distance) = super::behind(at, next)
                && let Some(room) = last.get_mut(register(own))
            {
                *room = NonZeroU32::new(at + 1);
                return Step { form: super::Form::Thumb(Form::MoveLow), len: 4, distance };
            }
            break;
        }
        next += if is_long(other) { 4 } else { 2 };
    }
    Step::plain(4)
}

impl Form {
    fn row(self) -> &'static Row {
        let index = (self as usize).wrapping_sub(FIRST as usize).min(ROWS.len() - 1);
        #[allow(clippy::indexing_slicing, reason = "in range by the line above")]
        &ROWS[index]
    }

    pub(super) fn family(self) -> Family {
        self.row().family
    }

    pub(super) fn len(self) -> u8 {
        self.row().len
    }

    pub(super) fn moving(self) -> u8 {
        self.row().moving
    }

    pub(super) fn teaches(self) -> bool {
        self != Self::MoveLow
    }

    /// What distances are counted from.
    fn from(self, at: u32) -> u32 {
        let from = at.wrapping_add(4);
        if self.family() == Family::Literal { from & !3 } else { from }
    }

    /// Where the half that a MOVW or MOVT sets begins in its address.
    fn half(self) -> Option<u32> {
        match self {
            Self::MoveLow => Some(0),
            Self::MoveHigh => Some(16),
            _ => None,
        }
    }

    /// A distance as the instruction holds it, and back.
    fn turned(self, distance: u32) -> u32 {
        let is_inverted = self == Self::Call && distance & 1 << 24 == 0;
        if is_inverted { distance ^ 0xc0_0000 } else { distance }
    }

    pub(super) fn target(self, code: Code, at: u32) -> u32 {
        let (field, Code { own, other, .. }) = (&self.row().field, code);
        match self.half() {
            Some(half) => field.raw(own) << half | field.raw(other) << (16 - half),
            None => self.from(at).wrapping_add(self.turned(field.number(own))),
        }
    }

    pub(super) fn with_target(self, code: Code, at: u32, target: u32) -> Option<u32> {
        let (field, own) = (&self.row().field, code.own);
        match self.half() {
            Some(half) => Some(field.with_raw(own, target >> half)),
            None => field.with_number(own, self.turned(target.wrapping_sub(self.from(at)))),
        }
    }

    pub(super) fn agree(self, old: Code, new: Code) -> bool {
        let Row { len, field, .. } = self.row();
        let instruction = if *len == 4 { u32::MAX } else { 0xffff };
        let differing = old.own ^ new.own | old.other ^ new.other;
        differing & instruction & !field.mask() == 0
    }

    #[cfg(feature = "encode")]
    pub(super) fn blanked(self, own: u32) -> Option<u32> {
        match self {
            Self::Call => Some(0xf000 | own & 0xd000_0000),
            Self::MoveLow | Self::MoveHigh => Some(own & !self.row().field.mask()),
            _ => None,
        }
    }
}
