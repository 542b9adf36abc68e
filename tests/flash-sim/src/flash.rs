//! A flash region on a supply.

use std::ops::Range;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

use crate::cells::Cells;
use crate::supply::{Step, Supply};

/// What the simulator refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimError {
    /// Out of bounds or not aligned.
    Geometry(NorFlashErrorKind),
    /// A write would have had to set a bit, or, on a chip that writes words once, came upon a written word.
    NotErased {
        /// Offset of the first such byte.
        offset: u32,
    },
    /// Error correction gave up on a word.
    Uncorrectable,
    /// The power is gone.
    NoPower,
    /// The armed fault struck.
    Fault,
}

impl NorFlashError for SimError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Geometry(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// One access that changed the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A sector was erased.
    Erase {
        /// Its offset.
        offset: u32,
    },
    /// Bytes were written.
    Write {
        /// Where.
        offset: u32,
        /// How many.
        len: usize,
    },
}

/// What kind of flash a region is, besides its geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chip {
    /// What an erased byte reads as: `0xff` or `0x00`.
    pub erased: u8,
    /// Whether a word can be written only once between erases, as where it carries check bits.
    pub write_once: bool,
    /// Whether reads of torn words fail.
    pub corrects_errors: bool,
}

impl Chip {
    /// Plain NOR flash.
    pub const PLAIN: Self = Self { erased: 0xff, write_once: false, corrects_errors: false };
    /// Flash with error correction, as in many newer microcontrollers.
    pub const CORRECTING: Self = Self { erased: 0xff, write_once: true, corrects_errors: true };
    /// Flash that erases to zeros.
    pub const INVERTED: Self = Self { erased: 0x00, ..Self::PLAIN };
}

/// A flash region with write units of `WRITE` and sectors of `ERASE` bytes; it reads in units of `READ`.
#[derive(Clone, Debug)]
pub struct SimFlash<const READ: usize, const WRITE: usize, const ERASE: usize> {
    name: &'static str,
    chip: Chip,
    cells: Cells,
    supply: Supply,
    log: Vec<Access>,
    /// Bytes at these offsets read back with these bits flipped.
    stuck_bits: Vec<(u32, u8)>,
    accesses_until_fault: Option<usize>,
    reads: usize,
    refused_reads: Range<usize>,
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> SimFlash<READ, WRITE, ERASE> {
    /// A region of whole sectors that holds at least `len` bytes, full of an old image's remains.
    #[must_use]
    pub fn used(len: usize) -> Self {
        Self::of(vec![0x5a; len.next_multiple_of(ERASE)])
    }

    /// An erased region of whole sectors that holds at least `len` bytes.
    #[must_use]
    pub fn erased(len: usize) -> Self {
        Self::of(vec![0xff; len.next_multiple_of(ERASE)])
    }

    /// A region that holds this image, padded with erased bytes.
    #[must_use]
    pub fn holding(image: &[u8]) -> Self {
        let mut bytes = vec![0xff; image.len().next_multiple_of(ERASE)];
        bytes[..image.len()].copy_from_slice(image);
        Self::of(bytes)
    }

    fn of(bytes: Vec<u8>) -> Self {
        Self {
            name: "flash",
            chip: Chip::PLAIN,
            cells: Cells::new(bytes, WRITE),
            supply: Supply::new(),
            log: Vec::new(),
            stuck_bits: Vec::new(),
            accesses_until_fault: None,
            reads: 0,
            refused_reads: 0..0,
        }
    }

    /// The same region under a name, which the story tells.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The same region on another supply.
    #[must_use]
    pub fn on(self, supply: &Supply) -> Self {
        Self { supply: supply.clone(), ..self }
    }

    /// The same bytes on another kind of chip.
    #[must_use]
    pub fn with(self, chip: Chip) -> Self {
        let bytes = self.bytes().iter().map(|byte| byte ^ !chip.erased).collect();
        Self { chip, cells: Cells::new(bytes, WRITE), ..self }
    }

    /// Breaks one cell more: from now on, bit `bit` of the byte at `offset` reads back flipped.
    pub fn break_cell(&mut self, offset: u32, bit: u8) {
        self.stuck_bits.push((offset, bit));
    }

    /// Weakens one cell: until it is erased, bit `bit` of the byte at `offset` reads differently each time.
    pub fn weaken_cell(&mut self, offset: u32, bit: u8) {
        self.cells.waver(offset as usize, 1 << bit);
    }

    /// Makes the access after the next `accesses` writes and erases fail.
    pub fn fail_after(&mut self, accesses: usize) {
        self.accesses_until_fault = Some(accesses);
    }

    /// Makes reads fail: those with these numbers, counted from 0 at this call.
    pub fn refuse_reads(&mut self, numbers: Range<usize>) {
        (self.reads, self.refused_reads) = (0, numbers);
    }

    /// How many reads there were since the region was made or [`Self::refuse_reads`] was called.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.reads
    }

    /// What was written and erased, in order.
    #[must_use]
    pub fn log(&self) -> &[Access] {
        &self.log
    }

    /// Forgets what was written and erased.
    pub fn clear_log(&mut self) {
        self.log.clear();
    }

    /// The bytes as they stand; unstable bits show as erased.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.cells.bits().iter().map(|byte| byte ^ !self.chip.erased).collect()
    }

    /// How often each sector was erased.
    #[must_use]
    pub fn erase_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.capacity() / ERASE];
        for access in &self.log {
            if let Access::Erase { offset } = access {
                counts[*offset as usize / ERASE] += 1;
            }
        }
        counts
    }

    fn spend_access(&mut self) -> Result<(), SimError> {
        match &mut self.accesses_until_fault {
            Some(0) => Err(SimError::Fault),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ErrorType
    for SimFlash<READ, WRITE, ERASE>
{
    type Error = SimError;
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ReadNorFlash
    for SimFlash<READ, WRITE, ERASE>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        check_read(self, offset, bytes.len()).map_err(SimError::Geometry)?;
        if self.supply.is_down() {
            return Err(SimError::NoPower);
        }
        let number = self.reads;
        self.reads += 1;
        if self.refused_reads.contains(&number) {
            return Err(SimError::Fault);
        }
        let Chip { erased, corrects_errors, .. } = self.chip;
        if !self.cells.read(offset as usize, bytes, corrects_errors, &mut self.supply.random()) {
            return Err(SimError::Uncorrectable);
        }
        if erased == 0 {
            bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
        }
        for (at, bit) in &self.stuck_bits {
            if let Some(byte) = at.checked_sub(offset).and_then(|at| bytes.get_mut(at as usize)) {
                *byte ^= 1 << bit;
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.cells.bits().len()
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> NorFlash
    for SimFlash<READ, WRITE, ERASE>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        check_erase(self, from, to).map_err(SimError::Geometry)?;
        for offset in (from..to).step_by(ERASE) {
            self.spend_access()?;
            let at = offset as usize;
            match self.supply.step() {
                Step::Done => self.cells.erase(at, ERASE),
                Step::Torn(outcome) => {
                    self.cells.tear_erase(at, ERASE, outcome, &mut self.supply.random());
                    let line = || format!("erases {offset:#x} -- power fails: {outcome:?}");
                    self.supply.tell(self.name, line);
                    return Err(SimError::NoPower);
                }
                Step::NoPower => return Err(SimError::NoPower),
            }
            self.log.push(Access::Erase { offset });
            self.supply.tell(self.name, || format!("erases {offset:#x}"));
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        check_write(self, offset, bytes.len()).map_err(SimError::Geometry)?;
        self.spend_access()?;
        let mut word = [0; 256];
        for (number, new) in bytes.chunks(WRITE).enumerate() {
            let at = offset as usize + number * WRITE;
            let word = &mut word[..new.len()];
            for (to, from) in word.iter_mut().zip(new) {
                *to = from ^ !self.chip.erased;
            }
            match self.supply.step() {
                Step::NoPower => return Err(SimError::NoPower),
                Step::Done => {
                    if let Some(at) = self.cells.conflict(at, word, self.chip.write_once) {
                        let offset = u32::try_from(at).unwrap_or(u32::MAX);
                        return Err(SimError::NotErased { offset });
                    }
                    self.cells.write_word(at, word);
                }
                Step::Torn(outcome) => {
                    self.cells.tear_word(at, word, outcome, &mut self.supply.random());
                    let line = || {
                        let len = bytes.len();
                        format!(
                            "writes {offset:#x} +{len} -- power fails in word {number}: {outcome:?}"
                        )
                    };
                    self.supply.tell(self.name, line);
                    return Err(SimError::NoPower);
                }
            }
        }
        self.log.push(Access::Write { offset, len: bytes.len() });
        self.supply.tell(self.name, || format!("writes {offset:#x} +{}", bytes.len()));
        Ok(())
    }
}
