//! A boot loader and a thermostat on an emulated Cortex-M4 and RV32: updates from one signed release to the next, through
//! crashes, hangs, failed health checks and power cuts. `examples/device` is what runs there, and on the Cortex-M4 the same
//! thermostat under embassy and RTIC.

// The firmware's own: written once.
#[allow(dead_code, unreachable_pub, reason = "the linker and the firmware use the rest")]
#[path = "../../../examples/device/src/layout.rs"]
mod layout;
mod rig;

use whittle_flash_sim::SimFlash;
use whittle_patcher_nostd::{Journal, RecordKind};

use layout::{JOURNAL, SECTOR, SLOT_A, SLOT_B, Stop};
use rig::{AGAIN_PER_CUT, Firmware, Rig, Run, Second, story};

macro_rules! tests_of {
    ($module:ident, $firmware:ident, $($scenario:ident),*) => {
        mod $module {
            $(#[test] fn $scenario() { super::$scenario(super::Firmware::$firmware()) })*
        }
    };
}

macro_rules! on_both_boards {
    ($($scenario:ident),* $(,)?) => {
        tests_of!(on_a_cortex_m4, for_cortex_m4, $($scenario),*);
        tests_of!(on_an_rv32, for_rv32, $($scenario),*);
    };
}

macro_rules! under_both_frameworks {
    ($($scenario:ident),* $(,)?) => {
        tests_of!(under_embassy, under_embassy, $($scenario),*);
        tests_of!(under_rtic, under_rtic, $($scenario),*);
    };
}

on_both_boards! {
    a_good_release_is_committed,
    a_release_that_crashes_is_rolled_back,
    a_release_that_hangs_is_rolled_back,
    a_release_that_fails_its_health_check_is_rolled_back,
    a_release_that_misses_its_deadline_is_rolled_back,
    a_downgrade_is_refused,
    a_transfer_that_goes_wrong_ends_with_the_full_image,
    connections_that_break_cost_no_delta,
    a_package_that_another_one_replaces_is_given_up,
    a_damaged_slot_is_replaced_by_the_other_one,
    nothing_boots_that_is_not_whole,
    a_lost_journal_is_no_brick,
    power_cuts_during_an_update_cost_at_most_a_block,
    power_cuts_during_a_crash_loop_do_not_hide_it,
    power_cuts_during_a_rollback_do_not_undo_it,
}

under_both_frameworks! {
    a_good_release_is_committed,
    a_release_that_crashes_is_rolled_back,
    a_release_that_hangs_is_rolled_back,
    a_release_that_fails_its_health_check_is_rolled_back,
    a_release_that_misses_its_deadline_is_rolled_back,
    a_transfer_that_goes_wrong_ends_with_the_full_image,
    connections_that_break_cost_no_delta,
    a_power_cut_in_each_step_loses_nothing,
}

const UPDATE: [&str; 6] = [
    "boot loader: cause=PowerOn slot=A version=1.0.0",
    "thermostat: version=1.0.0",
    "update: phase=Idle ending=None counter=1",
    "update: downloaded \"2.0.0\"",
    "update: installed",
    "stop: Software",
];

#[track_caller]
fn assert_tells(runs: &[Run], lines: &[&[&str]]) {
    let (told, expected) = (story(runs), lines.concat());
    assert!(told == expected, "{told:#?}\ninstead of\n{expected:#?}");
}

fn a_good_release_is_committed(firmware: &'static Firmware) {
    let mut rig = Rig::new(firmware).offering(Second::Works);
    let runs = rig.day();
    let trial = [
        "boot loader: cause=Software slot=B version=2.0.0",
        "thermostat: version=2.0.0",
        "update: phase=Trial ending=None counter=1",
        "update: trial ends, Committed",
        "stop: Over",
    ];
    assert_tells(&runs, &[&UPDATE, &trial]);
    let next = [
        "boot loader: cause=PowerOn slot=B version=2.0.0",
        "thermostat: version=2.0.0",
        "update: phase=Idle ending=Committed counter=2",
        "stop: Over",
    ];
    assert_tells(&rig.day(), &[&next]);

    let fetched: usize = runs.iter().map(Run::fetched).sum();
    assert_eq!(fetched, firmware.two[&Second::Works].delta.len());
    let most = |program| runs.iter().flat_map(|run| run.stack_bytes(program)).max().unwrap_or(0);
    let (boot_loader, application) = (most("boot loader"), most("update"));
    println!("stack bytes: {}, boot loader {boot_loader}, update {application}", firmware.target());
    assert!(boot_loader < 16 << 10 && application < 20 << 10, "{boot_loader}, {application}");
}

/// What the old release says after a rollback; it is not tempted twice.
fn back(cause: &str, ending: &str) -> Vec<String> {
    vec![
        format!("boot loader: cause={cause} slot=A version=1.0.0"),
        "thermostat: version=1.0.0".to_owned(),
        format!("update: phase=Idle ending={ending} counter=1"),
        "update: error=this target was rolled back before".to_owned(),
        "stop: Over".to_owned(),
    ]
}

/// An update to a bad release: what each run on trial tells, after which cause.
#[track_caller]
fn rolls_back(rig: &mut Rig, trials: &[&[&str]], cause: &str, ending: &str) {
    let back = back(cause, ending);
    let back: Vec<&str> = back.iter().map(String::as_str).collect();
    assert_tells(&rig.day(), &[&[&UPDATE[..]], trials, &[&back]].concat());
}

fn a_release_that_crashes_is_rolled_back(firmware: &'static Firmware) {
    let trial = [
        "boot loader: cause=Software slot=B version=2.0.0",
        "thermostat: version=2.0.0",
        "thermostat: panics: a bad release",
        "stop: Software",
    ];
    let mut rig = Rig::new(firmware).offering(Second::Crashes);
    rolls_back(&mut rig, &[&trial[..]; 3], "Software", "Crashed");
}

fn a_release_that_hangs_is_rolled_back(firmware: &'static Firmware) {
    let first = "boot loader: cause=Software slot=B version=2.0.0";
    let later = "boot loader: cause=Watchdog slot=B version=2.0.0";
    let hangs = ["thermostat: version=2.0.0", "stop: Watchdog"];
    let trials: [&[&str]; 6] = [&[first], &hangs, &[later], &hangs, &[later], &hangs];
    let mut rig = Rig::new(firmware).offering(Second::Hangs);
    rolls_back(&mut rig, &trials, "Watchdog", "Crashed");
}

#[track_caller]
fn is_judged(firmware: &'static Firmware, second: Second, ending: &str) {
    let verdict = format!("update: trial ends, {ending}");
    let trial = [
        "boot loader: cause=Software slot=B version=2.0.0",
        "thermostat: version=2.0.0",
        "update: phase=Trial ending=None counter=1",
        &verdict,
        "stop: Software",
    ];
    rolls_back(&mut Rig::new(firmware).offering(second), &[&trial], "Software", ending);
}

fn a_release_that_fails_its_health_check_is_rolled_back(firmware: &'static Firmware) {
    is_judged(firmware, Second::Ill, "Unhealthy");
}

fn a_release_that_misses_its_deadline_is_rolled_back(firmware: &'static Firmware) {
    is_judged(firmware, Second::Slow, "TooLate");
}

/// A device that has committed the second release.
fn updated(firmware: &'static Firmware) -> Rig {
    let mut rig = Rig::new(firmware).offering(Second::Works);
    rig.day();
    rig
}

fn a_downgrade_is_refused(firmware: &'static Firmware) {
    let mut rig = updated(firmware);
    rig.put("from-2.0.0.pkg", &firmware.one.full);
    let refused = [
        "boot loader: cause=PowerOn slot=B version=2.0.0",
        "thermostat: version=2.0.0",
        "update: phase=Idle ending=Committed counter=2",
        "update: error=package has a lower security counter than the device requires",
        "stop: Over",
    ];
    let runs = rig.day();
    assert_tells(&runs, &[&refused]);
    assert_eq!(runs[0].writes(), 0);
}

fn a_transfer_that_goes_wrong_ends_with_the_full_image(firmware: &'static Firmware) {
    let mut rig = Rig::new(firmware).offering(Second::Works);
    let mut wrong = firmware.two[&Second::Works].delta.clone();
    *wrong.last_mut().expect("not empty") ^= 1;
    rig.put("from-1.0.0.pkg", &wrong);
    for ending in ["None", "Abandoned"] {
        let runs = rig.day();
        assert_eq!(runs[0].values("ending").next(), Some(ending));
        assert!(story(&runs)[3].ends_with("is not the one that was signed"), "{runs:#?}");
    }
    // In the middle of the full image, whose package the device then asks for at once.
    assert_eq!(rig.run(Some(300)).stop, Stop::PowerLost);
    let runs = rig.day();
    assert!(!story(&runs).contains(&"update: asks for the full image".to_owned()), "{runs:#?}");
    assert_eq!(rig.day()[0].values("ending").next(), Some("Committed"));
}

fn connections_that_break_cost_no_delta(firmware: &'static Firmware) {
    let mut rig = Rig::new(firmware).offering(Second::Works);
    let delta = &firmware.two[&Second::Works].delta;
    // More often than a delta may fail.
    for quarter in 0..4 {
        rig.put("from-1.0.0.pkg", &delta[..delta.len() * quarter / 4]);
        let runs = rig.day();
        assert_eq!(runs[0].values("ending").next(), Some("None"));
        assert_eq!(story(&runs).last().map(String::as_str), Some("stop: Over"), "{runs:#?}");
    }
    rig.put("from-1.0.0.pkg", delta);
    let told = story(&rig.day());
    assert!(told.contains(&"update: trial ends, Committed".to_owned()), "{told:#?}");
    assert!(!told.contains(&"update: asks for the full image".to_owned()), "{told:#?}");
}

fn a_package_that_another_one_replaces_is_given_up(firmware: &'static Firmware) {
    let (works, other) = (&firmware.two[&Second::Works], &firmware.two[&Second::Crashes].full);
    for (replacement, error) in [
        (&works.full, "is not the one that was signed"),
        (&works.delta, "the package is incomplete"),
    ] {
        let mut rig = Rig::new(firmware).offering(Second::Works);
        // So much of another release's full image that more is staged than a delta has.
        rig.put("from-1.0.0.pkg", &other[..other.len() * 3 / 4]);
        rig.day();
        let mut rig = rig.offering(Second::Works);
        rig.put("full.pkg", replacement);
        let told = story(&rig.day());
        assert!(told[3].ends_with(error), "{told:#?}");
        let told = story(&rig.day());
        assert!(told.contains(&"update: trial ends, Committed".to_owned()), "{told:#?}");
    }
}

fn a_damaged_slot_is_replaced_by_the_other_one(firmware: &'static Firmware) {
    let mut rig = Rig::new(firmware);
    rig.write(SLOT_B, &firmware.one.slot());
    rig.day();
    rig.flip(SLOT_A.start + 1000);
    let recovered = [
        "boot loader: cause=PowerOn slot=B version=1.0.0",
        "thermostat: version=1.0.0",
        "update: phase=Idle ending=Recovered counter=1",
        "stop: Over",
    ];
    assert_tells(&rig.day(), &[&recovered]);
}

const RECOVERY: [&str; 2] = ["boot loader: cause=PowerOn recovery", "stop: Recovery"];

fn nothing_boots_that_is_not_whole(firmware: &'static Firmware) {
    let mut rig = updated(firmware);
    rig.flip(SLOT_B.start + 1000);
    // Slot A is whole, but its release is older than what this device may run.
    assert_tells(&rig.day(), &[&RECOVERY]);
    rig.flip(SLOT_A.start + 1000);
    assert_tells(&rig.day(), &[&RECOVERY]);
    // Recovery by cable.
    rig.write(SLOT_A, &firmware.two[&Second::Works].slot());
    let recovered = [
        "boot loader: cause=PowerOn slot=A version=2.0.0",
        "thermostat: version=2.0.0",
        "update: phase=Idle ending=Recovered counter=2",
        "stop: Over",
    ];
    assert_tells(&rig.day(), &[&recovered]);
}

fn a_lost_journal_is_no_brick(firmware: &'static Firmware) {
    let mut rig = updated(firmware);
    rig.write(JOURNAL, &vec![0; JOURNAL.len()]);
    let believes_the_slots = [
        "boot loader: cause=PowerOn slot=B version=2.0.0",
        "thermostat: version=2.0.0",
        "update: phase=Idle ending=None counter=2",
        "stop: Over",
    ];
    assert_tells(&rig.day(), &[&believes_the_slots]);

    // A record of a later version, as after a downgrade of the boot loader.
    let mut flash = SimFlash::<1, 8, SECTOR>::holding(&rig.flash()[JOURNAL]);
    let mut journal = Journal::open(&mut flash).expect("opens");
    journal.append(RecordKind::Life, &[0xee; 8]).expect("appends");
    rig.write(JOURNAL, &flash.bytes());
    let told = story(&rig.day());
    assert!(told[0].starts_with("boot loader: journal holds an unknown record"), "{told:#?}");
    assert_eq!(told[1], "boot loader: cause=PowerOn slot=B version=2.0.0");
    assert_eq!(told.last().map(String::as_str), Some("stop: Over"));
}

/// How an update must end whatever happens to the power.
struct End {
    version: &'static str,
    ending: &'static str,
}

/// About as many writes as the download takes.
const DOWNLOAD: u32 = 60;

/// Cuts the power at every `every`th write of an update, three times as often in its download, and every other time again
/// in the recovery; returns all runs behind a cut.
fn sweep(firmware: &'static Firmware, second: Second, every: usize, end: &End) -> Vec<Run> {
    let mut rig = Rig::new(firmware).offering(second);
    let (mut all, mut cuts) = (Vec::new(), 0);
    let mut stop = Stop::Software;
    while stop == Stop::Software {
        let (flash, cause) = (rig.flash(), rig.cause());
        let uncut = rig.run(None);
        let (after, next_cause) = (rig.flash(), rig.cause());
        // The few writes of a trial are all worth a cut.
        let every = if uncut.writes() < 20 { 1 } else { every };
        let writes = (0..DOWNLOAD).step_by(every.div_ceil(3)).chain((DOWNLOAD..).step_by(every));
        for write in writes.take_while(|write| *write < uncut.writes()) {
            rig.go_back(&flash, cause);
            let mut runs = vec![rig.run(Some(write))];
            assert_eq!(runs[0].stop, Stop::PowerLost);
            if write % 2 == 1 {
                runs.push(rig.run(Some(write % 13)));
            }
            runs.extend(rig.day());
            runs.extend(rig.day());
            let lost = runs.iter().filter(|run| run.stop == Stop::PowerLost).count();
            check_end(&runs, uncut.fetched() + lost * AGAIN_PER_CUT, end);
            cuts += lost;
            all.extend(runs.into_iter().skip(1));
        }
        rig.go_back(&after, next_cause);
        stop = uncut.stop;
    }
    let (target, boots) = (firmware.target(), all.len());
    println!("power cuts: QEMU, {target}, {second:?}: {cuts} cuts, {boots} boots, 0 bricks");
    all
}

#[track_caller]
fn check_end(runs: &[Run], most_fetched: usize, end: &End) {
    let last = runs.last().expect("a run");
    assert_eq!(last.stop, Stop::Over, "{runs:#?}");
    assert_eq!(last.values("version").last(), Some(end.version), "{runs:#?}");
    assert_eq!(last.values("ending").last(), Some(end.ending), "{runs:#?}");
    let counters: Vec<usize> = runs.iter().flat_map(|run| run.numbers("counter")).collect();
    assert!(counters.is_sorted(), "the security counter falls: {runs:#?}");
    let fetched: usize = runs.iter().map(Run::fetched).sum();
    assert!(fetched <= most_fetched, "{fetched} bytes instead of {most_fetched}: {runs:#?}");
}

fn power_cuts_during_an_update_cost_at_most_a_block(firmware: &'static Firmware) {
    let end = End { version: "2.0.0", ending: "Committed" };
    let runs = sweep(firmware, Second::Works, 11, &end);
    let found = |phase| runs.iter().any(|run| run.values("phase").next() == Some(phase));
    assert!(["Downloading", "Verified", "Trial"].into_iter().all(found), "interrupts each of them");
    let resumes = |run: &Run| run.numbers("at").next().is_some_and(|at| at > 0);
    assert!(runs.iter().any(resumes), "no download went on in its middle");
}

fn power_cuts_during_a_crash_loop_do_not_hide_it(firmware: &'static Firmware) {
    sweep(firmware, Second::Crashes, 41, &End { version: "1.0.0", ending: "Crashed" });
}

fn power_cuts_during_a_rollback_do_not_undo_it(firmware: &'static Firmware) {
    sweep(firmware, Second::Ill, 41, &End { version: "1.0.0", ending: "Unhealthy" });
}

/// One cut in the download, one in the installation, and one in the first trial.
fn a_power_cut_in_each_step_loses_nothing(firmware: &'static Firmware) {
    let mut rig = Rig::new(firmware).offering(Second::Works);
    for write in [20, 150] {
        assert_eq!(rig.run(Some(write)).stop, Stop::PowerLost);
    }
    assert_eq!(rig.run(None).stop, Stop::Software);
    assert_eq!(rig.run(Some(1)).stop, Stop::PowerLost);
    let mut runs = rig.day();
    runs.extend(rig.day());
    let last = runs.last().expect("a run");
    assert_eq!(last.values("version").last(), Some("2.0.0"), "{runs:#?}");
    assert_eq!(last.values("ending").last(), Some("Committed"), "{runs:#?}");
}

/// How often the control loop ran while an update was made, and by how much it was late at most, in microseconds.
fn control_loop(firmware: &'static Firmware) -> (usize, usize) {
    let update = Rig::new(firmware).offering(Second::Works).run(None);
    assert_eq!(update.stop, Stop::Software);
    let figure = |name| update.numbers(name).next().expect("the loop is measured");
    (figure("rounds"), figure("latest_us"))
}

/// What decodes yields where the flash is written; only signatures and the hash of the whole image are worked out at one go.
#[test]
fn the_control_loop_runs_between_writes_under_embassy() {
    let (rounds, latest_us) = control_loop(Firmware::under_embassy());
    println!("control loop under embassy: {rounds} rounds, {latest_us} us late at most");
    assert!(rounds > 20 && latest_us < 50_000, "{rounds} rounds, {latest_us} us late");
}

#[test]
fn the_control_loop_misses_no_round_under_rtic() {
    let (rounds, latest_us) = control_loop(Firmware::under_rtic());
    println!("control loop under RTIC: {rounds} rounds, {latest_us} us late at most");
    assert!(rounds > 20 && latest_us < 1000, "{rounds} rounds, {latest_us} us late");
}
