//! The journal under power cuts: at every word and sector, with every outcome, and again during recovery.

use whittle_flash_sim::{Chip, Cut, Outcome, SimFlash, Supply};
use whittle_patcher_nostd::{Journal, JournalError, RecordKind};

const KINDS: [RecordKind; 3] = [RecordKind::Life, RecordKind::Progress, RecordKind::Flags];

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

/// Appends records `from..to`; returns how many of them the journal acknowledged.
fn append<const R: usize, const W: usize, const E: usize>(
    flash: &mut SimFlash<R, W, E>,
    from: u8,
    to: u8,
) -> Result<(), u8> {
    let mut journal = Journal::open(flash).map_err(|_| from)?;
    for n in from..to {
        journal.append(KINDS[usize::from(n) % 3], &payload(n)).map_err(|_| n)?;
    }
    Ok(())
}

/// Of each kind the last of the records `0..count`.
fn after(count: u8) -> Known {
    [0, 1, 2].map(|kind| (0..count).rev().find(|n| n % 3 == kind))
}

/// Checks what a device knows after the power came back while record `next` was being appended, and returns the number
/// of the record that comes next.
fn recovered<const R: usize, const W: usize, const E: usize>(
    flash: &mut SimFlash<R, W, E>,
    next: u8,
    what: &dyn Fn() -> String,
) -> u8 {
    let first = known(
        &mut Journal::open(&mut *flash).unwrap_or_else(|error| panic!("{error}: {}", what())),
    );
    assert!(first == after(next) || first == after(next + 1), "{first:?} at {next}: {}", what());
    for _ in 0..3 {
        let again = known(&mut Journal::open(&mut *flash).expect("opens"));
        assert_eq!(again, first, "what was read stays: {}", what());
    }
    if first == after(next + 1) { next + 1 } else { next }
}

struct Sweep {
    cuts: u64,
}

/// Cuts the power once, and then, if `twice`, at every step of the recovery and what follows.
fn sweep<const R: usize, const W: usize, const E: usize>(
    chip: Chip,
    bank: usize,
    records: u8,
    twice: bool,
) -> Sweep {
    let fresh = || {
        let supply = Supply::new();
        (SimFlash::<R, W, E>::erased(2 * bank).with(chip).on(&supply), supply)
    };
    let (mut flash, supply) = fresh();
    append(&mut flash, 0, records).expect("no cut");
    let mut cuts = 0;
    for step in 0..supply.steps() {
        for outcome in Outcome::ALL {
            let (mut flash, supply) = fresh();
            let cut = Cut { step, outcome };
            supply.arm(cut, step);
            let next = append(&mut flash, 0, records).expect_err("the cut comes");
            supply.restore();
            let what = || format!("{W}/{E}, {chip:?}, {cut:?}");
            cuts += 1;
            if !twice {
                let next = recovered(&mut flash, next, &what);
                append(&mut flash, next, records).expect("no more cuts");
                assert_eq!(known(&mut Journal::open(&mut flash).expect("opens")), after(records));
                continue;
            }
            for second in 0.. {
                for outcome in Outcome::ALL {
                    // Few records in the second life: what matters is the rotation and what follows it at once.
                    let mut flash = flash.clone().on(&supply);
                    let cut = Cut { step: second, outcome };
                    supply.arm(cut, step ^ second);
                    let done = append_next(&mut flash, next);
                    let came = supply.is_down();
                    supply.restore();
                    let what = || format!("{}, then {cut:?}", what());
                    let (low, high) = match done {
                        Ok(next) => (next, next),
                        // Whether the first life's last record was there is not known; nor whether this one's is.
                        Err(next) => (next, next + 1),
                    };
                    let seen = known(
                        &mut Journal::open(&mut flash)
                            .unwrap_or_else(|e| panic!("{e}: {}", what())),
                    );
                    assert!(
                        (low..=high + 1).any(|count| seen == after(count)),
                        "{seen:?}, {low}: {}",
                        what()
                    );
                    for _ in 0..2 {
                        let again = known(&mut Journal::open(&mut flash).expect("opens"));
                        assert_eq!(again, seen, "what was read stays: {}", what());
                    }
                    cuts += 1;
                    if !came {
                        break;
                    }
                }
                let mut flash = flash.clone();
                supply.arm(Cut { step: second, outcome: Outcome::Nothing }, 1);
                let _ = append_next(&mut flash, next);
                let came = supply.is_down();
                supply.restore();
                if !came {
                    break;
                }
            }
        }
    }
    Sweep { cuts }
}

/// Opens, looks which record is the next, and appends two; `Err` tells the last one that was surely there.
fn append_next<const R: usize, const W: usize, const E: usize>(
    flash: &mut SimFlash<R, W, E>,
    next: u8,
) -> Result<u8, u8> {
    let mut journal = Journal::open(flash).map_err(|_| next)?;
    let seen = known(&mut journal);
    let next = if seen == after(next + 1) { next + 1 } else { next };
    assert_eq!(seen, after(next));
    for n in next..next + 2 {
        journal.append(KINDS[usize::from(n) % 3], &payload(n)).map_err(|_| n)?;
    }
    Ok(next + 2)
}

#[test]
fn no_cut_loses_or_tears_a_record() {
    let mut cuts = 0;
    for chip in [Chip::PLAIN, Chip::CORRECTING, Chip::INVERTED] {
        cuts += sweep::<1, 4, 256>(chip, 1024, 14, false).cuts;
        cuts += sweep::<1, 8, 1024>(chip, 1024, 14, false).cuts;
        cuts += sweep::<4, 32, 512>(chip, 1024, 14, false).cuts;
        cuts += sweep::<1, 256, 4096>(chip, 4096, 14, false).cuts;
    }
    cuts += sweep::<1, 1, 1024>(Chip::PLAIN, 1024, 8, false).cuts;
    println!("journal: {cuts} cuts");
}

#[test]
fn no_second_cut_during_recovery_does_either() {
    let mut cuts = 0;
    for chip in [Chip::PLAIN, Chip::CORRECTING, Chip::INVERTED] {
        cuts += sweep::<4, 32, 1024>(chip, 1024, 5, true).cuts;
    }
    println!("journal: {cuts} pairs of cuts");
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
    assert_eq!(
        journal.append(RecordKind::Flags, &[0; 1025]),
        Err(JournalError::TooLong { got: 1025, limit: 1024 })
    );
    let full = journal.append(RecordKind::Flags, &[0; 200]);
    assert_eq!(full, Err(JournalError::Full { bank: 256 }));
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
