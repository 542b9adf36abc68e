//! The journal under power cuts: at every word and sector, with every outcome, and again during recovery.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use whittle_flash_sim::{Chip, Cut, Outcome, SimFlash, Supply};
use whittle_format::life::LifeState;
use whittle_format::staging::{Progress, Staging};
use whittle_patcher_nostd::{Journal, JournalError, Partition, RecordKind};

use crate::golden::{assert_file, golden};
use crate::support::Draws;

const KINDS: [RecordKind; 3] = [RecordKind::Life, RecordKind::Progress, RecordKind::Staging];

/// The payload of the `n`-th record of a run, long or short by its kind.
fn payload(n: u8) -> Vec<u8> {
    let len = [56, 12, 100][usize::from(n) % 3];
    (0..len).map(|at: u8| n ^ at.wrapping_mul(37)).collect()
}

/// What a device knows: of each kind, the number of the latest record.
type Known = [Option<u8>; 3];

fn known<const R: usize, const W: usize, const E: usize>(
    journal: &mut Journal<&mut SimFlash<R, W, E>>,
) -> Known {
    KINDS.map(|kind| {
        let mut into = [0; 128];
        let bytes = journal.read(kind, &mut into).expect("readable")?;
        let n = bytes[0];
        assert_eq!(bytes, payload(n), "record {n} is whole");
        Some(n)
    })
}

/// Opens the journal and appends records `from..to`; `Err` is the number of the record that was not acknowledged.
fn append<const R: usize, const W: usize, const E: usize>(
    flash: &mut SimFlash<R, W, E>,
    from: u8,
    to: u8,
) -> Result<(), u8> {
    let mut journal = Journal::open(flash).map_err(|_| from)?;
    append_to(&mut journal, from, to)
}

fn append_to<const R: usize, const W: usize, const E: usize>(
    journal: &mut Journal<&mut SimFlash<R, W, E>>,
    from: u8,
    to: u8,
) -> Result<(), u8> {
    (from..to)
        .try_for_each(|n| journal.append(KINDS[usize::from(n) % 3], &payload(n)).map_err(|_| n))
}

/// Of each kind the last of the records `0..count`.
fn after(count: u8) -> Known {
    [0, 1, 2].map(|kind| (0..count).rev().find(|n| n % 3 == kind))
}

/// How many records there are after the power came back: one of `counts`, and the same each time somebody looks.
fn recovered<const R: usize, const W: usize, const E: usize>(
    flash: &mut SimFlash<R, W, E>,
    counts: RangeInclusive<u8>,
    what: &dyn Fn() -> String,
) -> u8 {
    let mut look = || {
        let journal = Journal::open(&mut *flash);
        known(&mut journal.unwrap_or_else(|error| panic!("{error}: {}", what())))
    };
    let first = look();
    let count = counts.clone().find(|count| first == after(*count));
    let count = count.unwrap_or_else(|| panic!("{first:?}, wanted {counts:?}: {}", what()));
    for _ in 0..3 {
        assert_eq!(look(), first, "what was read stays: {}", what());
    }
    count
}

/// A device whose power has failed once while it appended `records` records, as it is when the power is back.
struct Interrupted<const R: usize, const W: usize, const E: usize> {
    flash: SimFlash<R, W, E>,
    supply: Supply,
    cut: Cut,
    /// The record that was being appended.
    next: u8,
}

/// Cuts the power at every step, with every outcome.
fn interrupted<const R: usize, const W: usize, const E: usize>(
    chip: Chip,
    bank: usize,
    records: u8,
) -> impl Iterator<Item = Interrupted<R, W, E>> {
    let fresh = move || {
        let supply = Supply::new();
        (SimFlash::<R, W, E>::erased(2 * bank).with(chip).on(&supply), supply)
    };
    let (mut flash, supply) = fresh();
    append(&mut flash, 0, records).expect("no cut");
    let cuts =
        (0..supply.steps()).flat_map(|step| Outcome::ALL.map(|outcome| Cut { step, outcome }));
    cuts.map(move |cut| {
        let (mut flash, supply) = fresh();
        supply.arm(cut, cut.step);
        let next = append(&mut flash, 0, records).expect_err("the cut comes");
        supply.restore();
        Interrupted { flash, supply, cut, next }
    })
}

/// Returns how many cuts there were.
fn sweep<const R: usize, const W: usize, const E: usize>(
    chip: Chip,
    bank: usize,
    records: u8,
) -> u64 {
    let mut cuts = 0;
    for Interrupted { mut flash, cut, next, .. } in interrupted::<R, W, E>(chip, bank, records) {
        let what = || format!("{W}/{E}, {chip:?}, {cut:?}");
        let count = recovered(&mut flash, next..=next + 1, &what);
        append(&mut flash, count, records).expect("no more cuts");
        assert_eq!(known(&mut Journal::open(&mut flash).expect("opens")), after(records));
        cuts += 1;
    }
    cuts
}

/// Cuts the power again at every step of the recovery and of two more records; returns how many pairs of cuts there were.
fn sweep_pairs<const R: usize, const W: usize, const E: usize>(
    chip: Chip,
    bank: usize,
    records: u8,
) -> u64 {
    let mut pairs = 0;
    for first in interrupted::<R, W, E>(chip, bank, records) {
        for step in 0.. {
            let came = Outcome::ALL.map(|outcome| cut_again(&first, Cut { step, outcome }));
            pairs += came.iter().filter(|came| **came).count() as u64;
            if !came.contains(&true) {
                break;
            }
        }
    }
    pairs
}

/// Whether the second cut came at all.
fn cut_again<const R: usize, const W: usize, const E: usize>(
    first: &Interrupted<R, W, E>,
    cut: Cut,
) -> bool {
    let (mut flash, supply) = (first.flash.clone(), &first.supply);
    supply.arm(cut, first.cut.step ^ cut.step);
    let counts = append_two(&mut flash, first.next);
    let came = supply.is_down();
    supply.restore();
    let what = || format!("{W}/{E}, {:?}, then {cut:?}", first.cut);
    recovered(&mut flash, counts, &what);
    came
}

/// Opens the journal, looks which record is the next, and appends two; returns how many records there may be then.
fn append_two<const R: usize, const W: usize, const E: usize>(
    flash: &mut SimFlash<R, W, E>,
    next: u8,
) -> RangeInclusive<u8> {
    let Ok(mut journal) = Journal::open(flash) else { return next..=next + 1 };
    let seen = known(&mut journal);
    let next = if seen == after(next + 1) { next + 1 } else { next };
    assert_eq!(seen, after(next));
    match append_to(&mut journal, next, next + 2) {
        Ok(()) => next + 2..=next + 2,
        Err(n) => n..=n + 1,
    }
}

#[test]
fn no_cut_loses_or_tears_a_record() {
    let mut cuts = 0;
    for chip in [Chip::PLAIN, Chip::CORRECTING, Chip::INVERTED] {
        cuts += sweep::<1, 4, 256>(chip, 1024, 14);
        cuts += sweep::<1, 8, 1024>(chip, 1024, 14);
        cuts += sweep::<4, 32, 512>(chip, 1024, 14);
        cuts += sweep::<1, 256, 4096>(chip, 4096, 14);
    }
    cuts += sweep::<1, 1, 1024>(Chip::PLAIN, 1024, 8);
    println!("journal: {cuts} cuts");
}

#[test]
fn no_second_cut_during_recovery_does_either() {
    let mut cuts = 0;
    for chip in [Chip::PLAIN, Chip::CORRECTING, Chip::INVERTED] {
        cuts += sweep_pairs::<4, 32, 1024>(chip, 1024, 5);
    }
    println!("journal: {cuts} pairs of cuts");
}

#[test]
fn no_schedule_of_several_cuts_does_either() {
    let (mut cuts, records) = (0, 8);
    for seed in 0..60_000u64 {
        let mut draws = Draws::new(seed);
        let chip = draws.one_of(&[Chip::PLAIN, Chip::CORRECTING, Chip::INVERTED]);
        let supply = Supply::new();
        let mut flash = SimFlash::<4, 32, 1024>::erased(2048).with(chip).on(&supply);
        let mut next = append(&mut flash, 0, draws.below(records) as u8).map_or_else(|n| n, |()| 0);
        let seen = known(&mut Journal::open(&mut flash).expect("opens"));
        next = (next..=records as u8).find(|count| after(*count) == seen).expect("a state");
        let mut counts = next..=next;
        let mut story = Vec::new();
        for _ in 0..2 + draws.below(5) {
            let cut = Cut { step: draws.below(12), outcome: draws.one_of(&Outcome::ALL) };
            story.push(cut);
            supply.arm(cut, seed ^ cut.step);
            // The next look happens under the next cut, so that what is in doubt stays so.
            let Ok(mut journal) = Journal::open(&mut flash) else {
                supply.restore();
                continue;
            };
            let seen = known(&mut journal);
            let now = counts.clone().find(|count| after(*count) == seen);
            let now =
                now.unwrap_or_else(|| panic!("{seen:?}, wanted {counts:?}: {story:?}, {seed}"));
            counts = match append_to(&mut journal, now, now + 3) {
                Ok(()) => now + 3..=now + 3,
                Err(n) => n..=n + 1,
            };
            cuts += u64::from(supply.is_down());
            supply.restore();
        }
        recovered(&mut flash, counts, &|| format!("{story:?}, {seed}"));
    }
    println!("journal: {cuts} cuts in random schedules");
}

/// Whatever an append has acknowledged stays, wherever in one of the banks a stretch of cells is broken.
#[test]
fn broken_cells_lose_no_acknowledged_record() {
    let mut appended = 0;
    for start in (0..2048u32).step_by(24).filter(|start| start % 1024 < 864) {
        let mut flash = SimFlash::<1, 8, 1024>::erased(2048);
        (start..start + 160).for_each(|at| flash.break_cell(at, 3));
        for n in 0..12 {
            let Ok(mut journal) = Journal::open(&mut flash) else { continue };
            if append_to(&mut journal, n, n + 1).is_err() {
                break;
            }
            appended += 1;
            let seen = Journal::open(&mut flash).map(|mut journal| known(&mut journal));
            assert_eq!(seen, Ok(after(n + 1)), "broken from {start}, record {n}");
        }
    }
    assert!(appended > 500, "most of the flash works: {appended}");
}

/// A journal that holds so many records, and how many reads opening it takes.
fn filled(records: u8) -> (SimFlash<1, 8, 1024>, usize) {
    let mut flash = SimFlash::<1, 8, 1024>::erased(2048);
    append(&mut flash, 0, records).expect("no cut");
    flash.refuse_reads(0..0);
    Journal::open(&mut flash).expect("opens");
    let reads = flash.reads();
    (flash, reads)
}

#[test]
fn a_read_that_fails_once_costs_nothing() {
    for records in 8..20 {
        let (filled, reads) = filled(records);
        for (n, count) in (0..reads).flat_map(|n| [(n, 1), (n, 2)]) {
            let mut flash = filled.clone();
            flash.refuse_reads(n..n + count);
            let seen = known(&mut Journal::open(&mut flash).expect("opens"));
            assert_eq!(seen, after(records), "{records} records, read {n}, {count} times");
        }
    }
}

#[test]
fn flash_that_cannot_be_read_for_a_while_loses_no_record() {
    for records in 8..20 {
        let (filled, reads) = filled(records);
        for n in 0..reads {
            let mut flash = filled.clone();
            flash.refuse_reads(n..usize::MAX);
            // Whatever is tried meanwhile, over and over.
            for _ in 0..3 {
                if let Ok(mut journal) = Journal::open(&mut flash) {
                    journal.append(KINDS[0], &payload(21)).expect_err("it does not read back");
                }
            }
            flash.refuse_reads(0..0);
            let mut seen = known(&mut Journal::open(&mut flash).expect("opens"));
            if seen[0] == Some(21) {
                // What was refused may have been written all the same.
                seen[0] = after(records)[0];
            }
            assert_eq!(seen, after(records), "{records} records, from read {n} on");
        }
    }
}

#[test]
fn reads_that_fail_during_one_look_lose_no_record() {
    for records in 8..16 {
        let (filled, reads) = filled(records);
        for n in 0..reads {
            for count in [3, 4, 6, 9, 12, 20, 30, 50, 100, 200, 400, 800] {
                let mut flash = filled.clone();
                flash.refuse_reads(n..n + count);
                let _ = Journal::open(&mut flash);
                flash.refuse_reads(0..0);
                let seen = Journal::open(&mut flash).map(|mut journal| known(&mut journal));
                assert_eq!(seen, Ok(after(records)), "{records} records, {count} from {n} on");
            }
        }
    }
}

#[test]
fn no_bank_is_erased_while_what_counts_cannot_be_read() {
    let mut rotations = 0;
    for records in 8..20 {
        let (mut flash, reads) = filled(records);
        let before = flash.erase_counts();
        let mut rotated = flash.clone();
        append(&mut rotated, records, records + 1).expect("it can be read");
        rotations += u32::from(rotated.erase_counts() != before);
        flash.refuse_reads(reads..usize::MAX);
        append(&mut flash, records, records + 1).expect_err("it does not read back");
        assert_eq!(flash.erase_counts(), before, "{records} records");
    }
    assert!(rotations > 0, "some have no room for another record");
}

/// A word that was torn may read badly at first, and later as it should have been; or well at first, and badly later.
#[test]
fn a_word_that_reads_otherwise_later_takes_no_record_back() {
    let all: Vec<_> = interrupted::<1, 8, 1024>(Chip::PLAIN, 1024, 24).collect();
    let mut changed = [0; 2];
    for one_step in all.chunk_by(|one, next| one.cut.step == next.cut.step) {
        let done = one_step.iter().find(|cut| cut.cut.outcome == Outcome::Done);
        let whole = done.expect("each outcome").flash.bytes();
        for torn in one_step.iter().filter(|cut| cut.cut.outcome.is_stable()) {
            let bad = torn.flash.bytes();
            let (then_whole, then_bad) =
                (reads_otherwise(&bad, &whole), reads_otherwise(&whole, &bad));
            assert_ne!(then_whole, Some(false), "{:?}, then whole", torn.cut);
            assert_ne!(then_bad, Some(false), "whole, then {:?}", torn.cut);
            changed[0] += u32::from(then_whole.is_some());
            changed[1] += u32::from(then_bad.is_some());
        }
    }
    println!("journal: {} words that read well later, {} that read badly", changed[0], changed[1]);
    assert!(changed[0] > 0 && changed[1] > 0, "some words are left as they are");
}

/// Appends a record to flash that reads so at first, then lets what was left as it was read otherwise. Whether the record is
/// still there; none if nothing was left.
fn reads_otherwise(first: &[u8], later: &[u8]) -> Option<bool> {
    // Short, so that it may still fit where the record did not whose turn it was.
    let (kind, short) = (RecordKind::Progress, [0x5a; 12]);
    let mut flash = SimFlash::<1, 8, 1024>::holding(first);
    let mut journal = Journal::open(&mut flash).expect("opens");
    journal.append(kind, &short).expect("written");
    let mut bytes = flash.bytes();
    let differ: Vec<_> = (0..first.len()).filter(|at| first[*at] != later[*at]).collect();
    // What was erased or written since is no longer torn.
    let erased = flash.erase_counts();
    let is_left = |at: &usize| bytes[*at] == first[*at] && erased[at / 1024] == 0;
    if differ.is_empty() || differ.len() > 8 || !differ.iter().all(is_left) {
        return None;
    }
    differ.iter().for_each(|at| bytes[*at] = later[*at]);
    let mut flash = SimFlash::<1, 8, 1024>::holding(&bytes);
    let mut into = [0; 12];
    let Ok(mut journal) = Journal::open(&mut flash) else { return Some(false) };
    Some(journal.read(kind, &mut into) == Ok(Some(&short[..])))
}

/// Whatever a bank begins with, what was appended to it stays.
#[test]
fn a_bank_record_that_goes_bad_takes_no_record_with_it() {
    // Each copy is a record of 20 bytes in words of 8, behind a mark of one word.
    let copies = [8, 32];
    for (records, bank) in (1..20).flat_map(|records| [(records, 0), (records, 1024)]) {
        let mut bytes = filled(records).0.bytes();
        copies.iter().for_each(|copy| bytes[bank + copy] ^= 4);
        let mut flash = SimFlash::<1, 8, 1024>::holding(&bytes);
        for n in records..records + 3 {
            let seen = known(&mut Journal::open(&mut flash).expect("opens"));
            assert_eq!(seen, after(n), "{records} records, bank at {bank}");
            append(&mut flash, n, n + 1).expect("no cut");
        }
    }
}

/// What the application keeps behind a weakly written cell.
const KEPT: [u8; 40] = [0x5a; 40];

/// A journal with something kept in it, once for each cell that was written weakly, and for several ways in which that reads.
fn with_weak_cells(mut each: impl FnMut(&str, &mut Journal<&mut SimFlash<1, 8, 2048>>)) {
    let supply = Supply::new();
    let mut flash = SimFlash::<1, 8, 2048>::erased(4096).on(&supply);
    let mut journal = Journal::open(&mut flash).expect("opens");
    journal.append(RecordKind::Application, &KEPT).expect("written");
    for (at, seed) in (0..200).flat_map(|at| (0..4).map(move |seed| (at, seed))) {
        let mut flash = flash.clone();
        flash.weaken_cell(at, 2);
        // This cut never comes; its seed decides how the cell reads.
        supply.arm(Cut { step: u64::MAX / 2, outcome: Outcome::Nothing }, seed);
        let mut journal = Journal::open(&mut flash).expect("opens");
        each(&format!("cell {at} is weak, seed {seed}"), &mut journal);
    }
}

/// Wherever a weak cell is: of the record that it belongs to, the other copy is good.
#[test]
fn a_cell_that_reads_differently_each_time_stops_no_rotation() {
    with_weak_cells(|case, journal| {
        assert_eq!(append_to(journal, 0, 20), Ok(()), "{case}");
        let mut into = [0; 40];
        let read = journal.read(RecordKind::Application, &mut into);
        assert_eq!(read, Ok(Some(&KEPT[..])), "{case}");
    });
}

/// Nor is it handed out as it happens to read: of each record, one of the copies is right.
#[test]
fn a_cell_that_reads_differently_each_time_is_never_believed() {
    with_weak_cells(|case, journal| {
        for _ in 0..4 {
            let mut into = [0; 40];
            let read = journal.read(RecordKind::Application, &mut into);
            assert_eq!(read, Ok(Some(&KEPT[..])), "{case}");
        }
    });
}

/// A word that a power cut has left unreadable for ever leaves patience for reads that fail for a while.
#[test]
fn reads_that_fail_after_a_power_cut_lose_no_record() {
    let torn = interrupted::<1, 8, 1024>(Chip::CORRECTING, 1024, 10);
    for Interrupted { mut flash, cut, .. } in torn.filter(|one| one.cut.outcome == Outcome::Prefix)
    {
        flash.refuse_reads(0..0);
        let mut whole = flash.clone();
        let seen = known(&mut Journal::open(&mut whole).expect("opens"));
        for n in (0..whole.reads()).step_by(19) {
            for count in [9, 50, 200, 400] {
                let mut flash = flash.clone();
                flash.refuse_reads(n..n + count);
                let _ = Journal::open(&mut flash);
                flash.refuse_reads(0..0);
                let now = Journal::open(&mut flash).map(|mut journal| known(&mut journal));
                assert_eq!(now, Ok(seen), "{cut:?}, {count} reads from {n} on");
            }
        }
    }
}

/// Flash with words that hold a whole copy of a short record.
type Wide = SimFlash<4, 32, 1024>;

/// A word that a power cut has torn: what the flash holds if it reads as before, and if it reads as it should.
struct TornWord {
    at: usize,
    readings: [Vec<u8>; 2],
}

impl TornWord {
    fn of(readings: [Vec<u8>; 2]) -> Option<Self> {
        let differ = |at: &usize| readings[0][*at] != readings[1][*at];
        let mut differing = (0..readings[0].len()).filter(differ);
        let at = differing.next()? / 32 * 32;
        differing.all(|other| other / 32 * 32 == at).then_some(Self { at, readings })
    }

    /// Lets it read so, if nothing was done to it since, by who left these bytes and erased these banks.
    fn reads_as(&self, reading: usize, since: &[u8], (bytes, erased): (&mut [u8], &[usize])) {
        let word = self.at..self.at + 32;
        if erased[self.at / 1024] == 0 && bytes[word.clone()] == since[word.clone()] {
            bytes[word.clone()].copy_from_slice(&self.readings[reading][word]);
        }
    }
}

/// A journal that was being opened when the power failed.
struct Reopened {
    readings: [Vec<u8>; 2],
    erased: Vec<usize>,
}

/// Opens a journal, and cuts the power at a step; none if it does not come to that.
fn cut_while_opening(bytes: &[u8], step: u64) -> Option<Reopened> {
    let cut = |outcome| {
        let supply = Supply::new();
        let mut flash = Wide::holding(bytes).on(&supply);
        supply.arm(Cut { step, outcome }, 0);
        let _ = Journal::open(&mut flash);
        supply.is_down().then(|| (flash.bytes(), flash.erase_counts()))
    };
    let ((nothing, erased), (done, _)) = (cut(Outcome::Nothing)?, cut(Outcome::Done)?);
    Some(Reopened { readings: [nothing, done], erased })
}

/// Two cuts leave two torn words, each of which reads as before or as it should, and otherwise at the next look.
#[test]
fn words_that_read_otherwise_at_each_look_take_no_record_back() {
    let all: Vec<_> = interrupted::<4, 32, 1024>(Chip::PLAIN, 1024, 6).collect();
    let mut looks = [0; 2];
    for one_step in all.chunk_by(|one, next| one.cut.step == next.cut.step) {
        let end = |outcome| {
            let mut ends = one_step.iter().filter(|one| one.cut.outcome == outcome);
            ends.next().expect("each outcome").flash.bytes()
        };
        let ends = [Outcome::Nothing, Outcome::Done].map(end);
        let Some(first) = TornWord::of(ends) else { continue };
        let next = one_step[0].next;
        let steps = |bytes| (0..40).map(move |step| (bytes, step));
        for (before, step) in first.readings.iter().flat_map(steps) {
            let Some(Reopened { readings, erased }) = cut_while_opening(before, step) else {
                continue;
            };
            let Some(second) = TornWord::of(readings) else { continue };
            for readings in 0..16 {
                let reading = |look: usize, word: usize| readings >> (2 * look + word) & 1;
                let mut now = second.readings[reading(0, 1)].clone();
                first.reads_as(reading(0, 0), before, (&mut now, &erased));
                let is_first_left = erased[first.at / 1024] == 0;
                let later = |mut bytes: Vec<u8>, erased: &[usize]| {
                    second.reads_as(reading(1, 1), &now, (&mut bytes, erased));
                    if is_first_left {
                        first.reads_as(reading(1, 0), &now, (&mut bytes, erased));
                    }
                    known(&mut Journal::open(&mut Wide::holding(&bytes)).expect("opens"))
                };
                let what = || format!("{:?}, step {step}, {readings:#b}", one_step[0].cut);

                let mut flash = Wide::holding(&now);
                let seen = known(&mut Journal::open(&mut flash).expect("opens"));
                assert!(seen == after(next) || seen == after(next + 1), "{seen:?}: {}", what());
                let found = later(flash.bytes(), &flash.erase_counts());
                looks[0] += 1;
                let is_kept = found == seen || found == after(next + 1);
                assert!(is_kept, "{found:?} after {seen:?}: {}", what());

                // Of a bank whose erasure is cut short, the front is left. A mark that is torn may itself read as erased
                // again, which nothing tells from one that was never begun.
                if second.at % 1024 == 0 {
                    continue;
                }
                for cut in (0..2).filter_map(|step| cut_while_opening(&now, step)) {
                    let [mut torn, erased] = cut.readings;
                    let Some(at) = (0..torn.len()).find(|at| erased[*at] & !torn[*at] != 0) else {
                        continue;
                    };
                    let bank = at / 1024 * 1024;
                    torn[bank + 96..bank + 1024].fill(0xff);
                    let found = later(torn, &cut.erased);
                    looks[1] += 1;
                    let is_kept = found == after(next) || found == after(next + 1);
                    assert!(is_kept, "{found:?} after an erasure: {}", what());
                }
            }
        }
    }
    println!("journal: {looks:?} looks at words that read otherwise each time");
}

/// Of a record in one word, CRC and all, a cut may leave bits that read differently each time.
#[test]
fn a_copy_in_doubt_is_taken_as_it_was_written_or_not_at_all() {
    let (old, mut new) = ([0x11; 12], [0x22; 12]);
    new[8..].copy_from_slice(&[0xff, 0xfb, 0x7f, 0xfe]);
    let mut taken = 0;
    for seed in 0..60_000 {
        let supply = Supply::new();
        let mut flash = SimFlash::<1, 16, 512>::erased(1024).on(&supply);
        let mut journal = Journal::open(&mut flash).expect("opens");
        journal.append(RecordKind::Progress, &old).expect("written");
        supply.arm(Cut { step: 1, outcome: Outcome::Unstable }, seed);
        journal.append(RecordKind::Progress, &new).expect_err("the cut comes");
        supply.restore();
        let mut into = [0; 12];
        let mut journal = Journal::open(&mut flash).expect("opens");
        let got = journal.read(RecordKind::Progress, &mut into).expect("readable");
        taken += u32::from(got == Some(&new));
        assert!(got == Some(&old) || got == Some(&new), "{got:02x?}, seed {seed}");
    }
    assert!(taken > 0, "it reads well now and then");
}

/// Flash with a word that reads well whenever its bank is looked through, and badly whenever it is to be copied.
struct Moody {
    flash: SimFlash<1, 8, 1024>,
    word: Range<usize>,
    is_copying: bool,
}

impl Moody {
    fn bank(&self) -> usize {
        self.word.start / 1024 * 1024
    }
}

impl ErrorType for Moody {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Moody {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Self::Error> {
        self.flash.read(offset, into).map_err(|error| error.kind())?;
        let from = offset as usize;
        // Whoever looks through a bank begins at its front.
        self.is_copying &= !(self.bank()..self.bank() + 32).contains(&from);
        if self.is_copying {
            let bad = into.iter_mut().zip(from..).filter(|(_, at)| self.word.contains(at));
            bad.for_each(|(byte, _)| *byte ^= 1);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Moody {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 1024;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        // A rotation erases the other bank before it copies.
        self.is_copying = true;
        self.flash.erase(from, to).map_err(|error| error.kind())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.flash.write(offset, bytes).map_err(|error| error.kind())
    }
}

/// Nobody has acted on a record whose second copy was not begun, so it costs itself and not the journal.
#[test]
fn a_record_in_doubt_that_cannot_be_copied_is_dropped() {
    let supply = Supply::new();
    let mut before = SimFlash::<1, 8, 1024>::erased(2048).on(&supply);
    append(&mut before, 0, 3).expect("no cut");
    let mut dropped = 0;
    for step in 0.. {
        let mut flash = before.clone();
        supply.arm(Cut { step, outcome: Outcome::Nothing }, 0);
        if append(&mut flash, 3, 4).is_ok() {
            break;
        }
        supply.restore();
        let is_there = known(&mut Journal::open(&mut flash.clone()).expect("opens")) == after(4);
        let (old, new) = (before.bytes(), flash.bytes());
        let written = (0..old.len()).rev().find(|at| old[*at] != new[*at]);
        let Some(last) = written.filter(|_| is_there) else { continue };
        let word = last / 8 * 8..last / 8 * 8 + 8;
        let mut journal = Journal::open(Moody { flash, word, is_copying: false });
        let journal = journal.as_mut().expect("it opens without the record");
        let mut into = [0; 128];
        let read = journal.read(KINDS[0], &mut into).expect("readable");
        dropped += u32::from(read == Some(&payload(0)));
    }
    assert!(dropped > 0, "a cut comes between the copies");
}

#[test]
fn what_the_device_needs_always_has_room() {
    let needed = [
        (RecordKind::Life, LifeState::LEN),
        (RecordKind::Progress, Progress::LEN),
        (RecordKind::Staging, Staging::MAX_LEN),
    ];
    for others in 1..1024 {
        let mut journal = Journal::open(SimFlash::<1, 8, 2048>::erased(4096)).expect("opens");
        let fits = journal.append(RecordKind::Application, &vec![1; others]).is_ok();
        if !fits {
            assert!(others > 100, "most of a bank is free");
            return;
        }
        for round in 2..22 {
            for (kind, len) in needed {
                journal.append(kind, &vec![round; len]).expect("there is room");
            }
            // What was taken once can be replaced by what is as long, with all of the rest at its longest.
            let replaced = journal.append(RecordKind::Application, &vec![round; others]);
            assert_eq!(replaced, Ok(()), "{others} bytes");
        }
    }
    panic!("a bank of 2048 bytes holds everything");
}

/// The boot loader may be older than the application.
#[test]
fn what_a_later_version_keeps_outlives_rotations() {
    let mut journal = Journal::open(SimFlash::<1, 8, 1024>::erased(2048)).expect("opens");
    journal.append(RecordKind::Later1, b"of a later version").expect("there is room");
    let mut journal = Journal::open(journal.into_flash()).expect("opens");
    for n in 0..50 {
        journal.append(RecordKind::Life, &[n; 56]).expect("there is room");
    }
    let mut journal = Journal::open(journal.into_flash()).expect("opens");
    let mut into = [0; 64];
    let kept = journal.read(RecordKind::Later1, &mut into);
    assert_eq!(kept, Ok(Some(&b"of a later version"[..])));
}

#[test]
fn what_is_kept_already_is_not_written_again() {
    let supply = Supply::new();
    let flash = SimFlash::<4, 8, 2048>::erased(4096).on(&supply);
    let mut journal = Journal::open(flash).expect("opens");
    let document = |last| [vec![7; 300], vec![last]].concat();
    journal.append(RecordKind::Flags, &document(1)).expect("there is room");
    let steps = supply.steps();
    journal.append(RecordKind::Flags, &document(1)).expect("it is there");
    assert_eq!(supply.steps(), steps, "no flash is worn");
    journal.append(RecordKind::Flags, &document(2)).expect("there is room");
    assert!(supply.steps() > steps, "another one is written");
    let mut into = [0; 301];
    assert_eq!(journal.read(RecordKind::Flags, &mut into), Ok(Some(&document(2)[..])));
}

/// What failed halfway could count at the next start, unless something is written behind what is kept.
#[test]
fn what_is_kept_is_written_again_where_another_record_was_begun() {
    let mut taken_back = 0;
    for accesses in 0.. {
        let chip = RefCell::new(SimFlash::<1, 8, 1024>::erased(2048));
        let open = || {
            let whole = Partition::new(&chip, 0, 2048).expect("whole sectors");
            Journal::open(whole).expect("opens")
        };
        let mut journal = open();
        journal.append(RecordKind::Flags, b"kept").expect("there is room");
        chip.borrow_mut().fail_after(accesses);
        if journal.append(RecordKind::Flags, b"more").is_ok() {
            break;
        }
        chip.borrow_mut().fail_after(usize::MAX);
        journal.append(RecordKind::Flags, b"kept").expect("there is room");
        taken_back += 1;
        let mut into = [0; 8];
        let kept = open().read(RecordKind::Flags, &mut into);
        assert_eq!(kept, Ok(Some(&b"kept"[..])), "after {accesses} accesses");
    }
    assert!(taken_back > 1, "one of its copies was written");
}

#[test]
fn any_flipped_bit_is_survived_without_the_latest_record_being_lost() {
    let mut flash = SimFlash::<1, 4, 1024>::erased(2048);
    append(&mut flash, 0, 11).expect("no cut");
    let whole = flash.bytes();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let mut flash = SimFlash::<1, 4, 1024>::holding(&bytes);
            let seen = known(&mut Journal::open(&mut flash).expect("opens"));
            assert_eq!(seen, after(11), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn records_and_regions_that_do_not_fit_are_refused() {
    let mut flash = SimFlash::<1, 4, 256>::erased(512);
    let mut journal = Journal::open(&mut flash).expect("opens");
    assert!(journal.was_lost());
    assert_eq!(journal.append(RecordKind::Flags, &[0; 1025]), Err(JournalError::TooLong));
    let full = journal.append(RecordKind::Flags, &[0; 200]);
    assert_eq!(full, Err(JournalError::Full));
    journal.append(RecordKind::Life, &[1; 20]).expect("there is room");
    let reopened = Journal::open(journal.into_flash()).expect("opens");
    assert!(!reopened.was_lost());
    let mut odd = SimFlash::<1, 4, 256>::erased(768);
    assert_eq!(Journal::open(&mut odd).map(|_| ()), Err(JournalError::Geometry));
}

#[test]
fn each_bank_is_erased_once_in_a_turn() {
    let mut flash = SimFlash::<1, 4, 1024>::erased(2048);
    append(&mut flash, 0, 60).expect("no cut");
    let [a, b] = flash.erase_counts()[..] else { panic!("two sectors") };
    assert!(a.abs_diff(b) <= 1, "{a} and {b}");
    assert!(a + b < 60, "{a} and {b} erases for 60 records");
}

/// What a released version has written into flash is read by all later ones.
#[test]
fn a_recorded_journal_is_still_read() {
    let mut flash = SimFlash::<1, 4, 256>::erased(2048);
    append(&mut flash, 0, 9).expect("no cut");
    assert_file(&golden("journal.bin"), &flash.bytes());
    let recorded = std::fs::read(golden("journal.bin")).expect("it is committed");
    let mut flash = SimFlash::<1, 4, 256>::holding(&recorded);
    append(&mut flash, 9, 9).expect("it is a journal");
    assert_eq!(known(&mut Journal::open(&mut flash).expect("opens")), after(9));
}
