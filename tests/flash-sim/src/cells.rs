//! The physics of one region: cells that can only be cleared one by one and set by the sector.

use crate::supply::{Outcome, Random};

/// Cells of a region; erased bits are ones here, whatever the chip calls them.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    bits: Vec<u8>,
    /// Bits that read differently each time.
    unstable: Vec<u8>,
    words: Vec<Word>,
    word_len: usize,
}

/// What a chip with error correction knows of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Erased,
    Written,
    /// Its check bits do not fit its bits.
    Torn,
    /// They fit now and then.
    Wavering,
}

impl Cells {
    pub(crate) fn new(bits: Vec<u8>, word_len: usize) -> Self {
        let word = |bytes: &[u8]| {
            if bytes.iter().all(|byte| *byte == 0xff) { Word::Erased } else { Word::Written }
        };
        let words = bits.chunks(word_len).map(word).collect();
        Self { unstable: vec![0; bits.len()], bits, words, word_len }
    }

    /// The settled bits; an unstable one shows as erased.
    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Reads into `to`; false if error correction gives up on a word.
    pub(crate) fn read(
        &self,
        from: usize,
        to: &mut [u8],
        corrects: bool,
        random: &mut Random,
    ) -> bool {
        let span = from..from + to.len();
        to.copy_from_slice(&self.bits[span.clone()]);
        for (byte, unstable) in to.iter_mut().zip(&self.unstable[span.clone()]) {
            if *unstable != 0 {
                *byte ^= unstable & random.byte();
            }
        }
        let words = span.start / self.word_len..span.end.div_ceil(self.word_len);
        !corrects
            || self.words[words].iter().all(|word| match word {
                Word::Erased | Word::Written => true,
                Word::Torn => false,
                Word::Wavering => random.byte() < 128,
            })
    }

    /// The first byte of the word in which a one would have to become one again, or any byte was written before.
    pub(crate) fn conflict(&self, from: usize, word: &[u8], write_once: bool) -> Option<usize> {
        if write_once && self.words[from / self.word_len] == Word::Written {
            return Some(from);
        }
        let cells = &self.bits[from..from + word.len()];
        word.iter().zip(cells).position(|(new, old)| new & !old != 0).map(|at| from + at)
    }

    pub(crate) fn write_word(&mut self, from: usize, word: &[u8]) {
        for (at, byte) in (from..).zip(word) {
            self.bits[at] &= byte;
            // Programming pulls a wavering cell down; one that shall stay erased goes on wavering.
            self.unstable[at] &= byte;
        }
        self.words[from / self.word_len] = Word::Written;
    }

    pub(crate) fn tear_word(
        &mut self,
        from: usize,
        word: &[u8],
        outcome: Outcome,
        random: &mut Random,
    ) {
        let len = word.len();
        let done = match outcome {
            Outcome::Nothing => return,
            Outcome::Done => return self.write_word(from, word),
            Outcome::Weak => {
                let changing = self.bits[from..from + len].to_vec();
                self.write_word(from, word);
                let changed = changing.iter().zip(word).map(|(old, new)| old & !new);
                return self.weaken(from, &changed.collect::<Vec<_>>(), random);
            }
            Outcome::Prefix => len / 2,
            Outcome::AllButLast => len - 1,
            Outcome::RandomBits | Outcome::Unstable => 0,
        };
        for (at, byte) in word.iter().enumerate() {
            let wanted = self.bits[from + at] & !byte;
            let changed = match outcome {
                Outcome::RandomBits | Outcome::Unstable => wanted & random.byte(),
                _ if at < done => wanted,
                _ => 0,
            };
            self.bits[from + at] &= !changed;
            if outcome == Outcome::Unstable {
                self.unstable[from + at] |= wanted & !changed;
            }
        }
        if done > 0 || matches!(outcome, Outcome::RandomBits | Outcome::Unstable) {
            self.words[from / self.word_len] = torn(outcome);
        }
    }

    /// Makes one of the bits unstable that have changed from an offset on.
    fn weaken(&mut self, from: usize, changed: &[u8], random: &mut Random) {
        let bits = changed.iter().enumerate().flat_map(|(at, byte)| {
            (0..8).map(move |bit| (at, 1u8 << bit)).filter(move |(_, bit)| byte & bit != 0)
        });
        let bits: Vec<_> = bits.collect();
        let draw = usize::from(u16::from_be_bytes([random.byte(), random.byte()]));
        if let Some((at, bit)) = draw.checked_rem(bits.len()).map(|at| bits[at]) {
            self.waver(from + at, bit);
        }
    }

    /// Lets these bits of a byte read differently each time.
    pub(crate) fn waver(&mut self, at: usize, bits: u8) {
        self.unstable[at] |= bits;
        self.words[at / self.word_len] = Word::Wavering;
    }

    pub(crate) fn erase(&mut self, from: usize, len: usize) {
        self.bits[from..from + len].fill(0xff);
        self.unstable[from..from + len].fill(0);
        self.words[from / self.word_len..(from + len) / self.word_len].fill(Word::Erased);
    }

    pub(crate) fn tear_erase(
        &mut self,
        from: usize,
        len: usize,
        outcome: Outcome,
        random: &mut Random,
    ) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Done => self.erase(from, len),
            Outcome::Weak => {
                let changed: Vec<_> = self.bits[from..from + len].iter().map(|old| !old).collect();
                self.erase(from, len);
                self.weaken(from, &changed, random);
            }
            Outcome::Prefix => self.erase(from, len / 2 / self.word_len * self.word_len),
            Outcome::AllButLast => self.erase(from, len - self.word_len),
            Outcome::RandomBits | Outcome::Unstable => {
                for at in from..from + len {
                    let wanted = !self.bits[at];
                    let changed = wanted & random.byte();
                    self.bits[at] |= changed;
                    if outcome == Outcome::Unstable {
                        self.unstable[at] |= wanted & !changed;
                    }
                }
                let words = from / self.word_len..(from + len) / self.word_len;
                for word in self.words[words].iter_mut().filter(|word| **word != Word::Erased) {
                    *word = torn(outcome);
                }
            }
        }
    }
}

fn torn(outcome: Outcome) -> Word {
    if outcome == Outcome::Unstable { Word::Wavering } else { Word::Torn }
}
