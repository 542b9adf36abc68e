//! Instruction sets: which bytes form a reference, what it refers to, and what it looks like from somewhere else.
//!
//! Each set in a module of its own answers three questions of its forms: what stands at a place (`step`), what it
//! refers to (`target`), and how the same instruction would refer to something else (`with_target`). Which of them are
//! compiled in is told by the features of the crate.

#![cfg_attr(
    not(all(
        feature = "aarch64",
        feature = "arm",
        feature = "riscv",
        feature = "thumb",
        feature = "xtensa"
    )),
    allow(dead_code, reason = "what only the sets that are left out use")
)]

mod absent;

#[cfg(feature = "aarch64")]
mod aarch64;
#[cfg(not(feature = "aarch64"))]
use absent as aarch64;

#[cfg(feature = "arm")]
mod arm;
#[cfg(not(feature = "arm"))]
use absent as arm;

#[cfg(any(feature = "aarch64", feature = "arm", feature = "riscv"))]
mod distances;
#[cfg(not(any(feature = "aarch64", feature = "arm", feature = "riscv")))]
use absent as distances;

#[cfg(feature = "riscv")]
mod riscv;
#[cfg(not(feature = "riscv"))]
use absent as riscv;

#[cfg(feature = "thumb")]
mod thumb;
#[cfg(not(feature = "thumb"))]
use absent as thumb;

#[cfg(feature = "xtensa")]
mod xtensa;
#[cfg(not(feature = "xtensa"))]
use absent as xtensa;

use super::layout::{Layout, Ram};
use super::lines::Which;
use crate::Sizes;
use crate::state::Passing;

/// Whose code an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// Thumb and Thumb-2: Armv6-M to Armv8-M, and Thumb code of Armv7-A.
    Thumb,
    /// RISC-V with 32-bit registers and compressed instructions.
    Riscv32,
    /// RISC-V with 64-bit registers and compressed instructions.
    Riscv64,
    /// Xtensa as in the ESP8266 and the ESP32.
    Xtensa,
    /// 64-bit Arm.
    Aarch64,
    /// Arm's instructions of four bytes, A32.
    Arm,
}

impl InstructionSet {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Thumb, Self::Riscv32, Self::Riscv64, Self::Xtensa, Self::Aarch64, Self::Arm];

    /// The number that stands in a stream; 0 is for none.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Thumb => 1,
            Self::Riscv32 => 2,
            Self::Riscv64 => 3,
            Self::Xtensa => 4,
            Self::Aarch64 => 5,
            Self::Arm => 6,
        }
    }

    /// The set of a stream, if this decoder can read its instructions.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        match Self::SOLE {
            Some(set) => (set.code() == code).then_some(set),
            None => Self::ALL.into_iter().find(|set| set.code() == code && set.is_included()),
        }
    }

    /// Whether this build reads its instructions.
    pub(super) fn is_included(self) -> bool {
        match self {
            Self::Thumb => cfg!(feature = "thumb"),
            Self::Riscv32 | Self::Riscv64 => cfg!(feature = "riscv"),
            Self::Xtensa => cfg!(feature = "xtensa"),
            Self::Aarch64 => cfg!(feature = "aarch64"),
            Self::Arm => cfg!(feature = "arm"),
        }
    }

    /// The set, where only one is included.
    const SOLE: Option<Self> = match (
        cfg!(feature = "aarch64"),
        cfg!(feature = "arm"),
        cfg!(feature = "riscv"),
        cfg!(feature = "thumb"),
        cfg!(feature = "xtensa"),
    ) {
        (true, false, false, false, false) => Some(Self::Aarch64),
        (false, true, false, false, false) => Some(Self::Arm),
        (false, false, false, true, false) => Some(Self::Thumb),
        (false, false, false, false, true) => Some(Self::Xtensa),
        _ => None,
    };

    /// Itself; where only one set is included, the compiler knows which.
    pub(super) fn known(self) -> Self {
        Self::SOLE.unwrap_or(self)
    }

    /// Its usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Thumb => "thumb",
            Self::Riscv32 => "riscv32",
            Self::Riscv64 => "riscv64",
            Self::Xtensa => "xtensa",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
        }
    }

    /// Where its RAM usually lies.
    pub(super) fn usual_ram(self) -> Ram {
        match self.known() {
            Self::Thumb => Ram { start: 0x2000_0000, len: 0x10_0000 },
            _ => Ram::default(),
        }
    }

    /// How many bytes ahead of a stretch a sweep begins, and how long a stretch is: both powers of two.
    ///
    /// Instructions of different lengths need a few of them to be told apart; pairs of instructions may lie far apart.
    pub(super) fn sweep_bytes(self) -> (u32, u32) {
        match self.known() {
            Self::Thumb => (32, 256),
            Self::Riscv32 | Self::Riscv64 | Self::Aarch64 => (256, 1024),
            // Every instruction takes four bytes, and none depends on what has been swept.
            Self::Arm => (0, 64),
            Self::Xtensa => (128, 512),
        }
    }

    /// Length of an instruction by its first byte; `None` where that does not tell.
    pub(super) fn instruction_len(self, first: u8) -> Option<u8> {
        match self.known() {
            Self::Riscv32 | Self::Riscv64 => Some(if first & 3 == 3 { 4 } else { 2 }),
            Self::Xtensa => Some(if first & 8 == 0 { 3 } else { 2 }),
            Self::Thumb | Self::Aarch64 | Self::Arm => None,
        }
    }

    /// Whether a register holds an address that others are told from.
    pub(super) fn has_global_pointers(self) -> bool {
        cfg!(feature = "riscv") && matches!(self.known(), Self::Riscv32 | Self::Riscv64)
    }

    /// Whether odd addresses name the function at the even address below.
    #[cfg(feature = "encode")]
    pub(super) fn has_odd_functions(self) -> bool {
        cfg!(feature = "thumb") && self.known() == Self::Thumb
    }

    /// How many bytes in front of an instruction, and behind it, may tell what it is; all but [`Self::has_far_distances`].
    #[cfg(feature = "encode")]
    pub(super) fn looks_at_bytes(self) -> (u32, u32) {
        const BEHIND: u32 = 512;
        let (ahead, stretch) = self.sweep_bytes();
        let before = if self == Self::Arm { arm::REACH } else { 0 };
        (ahead + stretch + before + 8, BEHIND)
    }

    /// Whether words of data may be distances to what lies anywhere.
    #[cfg(feature = "encode")]
    pub(super) fn has_far_distances(self) -> bool {
        matches!(self, Self::Riscv32 | Self::Riscv64 | Self::Aarch64)
    }

    /// Whether what looks like a reference is often none.
    pub(super) fn is_doubtful(self) -> bool {
        cfg!(feature = "xtensa") && self.known() == Self::Xtensa
    }
}

/// What the bytes of a unit are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing that can be predicted.
    #[default]
    Plain,
    /// A word that is an address in the image.
    Pointer,
    /// A word that is an address in RAM.
    RamPointer,
    Thumb(thumb::Form),
    Riscv(riscv::Form),
    Xtensa(xtensa::Form),
    Aarch64(aarch64::Form),
    Arm(arm::Form),
    Distance(distances::Form),
}

/// How a form is seen by the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Calls and far jumps; four bytes or three.
    Call,
    /// The part of a pair of instructions that holds the high bits, and what is alike.
    High,
    /// The part that holds the low bits.
    Low,
    /// Loads of literals.
    Literal,
    /// Short jumps.
    Jump,
    /// Short conditional jumps.
    Branch,
    /// Words that are addresses in the image.
    Pointer,
    /// Words that are addresses in RAM.
    RamPointer,
}

/// A reference: the instruction's bytes as a little-endian number, and those of the other half of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) own: u32,
    pub(super) other: u32,
    /// How far behind this one the other one lies, in bytes; 0 if there is none.
    pub(super) distance: i16,
}

impl Form {
    /// What the models take it for; `None` for plain bytes.
    pub(super) fn family(self) -> Option<Family> {
        match self {
            Self::Plain => None,
            Self::Pointer => Some(Family::Pointer),
            Self::RamPointer => Some(Family::RamPointer),
            Self::Thumb(form) => Some(form.family()),
            Self::Riscv(form) => Some(form.family()),
            Self::Xtensa(form) => Some(form.family()),
            Self::Aarch64(form) => Some(form.family()),
            Self::Arm(form) => Some(form.family()),
            Self::Distance(_) => Some(Family::High),
        }
    }

    /// Length in bytes; of a plain unit, that of a byte.
    pub(super) fn len(self) -> u8 {
        match self {
            Self::Plain => 1,
            Self::Pointer | Self::RamPointer => 4,
            Self::Aarch64(_) | Self::Arm(_) | Self::Distance(_) => 4,
            Self::Thumb(form) => form.len(),
            Self::Riscv(form) => form.len(),
            Self::Xtensa(_) => 3,
        }
    }

    /// One bit for each byte that depends on what is referred to.
    pub(super) fn moving(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Thumb(form) => form.moving(),
            Self::Arm(form) => form.moving(),
            _ => 0b1111 >> (4 - self.len()),
        }
    }

    /// The address that a reference at `at` refers to.
    pub(super) fn target(self, code: Code, at: u32) -> u32 {
        match self {
            Self::Thumb(form) => form.target(code, at),
            Self::Riscv(form) => form.target(code, at),
            Self::Xtensa(form) => form.target(code, at),
            Self::Aarch64(form) => form.target(code, at),
            Self::Arm(form) => form.target(code, at),
            Self::Distance(form) => form.target(code, at),
            Self::Plain | Self::Pointer | Self::RamPointer => code.own,
        }
    }

    /// The bytes of the same instruction at `at`, referring to `target`, if it reaches that far.
    pub(super) fn with_target(self, code: Code, at: u32, target: u32) -> Option<u32> {
        match self {
            Self::Thumb(form) => form.with_target(code, at, target),
            Self::Riscv(form) => form.with_target(code, at, target),
            Self::Xtensa(form) => form.with_target(code, at, target),
            Self::Aarch64(form) => form.with_target(code, at, target),
            Self::Arm(form) => form.with_target(code, at, target),
            Self::Distance(form) => form.with_target(code, at, target),
            Self::Plain | Self::Pointer | Self::RamPointer => Some(target),
        }
    }

    /// Whether these two are the same instruction but for what they refer to.
    pub(super) fn agree(self, old: Code, new: Code) -> bool {
        match self {
            Self::Thumb(form) => form.agree(old, new),
            Self::Riscv(form) => form.agree(old, new),
            Self::Xtensa(form) => form.agree(old, new),
            Self::Aarch64(form) => form.agree(old, new),
            Self::Arm(form) => form.agree(old, new),
            Self::Distance(_) => true,
            Self::Plain | Self::Pointer | Self::RamPointer => true,
        }
    }

    /// Whether what it refers to teaches something: of a pair, the half that comes last does.
    pub(super) fn teaches(self) -> bool {
        match self {
            Self::Thumb(form) => form.teaches(),
            Self::Riscv(form) => form.teaches(),
            Self::Aarch64(form) => form.teaches(),
            _ => true,
        }
    }

    /// Whether the global pointer stands in for the other half of its pair.
    pub(super) fn is_global(self) -> bool {
        matches!(self, Self::Riscv(form) if form.is_global())
    }

    /// The bytes with what moves blanked, so that what moved still matches; `None` where nothing is blanked.
    #[cfg(feature = "encode")]
    pub(super) fn blanked(self, own: u32) -> Option<u32> {
        match self {
            Self::Plain => None,
            Self::Pointer => Some(0x0200_0000),
            Self::RamPointer => Some(0x0300_0000),
            Self::Thumb(form) => form.blanked(own),
            Self::Riscv(form) => form.blanked(own),
            Self::Xtensa(form) => form.blanked(own),
            Self::Aarch64(form) => form.blanked(own),
            Self::Arm(form) => form.blanked(own),
            Self::Distance(_) => Some(0x0400_0000),
        }
    }

    /// The form of a call, if one stands here and nothing around it need be known.
    pub(super) fn of_call(set: InstructionSet, own: u32, offset: u32) -> Option<Self> {
        match set.known() {
            InstructionSet::Thumb => thumb::call(own).map(Self::Thumb),
            InstructionSet::Riscv32 | InstructionSet::Riscv64 => riscv::call(own).map(Self::Riscv),
            InstructionSet::Aarch64 if offset & 3 == 0 => aarch64::call(own).map(Self::Aarch64),
            InstructionSet::Arm if offset & 3 == 0 => arm::call(own).map(Self::Arm),
            _ => None,
        }
    }
}

/// What stands at a place, and how many bytes it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) form: Form,
    pub(super) len: u32,
    /// How far behind this one the other half of a pair lies.
    pub(super) distance: i16,
}

impl Step {
    fn plain(len: u32) -> Self {
        Self { form: Form::Plain, len, distance: 0 }
    }

    fn of(form: Form, len: u32) -> Self {
        Self { form, len, distance: 0 }
    }
}

/// Bytes of an image, by offset.
pub(super) trait Bytes {
    /// How many there are.
    fn len(&self) -> u32;

    /// The bytes from an offset on as a little-endian number; those that are not there are zero.
    ///
    /// The other half of a pair may be said to lie in front of the image, at an offset that has wrapped: nothing is there.
    /// Whoever cannot read answers anything, and sees to it that nothing more comes of it.
    fn up_to_four(&mut self, offset: u32) -> u32;

    /// The little-endian word at an offset, if all of it is there.
    fn word(&mut self, offset: u32) -> Option<u32> {
        let is_there = offset.saturating_add(4) <= self.len();
        if is_there { Some(self.up_to_four(offset)) } else { None }
    }
}

/// Where both images and their variables lie, and whose code they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct References {
    pub(super) set: InstructionSet,
    pub(super) base: Layout,
    pub(super) target: Layout,
    pub(super) ram: Ram,
    /// The global pointer of RISC-V in both images; 0 if there is none.
    pub(super) global_pointers: [u32; 2],
}

impl References {
    /// Before anything is known of the images, in zeros.
    pub(super) const NEW: Self = Self {
        set: InstructionSet::Thumb,
        base: Layout::new(0),
        target: Layout::new(0),
        ram: Ram { start: 0, len: 0 },
        global_pointers: [0; 2],
    };

    /// Is for images of these sizes.
    pub(super) fn begin(&mut self, sizes: Sizes) {
        self.base.begin(sizes.base);
        self.target.begin(sizes.target);
    }

    pub(super) fn layout(&self, of: Which) -> &Layout {
        match of {
            Which::Base => &self.base,
            Which::Target => &self.target,
        }
    }

    pub(super) fn layout_mut(&mut self, of: Which) -> &mut Layout {
        match of {
            Which::Base => &mut self.base,
            Which::Target => &mut self.target,
        }
    }

    pub(super) fn pass_state(&mut self, state: &mut Passing<'_>) {
        let mut code = self.set.code();
        state.small(&mut code, u8::MAX);
        match InstructionSet::from_code(code) {
            Some(set) => self.set = set,
            None => state.check(false),
        }
        let Self { ram: Ram { start, len }, global_pointers: [old, new], base, target, .. } = self;
        for number in [start, len, old, new] {
            state.u32(number);
        }
        base.pass_state(state);
        target.pass_state(state);
    }

    /// Where an address of the base stands among all those that may have moved: the image's by offset, then RAM's.
    pub(super) fn place_in_base(&self, address: u32) -> Option<u32> {
        if let Some(offset) = self.base.offset_or_end(address) {
            return Some(offset);
        }
        let in_ram = self.ram.holds(address).then(|| address.wrapping_sub(self.ram.start));
        // One for the end of the image.
        in_ram.and_then(|in_ram| self.base.len().checked_add(1)?.checked_add(in_ram))
    }

    /// Whether an address of the base is one that may have moved.
    pub(super) fn known_in_base(&self, address: u32) -> bool {
        self.ram.holds(address) || self.base.holds(address)
    }

    /// Whether an address of the target is one that may have moved.
    pub(super) fn known_in_target(&self, address: u32) -> bool {
        self.ram.holds(address) || self.target.holds(address)
    }

    /// The form of an aligned word: plain for what is no address.
    fn word_form(&self, word: u32) -> Form {
        if word >= 0x1000 && self.base.holds(word) {
            Form::Pointer
        } else if self.ram.holds(word) {
            Form::RamPointer
        } else {
            Form::Plain
        }
    }

    fn is_pointer(&self, word: u32) -> bool {
        self.word_form(word) != Form::Plain
    }
}

/// Where the last instruction that set the high bits of a register stands, by register.
pub(super) type LastHigh = [Option<core::num::NonZeroU32>; 32];

/// What stands at offset `at` of the base, which is code that ends at `end`.
pub(super) fn step_code(
    references: &References,
    bytes: &mut impl Bytes,
    at: u32,
    end: u32,
    last: &mut LastHigh,
) -> Step {
    match references.set.known() {
        InstructionSet::Thumb => thumb::step(references, bytes, at, end, last),
        InstructionSet::Riscv32 | InstructionSet::Riscv64 => {
            riscv::step(references, bytes, at, end, last)
        }
        InstructionSet::Xtensa => xtensa::step(references, bytes, at, end, last),
        InstructionSet::Aarch64 => aarch64::step(references, bytes, at, end, last),
        InstructionSet::Arm => arm::step(references, bytes, at, end, last),
    }
}

/// Whether a word that is no address may still be data: a small number, of either sign.
fn is_small(word: u32) -> bool {
    !(0x1_0000..0xffff_0000).contains(&word)
}

/// What stands at offset `at` of the base, which is data.
pub(super) fn step_data(references: &References, bytes: &mut impl Bytes, at: u32) -> Step {
    if at & 3 != 0 {
        return Step::plain(4 - (at & 3));
    }
    let Some(word) = bytes.word(at) else { return Step::plain(1) };
    let form = references.word_form(word);
    if form != Form::Plain {
        return Step::of(form, 4);
    }
    let distance = distances::distance_at(references, bytes, at, word);
    Step::of(distance.map_or(form, Form::Distance), 4)
}

/// How far behind `at` another place lies, in bytes, if it is near.
fn behind(at: u32, other: u32) -> Option<i16> {
    i16::try_from(other.wrapping_sub(at).cast_signed()).ok()
}

/// The low `bits` bits as a signed number.
fn sign_extend(value: u32, bits: u32) -> i32 {
    let unused = 32 - bits;
    (value << unused).cast_signed() >> unused
}

/// Bits that belong together: from a bit of the instruction, to a bit of the number, this many.
type Group = (u8, u8, u8);

/// Where an instruction holds a signed number.
struct Field {
    /// How long the number is; an unsigned one has a sign that no group holds.
    bits: u32,
    groups: &'static [Group],
}

impl Field {
    /// The number without its sign.
    fn raw(&self, own: u32) -> u32 {
        let bits = |all, (from, to, count): &Group| all | (own >> from & ((1 << count) - 1)) << to;
        self.groups.iter().fold(0, bits)
    }

    /// The bits that hold the number, set as it has them.
    fn scattered(&self, number: u32) -> u32 {
        let bits =
            |all, (from, to, count): &Group| all | (number >> to & ((1 << count) - 1)) << from;
        self.groups.iter().fold(0, bits)
    }

    /// The bits that hold the number.
    fn mask(&self) -> u32 {
        self.scattered(u32::MAX)
    }

    fn number(&self, own: u32) -> u32 {
        sign_extend(self.raw(own), self.bits).cast_unsigned()
    }

    /// The same instruction with as much of the number as it holds.
    fn with_raw(&self, own: u32, number: u32) -> u32 {
        own & !self.mask() | self.scattered(number)
    }

    /// The same instruction with another number, if it can hold that.
    fn with_number(&self, own: u32, number: u32) -> Option<u32> {
        let new = self.with_raw(own, number);
        (self.number(new) == number).then_some(new)
    }

    /// Whether two instructions differ in nothing but the number.
    fn agree(&self, old: u32, new: u32) -> bool {
        (old ^ new) & !self.mask() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Piece;
    use super::*;

    struct Slice<'a>(&'a [u8]);

    impl Bytes for Slice<'_> {
        fn len(&self) -> u32 {
            u32::try_from(self.0.len()).unwrap()
        }
        fn up_to_four(&mut self, offset: u32) -> u32 {
            let bytes = self.0.iter().skip(offset as usize).take(4).rev();
            bytes.fold(0, |word, byte| word << 8 | u32::from(*byte))
        }
    }

    /// Words that look like instructions more often than chance would have it.
    fn words(set: InstructionSet) -> Vec<u32> {
        let openings: &[u32] = match set {
            InstructionSet::Thumb => &[
                0xd000_f000,
                0x9000_f000,
                0x8000_f000,
                0x4800,
                0xa000,
                0xe000,
                0xd000,
                0xb100,
                0xf8df,
                0x0a00_ed9f,
                0xf240,
                0xf2c0,
            ],
            InstructionSet::Riscv32 | InstructionSet::Riscv64 => &[
                0x6f,
                0x63,
                0xa001,
                0xc001,
                0x537,
                0x517,
                0x0005_0513,
                0x0005_2503,
                0x00a5_2023,
                0x0001_8513,
            ],
            InstructionSet::Xtensa => &[5, 1, 0x21, 0x95],
            InstructionSet::Arm => &[0xeb00_0000, 0x0a00_0000, 0xe59f_0000, 0xe51f_1000],
            InstructionSet::Aarch64 => &[
                0x9400_0000,
                0x5400_0000,
                0x3400_0000,
                0x3600_0000,
                0x1000_0000,
                0x9000_0000,
                0x9100_0000,
                0xf940_0000,
                0x1800_0000,
            ],
        };
        let mut state = 0x2545_f491u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        let mut word = || {
            let opening = openings[next() as usize % openings.len()];
            if next() % 3 == 0 { opening } else { opening | next() & 0x1ff0_0180 & next() }
        };
        (0..6000).map(|_| word()).collect()
    }

    #[test]
    fn a_reference_to_what_it_refers_to_is_the_same_instruction() {
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_included()) {
            let image: Vec<u8> = words(set).into_iter().flat_map(u32::to_le_bytes).collect();
            let mut seen = Vec::new();
            // Where every word is an address, no word is an instruction of Thumb or Xtensa.
            for len in [0, 0x1_0000, u32::MAX] {
                let ram = Ram { start: 0, len };
                sweep(set, ram, &image, &mut seen);
            }
            let expected = match set {
                InstructionSet::Thumb => 10,
                InstructionSet::Riscv32 | InstructionSet::Riscv64 => 9,
                InstructionSet::Xtensa => 2,
                InstructionSet::Aarch64 => 6,
                InstructionSet::Arm => 3,
            };
            assert_eq!(seen.len(), expected, "{set:?} {seen:?}");
        }
    }

    fn sweep(set: InstructionSet, ram: Ram, image: &[u8], seen: &mut Vec<Form>) {
        let len = u32::try_from(image.len()).unwrap();
        let mut layout = Layout::new(len);
        layout.push(Piece { start: 0, address: 0x4020_0000, is_code: true });
        let global_pointers = [0x1000; 2];
        let references = References { set, base: layout, target: layout, ram, global_pointers };
        let (mut at, mut last) = (0, [None; 32]);
        while at < len {
            let mut bytes = Slice(image);
            let step = step_code(&references, &mut bytes, at, len, &mut last);
            let is_word = matches!(step.form, Form::Pointer | Form::RamPointer);
            if step.form.family().is_some() && !is_word {
                let own = bytes.up_to_four(at);
                let other = bytes.up_to_four(at.wrapping_add_signed(step.distance.into()));
                let other = if step.form.is_global() { 0x1000 } else { other };
                let code = Code { own, other, distance: step.distance };
                let address = layout.address(at);
                let target = step.form.target(code, address);
                let mask = u32::MAX >> (8 * (4 - u32::from(step.form.len())));
                let again = step.form.with_target(code, address, target).map(|new| new & mask);
                assert_eq!(again, Some(own & mask), "{:?} {own:08x} at {at:x}", step.form);
                assert!(step.form.agree(code, code), "{:?} {own:08x}", step.form);
                if !seen.contains(&step.form) {
                    seen.push(step.form);
                }
            }
            at += step.len;
        }
    }
}
