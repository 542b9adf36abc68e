//! Firmware that nobody wrote: Thumb code with calls, literals and a vector table, in releases that differ as releases do.
//!
//! It is linked as a linker does it: what is inserted moves everything behind it, and with it every call and pointer that leads there.

use crate::draws::{Draws, Purpose};

/// Releases of the firmware, the oldest first; each is the one before, changed.
const HISTORY: [(&str, Change); 6] = [
    ("1.9.0", Change { rewritten: 0, edited: 0, added: 0 }),
    ("2.1.0", Change { rewritten: 40, edited: 30, added: 20 }),
    ("2.2.0", Change { rewritten: 4, edited: 12, added: 6 }),
    ("2.3.0", Change { rewritten: 1, edited: 6, added: 1 }),
    ("2.4.0", Change { rewritten: 4, edited: 10, added: 5 }),
    ("2.4.1", Change { rewritten: 0, edited: 2, added: 0 }),
];

const FUNCTIONS: usize = 120;
const VECTORS: usize = 48;
const STACK_TOP: u32 = 0x2000_4000;
const RAM: u32 = 0x2000_0000;

/// How many functions a release changes, and how.
struct Change {
    rewritten: usize,
    edited: usize,
    added: usize,
}

/// The image of a release; the last one's for a version that there is not.
pub(crate) fn image(seed: u64, version: &str) -> Vec<u8> {
    let mut source = Source::default();
    for (number, (name, change)) in (0..).zip(HISTORY) {
        let mut draws = Draws::of(seed, Purpose::Firmware, number, 0);
        if number == 0 {
            source.functions = (0..FUNCTIONS).map(|_| Function::draw(&mut draws)).collect();
        }
        source.change(&change, &mut draws);
        source.version = name;
        if name == version {
            break;
        }
    }
    source.link()
}

#[derive(Default)]
struct Source {
    functions: Vec<Function>,
    /// Order in which they are linked, by their number.
    order: Vec<usize>,
    version: &'static str,
}

struct Function(Vec<Op>);

/// An instruction, or a pair of them.
#[derive(Clone, Copy)]
enum Op {
    Plain(u16),
    /// A call; which function counts from the first one, around.
    Call(usize),
    /// Loads a register with the address of a variable.
    Variable {
        register: u16,
        offset: u32,
    },
    /// Loads a register with the address of a function.
    Pointer {
        register: u16,
        function: usize,
    },
}

impl Source {
    fn change(&mut self, change: &Change, draws: &mut Draws) {
        while self.order.len() < self.functions.len() {
            self.order.push(self.order.len());
        }
        for _ in 0..change.rewritten {
            let at = self.any(draws);
            self.functions[at] = Function::draw(draws);
        }
        for _ in 0..change.edited {
            let at = self.any(draws);
            self.functions[at].edit(draws);
        }
        for _ in 0..change.added {
            let at = self.any(draws);
            self.order.insert(at, self.functions.len());
            self.functions.push(Function::draw(draws));
        }
    }

    fn any(&self, draws: &mut Draws) -> usize {
        draws.place(self.functions.len())
    }

    fn link(&self) -> Vec<u8> {
        let mut addresses = vec![0; self.functions.len()];
        let mut next = VECTORS * 4;
        for number in &self.order {
            addresses[*number] = crate::number(next);
            next += self.functions[*number].len();
        }
        // Among those of the first release, so that what a call leads to stays the same.
        let address = |number: usize| addresses[number % FUNCTIONS];
        let mut image = STACK_TOP.to_le_bytes().to_vec();
        for vector in 1..VECTORS {
            image.extend((address(vector * 3) | 1).to_le_bytes());
        }
        for number in &self.order {
            self.functions[*number].emit(&address, &mut image);
        }
        image.extend(format!("thermostat {}\0", self.version).as_bytes());
        image.resize(image.len().next_multiple_of(4), 0);
        image
    }
}

impl Function {
    fn draw(draws: &mut Draws) -> Self {
        let len = 24 + draws.below(80);
        Self((0..len).map(|_| Op::draw(draws)).collect())
    }

    /// Some instructions go, and others come.
    fn edit(&mut self, draws: &mut Draws) {
        let at = draws.place(self.0.len());
        let end = self.0.len().min(at + draws.place(4));
        let new: Vec<_> = (0..1 + draws.below(5)).map(|_| Op::draw(draws)).collect();
        self.0.splice(at..end, new);
    }

    /// Length of the code between prologue and pool, in bytes.
    fn code_len(&self) -> usize {
        let len = self.0.iter().map(|op| if matches!(op, Op::Call(_)) { 4 } else { 2 });
        (4 + len.sum::<usize>()).next_multiple_of(4)
    }

    fn len(&self) -> usize {
        let literals = self.0.iter().filter(|op| op.is_literal()).count();
        self.code_len() + 4 * literals
    }

    fn emit(&self, address: &dyn Fn(usize) -> u32, image: &mut Vec<u8>) {
        const PUSH: u16 = 0xb5f0;
        const POP: u16 = 0xbdf0;
        const NOP: u16 = 0xbf00;
        let start = image.len();
        let (mut code, mut pool) = (vec![PUSH], Vec::new());
        for op in &self.0 {
            let here = start + 2 * code.len();
            // A literal is loaded from a word behind the code, counted from the word behind the next instruction.
            let load = |register: u16, literals: usize| {
                let from = (here + 4) & !3;
                let words = (start + self.code_len() + 4 * literals - from) / 4;
                0x4800 | register << 8 | u16::try_from(words).unwrap_or_default() & 0xff
            };
            match *op {
                Op::Plain(half) => code.push(half),
                Op::Call(function) => code.extend(call(crate::number(here), address(function))),
                Op::Variable { register, offset } => {
                    code.push(load(register, pool.len()));
                    pool.push(RAM + offset);
                }
                Op::Pointer { register, function } => {
                    code.push(load(register, pool.len()));
                    pool.push(address(function) | 1);
                }
            }
        }
        code.push(POP);
        if code.len() % 2 == 1 {
            code.push(NOP);
        }
        image.extend(code.into_iter().flat_map(u16::to_le_bytes));
        image.extend(pool.into_iter().flat_map(u32::to_le_bytes));
    }
}

impl Op {
    fn draw(draws: &mut Draws) -> Self {
        let register = draws.half(8);
        match draws.below(100) {
            0..9 => Self::Call(draws.place(1 << 16)),
            9..14 => Self::Variable { register, offset: 4 * draws.below(512) },
            14..16 => Self::Pointer { register, function: draws.place(1 << 16) },
            _ => Self::Plain(plain(draws)),
        }
    }

    fn is_literal(&self) -> bool {
        matches!(self, Self::Variable { .. } | Self::Pointer { .. })
    }
}

/// One of the instructions that compilers emit most, mostly with small numbers and low registers.
fn plain(draws: &mut Draws) -> u16 {
    let few = |draws: &mut Draws, limit: u16| draws.half(limit) * draws.half(limit) / limit;
    let (low, other) = (few(draws, 8), few(draws, 8));
    let small = few(draws, 32);
    match draws.below(11) {
        0 => 0x2000 | low << 8 | small,
        1 | 2 => 0x6800 | small << 6 & 0x07c0 | other << 3 | low,
        3 => 0x6000 | small << 6 & 0x07c0 | other << 3 | low,
        4 => 0x1800 | low << 6 | other << 3 | low,
        5 => 0x2800 | low << 8 | small,
        6 => 0xd000 | draws.half(2) << 8 | small,
        7 => 0x4600 | other << 3 | low,
        8 => 0x3000 | low << 8 | small,
        9 => 0x7800 | small << 6 & 0x07c0 | other << 3 | low,
        _ => 0x0080 | other << 3 | low,
    }
}

/// BL, encoding T1 of the Armv7-M reference manual.
fn call(from: u32, to: u32) -> [u16; 2] {
    let distance = to.wrapping_sub(from.wrapping_add(4));
    let bit = |place: u32| (distance >> place & 1) as u16;
    let (sign, j1, j2) = (bit(24), bit(23) ^ bit(24) ^ 1, bit(22) ^ bit(24) ^ 1);
    let high = (distance >> 12 & 0x3ff) as u16;
    let low = (distance >> 1 & 0x7ff) as u16;
    [0xf000 | sign << 10 | high, 0xd000 | j1 << 13 | j2 << 11 | low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_encoded_as_the_manual_says() {
        // `bl .` and a call forwards over 0x1000 bytes, by GNU as.
        assert_eq!(call(0, 0), [0xf7ff, 0xfffe]);
        assert_eq!(call(0, 0x1004), [0xf001, 0xf800]);
    }

    #[test]
    fn an_image_follows_from_seed_and_version() {
        let images = HISTORY.map(|(version, _)| image(1, version));
        assert_eq!(images, HISTORY.map(|(version, _)| image(1, version)));
        for pair in images.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        assert_ne!(images[0], image(2, "1.9.0"));
        // A slot of 32 KiB holds each, with its trailer.
        assert!(images.iter().all(|image| (16_000..32_000).contains(&image.len())));
    }
}
