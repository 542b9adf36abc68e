//! The device's power-safe state: an append-only journal in two banks of flash.
//!
//! ```text
//! bank = mark | bank record, twice | records of the snapshot, each twice | records appended since, each twice | erased
//! ```
//!
//! A **record** is written twice, and read if either copy's CRC is right. The **bank** whose bank record has the higher
//! epoch counts; that record is written last, so a bank that counts begins with a whole snapshot of the latest record of
//! each kind. One whose snapshot is not whole does not count: an erasure that was cut short may leave its bank record. When a
//! bank is full, or when anything in it shows that power failed while it was written (a torn record, a record with one good
//! copy, bytes that are not erased behind the last record), the journal **rotates** into the other bank before anybody acts
//! on what was read: a cell that was torn may read differently next time.
//!
//! These rules make every cut harmless, whatever it leaves, and every read that fails for a while:
//!
//! * A second copy is begun when the first one has read back as it was written. So of a record whose second copy was not begun
//!   nobody knows whether it will be good again. It is used only after it stands in a new bank; until then nobody has acted
//!   on it.
//! * The same holds for such a bank record, unless something was written behind the snapshot, which begins after both copies
//!   were done. A rotation adds nothing, so that until then both banks tell the same.
//! * Before a bank is erased, and before anybody acts on a bank behind whose snapshot nothing was written, the mark of the
//!   one that counts is written, so that from then on no doubt about it is left.
//! * What is checked is what has been read, and what is copied is checked once more: a bit that was written weakly may read
//!   differently each time. Only one copy of a record can have one.
//! * A read that fails is tried again. Words that were torn may be refused for ever by a chip that corrects errors, so what
//!   cannot be read is passed over where a power cut can have left it so: one word with nothing behind it, or the bank record of
//!   a bank that holds nothing that the other one does not. Anything else is an error, which may be gone next time. No bank is
//!   erased unless what counts in the other one has just been read.
//!
//! What an update needs always has room, and so has a record in place of one that is kept and as long, beside which it stands
//! until the next rotation: records of other kinds that would leave none are refused.
//!
//! A bank may span several sectors. Each rotation erases one bank once.

use embedded_storage::nor_flash::{NorFlashError as _, NorFlashErrorKind};
use whittle_format::journal::{BankHead, CRC_LEN, HEAD_LEN, Kind, MAX_PAYLOAD, RecordHead};
use whittle_format::life::LifeState;
use whittle_format::staging::{Progress, Staging};

use super::turn::Turn;
use super::{NorFlash, both};
use crate::JournalError;
use crate::crc::Crc;
use crate::flash::{CHUNK, ERASED, compare, is_writable, read_unaligned};
use crate::numbers::{to_u32, to_usize};

/// Read at a time.
const PIECE: usize = 64;

/// How often [`Journal::open`] looks; it is patient with flash that cannot be read in the first half of them.
const LOOKS: u8 = 8;

/// The kinds that an update needs, and the lengths of their longest payloads in bytes: there is always room for them.
const NEEDED: [(Kind, usize); 3] = [
    (Kind::Life, LifeState::LEN),
    (Kind::Progress, Progress::LEN),
    (Kind::Staging, Staging::MAX_LEN),
];

/// What the mark consists of; neither byte is what flash erases to.
const MARK: [u8; 2] = [0x57, 0xa8];

/// Where a record lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Of its first copy; the second one lies behind it.
    offset: u32,
    head: RecordHead,
}

/// The latest record of each kind, in the order of [`Kind::KEPT`].
type Latest = [Option<Place>; Kind::KEPT.len()];

/// The journal of a device, on a flash region of its own.
#[derive(Debug)]
pub struct Journal<F> {
    flash: F,
    /// Start of the bank that counts.
    bank: u32,
    epoch: u32,
    sequence: u32,
    /// Where the next record goes.
    end: u32,
    latest: Latest,
    was_lost: bool,
    /// Why a read failed lately.
    failed: Option<JournalError>,
    turn: Turn,
}

/// A record of which at least one copy is good.
struct Entry {
    place: Place,
    /// How far its copies lie apart, in bytes.
    stride: u32,
    both: bool,
    /// Its second copy was not begun, which happens only when the first one has read back well.
    is_doubtful: bool,
}

/// What a look at one bank told.
struct Found {
    bank: u32,
    /// Whether its bank record is good, or why it cannot be read.
    front: Result<bool, JournalError>,
    epoch: u32,
    sequence: u32,
    end: u32,
    latest: Latest,
    /// Nothing hints at a power cut.
    clean: bool,
    /// Both copies of each record are good.
    is_undoubted: bool,
    /// Something was written where its bank record belongs.
    is_begun: bool,
    /// Nobody can come to another view of its bank record.
    certain: bool,
    /// Nothing stands behind the snapshot.
    is_fresh: bool,
    /// Why a record cannot be read that no power cut can have left so.
    broken: Option<JournalError>,
}

impl Found {
    fn counts(&self) -> bool {
        self.front == Ok(true)
    }

    /// The bank with the higher rank counts.
    fn rank(&self) -> [u32; 4] {
        [self.counts().into(), self.certain.into(), self.epoch, self.sequence]
    }

    /// Whether it counts, and holds all that the other one does.
    fn makes_needless(&self, other: &Self) -> bool {
        self.counts() && self.sequence >= other.sequence
    }

    /// Whether it holds all that the other one does, and more, beyond doubt.
    ///
    /// A snapshot that a rotation has not ended is no match for a bank that counts: what it holds may have been in doubt.
    fn goes_beyond(&self, other: &Self) -> bool {
        // No record has the number 0.
        let sequence = |place: &Option<Place>| place.map_or(0, |place| place.head.sequence);
        let mut has_more = false;
        for (own, other) in self.latest.iter().zip(&other.latest) {
            if sequence(own) < sequence(other) {
                return false;
            }
            has_more |= sequence(own) > sequence(other);
        }
        has_more && !self.counts() && (self.is_begun || !other.counts()) && self.is_undoubted
    }
}

#[both]
impl<F: NorFlash> Journal<F> {
    /// Opens the journal, and rotates it if power failed while it was written.
    ///
    /// A region in which no bank counts, such as an erased one, becomes an empty journal; [`Self::was_lost`] tells.
    ///
    /// # Errors
    /// [`JournalError`]; opening it again is always safe. [`JournalError::Flash`] also where neither bank can be read: it may
    /// be there next time.
    #[inline(never)]
    pub async fn open(flash: F) -> Result<Self, JournalError> {
        let mut journal = Self {
            flash,
            bank: 0,
            epoch: 0,
            sequence: 0,
            end: 0,
            latest: Latest::default(),
            was_lost: false,
            failed: None,
            turn: Turn::default(),
        };
        journal.check_geometry()?;
        let mut outcome = Ok(());
        for patience in (0..LOOKS).rev() {
            outcome = journal.look(patience).await;
            if outcome.is_ok() {
                return Ok(journal);
            }
        }
        outcome.map(|()| journal)
    }

    /// Finds what counts, and rotates the journal if power failed while it was written.
    ///
    /// As long as there is patience, what cannot be read is an error: it may be there at the next look. A last record that is
    /// in doubt may read well once, and badly when it is copied: after the first look it is dropped, since nobody has acted
    /// on it.
    async fn look(&mut self, patience: u8) -> Result<(), JournalError> {
        let drop_doubtful = patience.saturating_add(1) < LOOKS;
        let a = self.examine(0, drop_doubtful);
        let b = self.examine(self.bank_len(), drop_doubtful);
        if patience >= LOOKS / 2 {
            for (found, other) in &[(&a, &b), (&b, &a)] {
                if !other.makes_needless(found) {
                    found.front?;
                }
                found.broken.map_or(Ok(()), Err)?;
            }
        }
        let newest = a.epoch.max(b.epoch);
        let (mut found, other) = if b.rank() > a.rank() { (&b, &a) } else { (&a, &b) };
        let are_readable = found.front.is_ok() && other.front.is_ok();
        if other.goes_beyond(found) {
            // Its bank record cannot be read any more, but records were appended to it.
            found = other;
        } else if let ([Err(error), Err(_)], 0) = ([found.front, other.front], found.sequence) {
            return Err(error);
        }
        self.was_lost = found.sequence == 0 && !found.counts();
        if self.was_lost {
            (self.bank, self.epoch) = (self.bank_len(), 0);
            self.latest.fill(None);
            return self.rotate().await;
        }
        (self.bank, self.sequence) = (found.bank, found.sequence);
        (self.end, self.latest) = (found.end, found.latest);
        // A newer bank whose bank record is in doubt, or unreadable, might count next time.
        let is_clean = found.clean && newest == found.epoch && are_readable;
        self.epoch = newest.max(1);
        match (is_clean, found.is_fresh) {
            (false, _) => self.rotate().await,
            (true, true) => self.write_mark(found.bank).await,
            (true, false) => Ok(()),
        }
    }

    /// Whether [`Self::open`] found nothing that counts: a new device, or one whose journal was destroyed.
    #[must_use]
    pub fn was_lost(&self) -> bool {
        self.was_lost
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// Reads the latest record of a kind into `into` and returns its payload; `None` if there is none, or an empty one, which
    /// takes the one before it back.
    ///
    /// # Errors
    /// [`JournalError::BufferTooSmall`]; [`JournalError::ReadBack`] if the record cannot be read any more.
    pub fn read<'b>(
        &mut self,
        kind: Kind,
        into: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, JournalError> {
        self.turn.check()?;
        let Some(place) = self.place(kind).filter(|place| place.head.len > 0) else {
            return Ok(None);
        };
        let needed = usize::from(place.head.len);
        let payload = into.get_mut(..needed).ok_or(JournalError::BufferTooSmall)?;
        for offset in &self.copies(place) {
            if self.read_copy(*offset, payload) == Some(place.head) {
                return Ok(Some(payload));
            }
        }
        Err(JournalError::ReadBack)
    }

    /// Makes `payload` the latest record of its kind.
    ///
    /// When it returns, the record is there whatever happens; if power fails before, it is there or the one before it is.
    /// Nothing is written where the latest one is the same.
    ///
    /// # Errors
    /// [`JournalError`]; what was the latest record stays. [`JournalError::Full`] also where there would be no room left
    /// for where the device stands, or for another record as long in place of any that is kept.
    pub async fn append(&mut self, kind: Kind, payload: &[u8]) -> Result<(), JournalError> {
        let head = self.next_head(kind, payload);
        if head.len > MAX_PAYLOAD {
            return Err(JournalError::TooLong);
        }
        self.turn.check()?;
        if self.is_latest(head, payload) {
            return Ok(());
        }
        if longest(kind).is_none() && !self.has_room(head) {
            return Err(JournalError::Full);
        }
        self.append_needed(kind, payload).await
    }

    /// Whether it is what is kept already, and nothing has been begun behind it that could count later: nobody wears the flash
    /// out by sending the same document again and again.
    fn is_latest(&mut self, head: RecordHead, payload: &[u8]) -> bool {
        let Some(place) = self.place(head.kind).filter(|place| place.head.len == head.len) else {
            return false;
        };
        if !self.is_erased(self.end, self.bank.wrapping_add(self.bank_len())) {
            return false;
        }
        let at = place.offset.wrapping_add(to_u32(HEAD_LEN));
        let flash = &mut self.flash;
        compare(&mut |at, into| read_unaligned(flash, at, into), at, payload).is_ok()
            && self.holds(place.offset, place.head)
    }

    /// The same for the kinds that an update needs, and that have room in any case.
    #[inline(never)]
    pub(crate) async fn append_needed(
        &mut self,
        kind: Kind,
        payload: &[u8],
    ) -> Result<(), JournalError> {
        self.turn.begin()?;
        let outcome = self.append_somewhere(self.next_head(kind, payload), payload).await;
        self.turn.end();
        outcome
    }

    fn next_head(&self, kind: Kind, payload: &[u8]) -> RecordHead {
        let sequence = self.sequence.saturating_add(1);
        RecordHead { kind, len: to_u16(payload.len()), sequence }
    }

    async fn append_somewhere(
        &mut self,
        head: RecordHead,
        payload: &[u8],
    ) -> Result<(), JournalError> {
        // A copy that does not read back met a word that only looked erased: the other bank takes the record.
        if self.fits(head) && self.append_here(head, payload).await.is_ok() {
            return Ok(());
        }
        self.rotate().await?;
        if self.fits(head) {
            self.append_here(head, payload).await
        } else {
            Err(JournalError::Full)
        }
    }

    async fn append_here(&mut self, head: RecordHead, payload: &[u8]) -> Result<(), JournalError> {
        let offset = self.end;
        let end = self.put_twice(offset, head, Source::Payload(payload)).await?;
        self.end = end;
        self.sequence = head.sequence;
        if let Some(kept) = head.kind.index().and_then(|at| self.latest.get_mut(at)) {
            *kept = Some(Place { offset, head });
        }
        Ok(())
    }

    /// Begins the other bank with the latest record of each kind.
    ///
    /// It adds nothing, so that as long as its bank record is in doubt both banks tell the same.
    async fn rotate(&mut self) -> Result<(), JournalError> {
        let (old, len) = (self.bank, self.bank_len());
        let bank = if old == 0 { len } else { 0 };
        if self.epoch > 0 {
            // What is to be copied must be readable before the other bank goes.
            for place in self.latest.into_iter().flatten() {
                let [first, second] = self.copies(place);
                self.failed = None;
                if self.is_good(first).or_else(|| self.is_good(second)).is_none() {
                    self.failed.map_or(Ok(()), Err)?;
                }
            }
            self.write_mark(old).await?;
        }
        let mut outcome = Ok(());
        // One copy of a record may read differently each time; never both of them.
        for second_first in &[false, true] {
            outcome = self.write_bank(bank, *second_first).await;
            if !matches!(outcome, Err(JournalError::ReadBack)) {
                break;
            }
        }
        outcome
    }

    /// Writes a whole bank, and lets it count.
    #[inline(never)]
    async fn write_bank(&mut self, bank: u32, second_first: bool) -> Result<(), JournalError> {
        let len = self.bank_len();
        let erased = self.flash.erase(bank, bank.wrapping_add(len)).await;
        erased.map_err(|error| JournalError::Flash(error.kind()))?;

        let head_at = bank.wrapping_add(self.mark_len());
        let record = bank_record(self.sequence);
        let mut end = bank.wrapping_add(self.front_len());
        let mut latest = self.latest;
        for place in latest.iter_mut().flatten() {
            let ([mut from, mut other], head) = (self.copies(*place), place.head);
            place.offset = end;
            if end.wrapping_add(self.stride(head).wrapping_mul(2)) > bank.wrapping_add(len) {
                return Err(JournalError::Full);
            }
            if second_first {
                (from, other) = (other, from);
            }
            let from = if self.holds(from, head) { from } else { other };
            end = self.put_twice(end, head, Source::Copy(from)).await?;
        }
        let epoch = self.epoch.saturating_add(1);
        let payload = BankHead { epoch, snapshot_end: end.saturating_sub(bank) }.emit();
        self.put_twice(head_at, record, Source::Payload(&payload)).await?;
        (self.bank, self.epoch, self.end, self.latest) = (bank, epoch, end, latest);
        Ok(())
    }

    /// Writes the mark of a bank, unless a part of it is there, which says the same.
    async fn write_mark(&mut self, bank: u32) -> Result<(), JournalError> {
        let len = self.mark_len();
        if self.is_erased(bank, bank.wrapping_add(len)) {
            let mut copy = CopyWriter::new(bank);
            for _ in 0..len / 2 {
                copy.add(&mut self.flash, &MARK).await?;
            }
            copy.finish(&mut self.flash).await?;
        }
        Ok(())
    }

    /// Writes both copies of a record, compares each with what reads back, and returns where they end.
    async fn put_twice(
        &mut self,
        at: u32,
        head: RecordHead,
        source: Source<'_>,
    ) -> Result<u32, JournalError> {
        let second = at.wrapping_add(self.stride(head));
        for copy in &[at, second] {
            self.put(*copy, head, source).await?;
            if !self.holds(*copy, head) {
                return Err(JournalError::ReadBack);
            }
        }
        Ok(second.wrapping_add(self.stride(head)))
    }

    /// Writes one copy of a record, padded to the write size.
    async fn put(
        &mut self,
        at: u32,
        head: RecordHead,
        source: Source<'_>,
    ) -> Result<(), JournalError> {
        let mut copy = CopyWriter::new(at);
        match source {
            Source::Payload(payload) => {
                let (front, mut crc) = (head.emit(), Crc::NEW);
                crc.update(&front);
                crc.update(payload);
                for part in [&front, payload, &crc.value().to_le_bytes()] {
                    copy.add(&mut self.flash, part).await?;
                }
            }
            Source::Copy(mut from) => {
                let end = from.wrapping_add(head.copy_len());
                while from < end {
                    let mut piece = [0; PIECE];
                    let piece = self.fetch_piece(from, end, &mut piece)?;
                    copy.add(&mut self.flash, piece).await?;
                    from = from.wrapping_add(to_u32(piece.len()));
                }
            }
        }
        copy.finish(&mut self.flash).await
    }

    /// What a bank holds.
    #[inline(never)]
    fn examine(&mut self, bank: u32, drop_doubtful: bool) -> Found {
        let bank_end = bank.wrapping_add(self.bank_len());
        let head_at = bank.wrapping_add(self.mark_len());
        let second_at = head_at.wrapping_add(self.stride(bank_record(0)));
        let records_at = bank.wrapping_add(self.front_len());
        let (first, second) = (self.bank_head(head_at), self.bank_head(second_at));
        let both = first.is_some() && second.is_some();
        let either = first.or(second);
        let front = match either {
            Some(_) => Ok(true),
            None => self.check_readable(head_at, records_at).map(|()| false),
        };
        let (sequence, head) = either.unwrap_or_default();
        let snapshot_end = bank.saturating_add(head.snapshot_end).min(bank_end);
        let mut found = Found {
            bank,
            front,
            epoch: head.epoch,
            sequence,
            end: records_at,
            latest: Latest::default(),
            clean: both,
            is_undoubted: true,
            is_begun: !self.is_erased(head_at, records_at),
            certain: both
                || !self.is_erased(second_at, records_at)
                || !self.is_erased(bank, head_at)
                || !self.is_erased(snapshot_end, bank_end),
            is_fresh: false,
            broken: None,
        };
        while found.end < bank_end && !self.is_erased(found.end, bank_end) {
            let at = found.end;
            self.failed = None;
            let Some(Entry { place, stride, both, is_doubtful }) = self.entry(at, bank_end) else {
                found.clean = false;
                found.broken = self.failed.filter(|_| !self.is_torn(at, bank_end));
                break;
            };
            found.clean &= both;
            found.is_undoubted &= both;
            found.end = at.wrapping_add(stride.wrapping_mul(2));
            if is_doubtful && drop_doubtful && self.is_erased(found.end, bank_end) {
                break;
            }
            found.sequence = found.sequence.max(place.head.sequence);
            if let Some(kept) = place.head.kind.index().and_then(|at| found.latest.get_mut(at)) {
                *kept = Some(place);
            }
        }
        found.is_fresh = found.end <= snapshot_end;
        if found.end < snapshot_end {
            // An erasure that power cut short has left its bank record.
            found.front = found.front.map(|_| false);
        }
        found
    }

    /// Whether there is what a power cut leaves of a record: one word of its first copy that cannot be read, and nothing
    /// behind it. What stands in front of a torn word further on is a record that cannot be read just now.
    fn is_torn(&mut self, at: u32, bank_end: u32) -> bool {
        let word = to_u32(F::WRITE_SIZE).max(1);
        let copy_len = self.head(at).map_or(to_u32(HEAD_LEN), |head| head.copy_len());
        let end = at.wrapping_add(copy_len).min(bank_end);
        let mut from = at;
        while from < end {
            let next = from.wrapping_add(word);
            if self.check_readable(from, next).is_err() {
                return self.is_erased(next, bank_end);
            }
            from = next;
        }
        false
    }

    fn check_readable(&mut self, from: u32, to: u32) -> Result<(), JournalError> {
        let mut from = from;
        while from < to {
            let read = self.fetch_piece(from, to, &mut [0; PIECE])?.len();
            from = from.wrapping_add(to_u32(read));
        }
        Ok(())
    }

    /// The sequence number and the payload of the copy of a bank record at an offset.
    fn bank_head(&mut self, at: u32) -> Option<(u32, BankHead)> {
        let mut payload = [0; BankHead::LEN];
        let head = self.read_copy(at, &mut payload)?;
        let is_bank = head == bank_record(head.sequence);
        if is_bank { Some((head.sequence, BankHead::parse(&payload).ok()?)) } else { None }
    }

    /// The record at an offset.
    fn entry(&mut self, at: u32, bank_end: u32) -> Option<Entry> {
        if let Some(head) = self.is_good(at) {
            let stride = self.stride(head);
            let second = at.wrapping_add(stride);
            let both = self.holds(second, head);
            let is_doubtful = !both && self.is_erased(second, second.wrapping_add(stride));
            return Some(Entry { place: Place { offset: at, head }, stride, both, is_doubtful });
        }
        // Where the second copy is, only the first one's length told: look for a record as long as it is far away.
        let mut offset = at;
        loop {
            offset = offset.wrapping_add(to_u32(F::WRITE_SIZE));
            if offset >= bank_end {
                return None;
            }
            let distance = offset.saturating_sub(at);
            let plausible = self.head(offset).filter(|head| self.stride(*head) == distance);
            if let Some(head) = plausible.filter(|head| self.holds(offset, *head)) {
                let place = Place { offset: at, head };
                return Some(Entry { place, stride: distance, both: false, is_doubtful: false });
            }
        }
    }

    fn head(&mut self, at: u32) -> Option<RecordHead> {
        let mut bytes = [0; HEAD_LEN];
        self.fetch(at, &mut bytes).ok()?;
        RecordHead::parse(&bytes)
    }

    /// Whether the copy at an offset is good, and has this head.
    #[inline(never)]
    fn holds(&mut self, at: u32, head: RecordHead) -> bool {
        self.is_good(at) == Some(head)
    }

    /// The head of the copy at an offset, if its CRC is right.
    fn is_good(&mut self, at: u32) -> Option<RecordHead> {
        self.read_copy(at, &mut [])
    }

    /// The same, and the front of its payload, as much of it as there is room for.
    #[inline(never)]
    fn read_copy(&mut self, at: u32, into: &mut [u8]) -> Option<RecordHead> {
        let head = self.head(at)?;
        let crc_at = at.wrapping_add(head.copy_len()).wrapping_sub(to_u32(CRC_LEN));
        let mut from = at.wrapping_add(to_u32(HEAD_LEN));
        let (mut room, mut digest) = (into.iter_mut(), Crc::NEW);
        // What has been read, which may be something else next time.
        digest.update(&head.emit());
        while from < crc_at {
            let mut piece = [0; PIECE];
            let piece = self.fetch_piece(from, crc_at, &mut piece).ok()?;
            digest.update(piece);
            for (byte, to) in piece.iter().zip(&mut room) {
                *to = *byte;
            }
            from = from.wrapping_add(to_u32(piece.len()));
        }
        let mut crc = [0; CRC_LEN];
        self.fetch(crc_at, &mut crc).ok()?;
        (crc == digest.value().to_le_bytes()).then_some(head)
    }

    /// Whether a stretch reads as one and the same byte of zeros or ones.
    fn is_erased(&mut self, from: u32, to: u32) -> bool {
        let mut erased = None;
        let mut from = from;
        while from < to {
            let mut piece = [0; PIECE];
            let Ok(piece) = self.fetch_piece(from, to, &mut piece) else { return false };
            let erased = *erased.get_or_insert(piece.first().copied().unwrap_or(ERASED));
            if !matches!(erased, 0 | 0xff) || piece.iter().any(|byte| *byte != erased) {
                return false;
            }
            from = from.wrapping_add(to_u32(piece.len()));
        }
        true
    }

    /// Reads the front of a stretch, as much of it as there is room for.
    fn fetch_piece<'b>(
        &mut self,
        from: u32,
        to: u32,
        into: &'b mut [u8; PIECE],
    ) -> Result<&'b [u8], JournalError> {
        let len = to_usize(to.saturating_sub(from)).min(PIECE);
        let piece = into.get_mut(..len).unwrap_or_default();
        self.fetch(from, piece)?;
        Ok(piece)
    }

    fn fetch(&mut self, at: u32, into: &mut [u8]) -> Result<(), JournalError> {
        if to_usize(at).wrapping_add(into.len()) > self.flash.capacity() {
            return Err(JournalError::Flash(NorFlashErrorKind::OutOfBounds));
        }
        let outcome = read_unaligned(&mut self.flash, at, into).map_err(JournalError::Flash);
        self.failed = outcome.err().or(self.failed);
        outcome
    }

    fn check_geometry(&self) -> Result<(), JournalError> {
        let bank = to_usize(self.bank_len());
        let is_whole = bank > 0 && bank.checked_rem(F::ERASE_SIZE) == Some(0);
        let fits = is_whole && is_writable::<F>(F::WRITE_SIZE);
        if fits { Ok(()) } else { Err(JournalError::Geometry) }
    }

    fn place(&self, kind: Kind) -> Option<Place> {
        kind.index().and_then(|at| self.latest.get(at).copied().flatten())
    }

    /// Whether a record can be written, and leaves room for what an update needs and for a successor of any that is kept.
    ///
    /// A rotation copies what is about to be replaced, so that it stands beside its successor for a while. What is no longer than
    /// the one before leaves as much as that. Documents of keys only grow, and are refused when their successor comes, rather
    /// than now.
    fn has_room(&self, new: RecordHead) -> bool {
        let pair = |len| self.stride(RecordHead { len, ..new }).wrapping_mul(2);
        let (mut before, mut after, mut more) = (0, 0, 0);
        let is_longer = self.place(new.kind).is_none_or(|place| place.head.len < new.len);
        for kind in Kind::KEPT {
            let kept = longest(kind).or(self.place(kind).map(|place| place.head.len));
            let then = if kind == new.kind { Some(new.len) } else { kept };
            before = kept.map_or(0, pair).wrapping_add(before);
            after = then.map_or(0, pair).wrapping_add(after);
            if kind != Kind::Keys {
                more = then.map_or(0, pair).max(more);
            }
        }
        let room = self.bank_len().saturating_sub(self.front_len());
        let is_there = self.fits(new) || before.wrapping_add(pair(new.len)) <= room;
        is_there && (!is_longer || after.wrapping_add(more) <= room)
    }

    /// Whether a record fits behind the last one.
    fn fits(&self, head: RecordHead) -> bool {
        let end = self.end.wrapping_add(self.stride(head).wrapping_mul(2));
        end <= self.bank.wrapping_add(self.bank_len())
    }

    fn bank_len(&self) -> u32 {
        to_u32(self.flash.capacity() / 2)
    }

    /// Length of the mark: it takes words of its own.
    fn mark_len(&self) -> u32 {
        to_u32(F::WRITE_SIZE.max(4))
    }

    /// Length of what stands in front of the records of a bank: its mark, and its own record twice.
    // A call takes more than what it does.
    #[inline(always)]
    fn front_len(&self) -> u32 {
        self.mark_len().wrapping_add(self.stride(bank_record(0)).wrapping_mul(2))
    }

    /// Where both copies of a record lie.
    fn copies(&self, place: Place) -> [u32; 2] {
        [place.offset, place.offset.wrapping_add(self.stride(place.head))]
    }

    /// Length of a copy with its padding.
    fn stride(&self, head: RecordHead) -> u32 {
        head.copy_len().next_multiple_of(to_u32(F::WRITE_SIZE).max(1))
    }
}

/// Collects a copy of a record into whole write units.
struct CopyWriter {
    /// Where the chunk goes.
    at: u32,
    chunk: [u8; CHUNK],
    filled: usize,
}

#[both]
impl CopyWriter {
    fn new(at: u32) -> Self {
        Self { at, chunk: [ERASED; CHUNK], filled: 0 }
    }

    async fn add<F: NorFlash>(&mut self, flash: &mut F, bytes: &[u8]) -> Result<(), JournalError> {
        for byte in bytes {
            if let Some(room) = self.chunk.get_mut(self.filled) {
                *room = *byte;
            }
            self.filled = self.filled.wrapping_add(1);
            if self.filled == CHUNK {
                self.write(flash, CHUNK).await?;
            }
        }
        Ok(())
    }

    async fn finish<F: NorFlash>(mut self, flash: &mut F) -> Result<(), JournalError> {
        match self.filled.next_multiple_of(F::WRITE_SIZE.max(1)) {
            0 => Ok(()),
            len => self.write(flash, len).await,
        }
    }

    async fn write<F: NorFlash>(&mut self, flash: &mut F, len: usize) -> Result<(), JournalError> {
        let bytes = self.chunk.get(..len).unwrap_or_default();
        flash.write(self.at, bytes).await.map_err(|error| JournalError::Flash(error.kind()))?;
        *self = Self::new(self.at.wrapping_add(to_u32(len)));
        Ok(())
    }
}

/// The head of a bank record.
fn bank_record(sequence: u32) -> RecordHead {
    RecordHead { kind: Kind::Bank, len: to_u16(BankHead::LEN), sequence }
}

/// Where a payload comes from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Payload(&'a [u8]),
    /// A copy of the same record at this offset.
    Copy(u32),
}

/// Length of the longest payload of a kind that an update needs.
fn longest(kind: Kind) -> Option<u16> {
    NEEDED.iter().find(|(needed, _)| *needed == kind).map(|(_, len)| to_u16(*len))
}

fn to_u16(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}
