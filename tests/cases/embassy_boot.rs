//! The adapter for embassy-boot under power cuts; `tests/embassy-comparison` runs it against embassy-boot itself.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use whittle_flash_sim::{Chip, Cut, Outcome, SimFlash, Supply};
use whittle_patcher_nostd::embassy_boot::{
    BootState, EmbassyBootError, check_confirmed, get_state, mark_booted, mark_updated,
    max_image_bytes,
};

use crate::support::{build, install, small_series, test_key};

/// Writes what embassy-boot has written when it has swapped: every word of the progress is zero.
fn swap<const W: usize>(state: &mut SimFlash<1, W, 1024>) {
    for number in 2..10 {
        state.write(number * W as u32, &[0; W]).expect("no cut");
    }
}

#[test]
fn the_magic_tells_the_state() {
    for (magic, wanted) in [
        (0xf0, BootState::Swap),
        (0xd0, BootState::Boot),
        (0xc0, BootState::Revert),
        (0xe0, BootState::DfuDetach),
        (0xff, BootState::Boot),
        (0x00, BootState::Boot),
    ] {
        let mut state = SimFlash::<1, 8, 1024>::holding(&[magic; 8]);
        assert_eq!(get_state(&mut state), Ok(wanted), "{magic:x}");
    }
    let mut torn =
        SimFlash::<1, 8, 1024>::holding(&[0xf0, 0xf0, 0xf0, 0xf0, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(get_state(&mut torn), Ok(BootState::Boot));
}

#[test]
fn an_update_is_asked_for_once_and_confirmed_once() {
    let mut state = SimFlash::<1, 4, 1024>::used(2048);
    mark_updated(&mut state).expect("asks");
    assert_eq!(state.bytes()[..4], [0xf0; 4]);
    assert!(state.bytes()[4..].iter().all(|byte| *byte == 0xff), "erased");
    state.clear_log();
    mark_updated(&mut state).expect("is asked for");
    assert_eq!(state.log(), []);

    swap(&mut state);
    assert_eq!(mark_updated(&mut state), Err(EmbassyBootError::NotConfirmed));
    assert_eq!(check_confirmed(&mut state), Err(EmbassyBootError::NotConfirmed));
    mark_booted(&mut state).expect("confirms");
    assert_eq!(check_confirmed(&mut state), Ok(()));
    assert_eq!(state.bytes()[..8], [0xd0, 0xd0, 0xd0, 0xd0, 0, 0, 0, 0]);
    state.clear_log();
    mark_booted(&mut state).expect("is confirmed");
    assert_eq!(state.log(), []);
}

#[test]
fn a_delta_of_the_active_image_ends_in_the_dfu_partition() {
    type Partition = SimFlash<1, 4, 4096>;
    let (series, key) = (small_series(), test_key());
    let built = build(&series[2..], &key);
    let mut active = Partition::holding(series[2].bytes());
    let mut dfu = Partition::used(active.capacity() + 4096);
    let mut state = Partition::erased(4096);
    assert!(series[3].bytes().len() <= max_image_bytes(&active, &dfu));

    check_confirmed(&mut state).expect("nothing was swapped");
    install(&built.files[0].1, &mut active, &mut dfu);
    mark_updated(&mut state).expect("asks");
    assert!(dfu.bytes().starts_with(series[3].bytes()));
    assert_eq!(get_state(&mut state), Ok(BootState::Swap));
}

/// What is done with the state partition.
#[derive(Clone, Copy, Debug)]
enum Call {
    Updated,
    Booted,
}

impl Call {
    fn make<S: NorFlash>(self, state: &mut S) -> Result<(), EmbassyBootError> {
        match self {
            Self::Updated => mark_updated(state),
            Self::Booted => mark_booted(state),
        }
    }

    fn wanted(self) -> BootState {
        match self {
            Self::Updated => BootState::Swap,
            Self::Booted => BootState::Boot,
        }
    }
}

/// Cuts the power at every step of a call; returns how many cuts there were.
fn sweep<const W: usize>(chip: Chip, call: Call) -> u64 {
    let fresh = || {
        let supply = Supply::new();
        let mut state = SimFlash::<1, W, 1024>::used(2048).with(chip).on(&supply);
        match call {
            Call::Updated => mark_booted(&mut state).expect("no cut"),
            Call::Booted => {
                mark_updated(&mut state).expect("no cut");
                swap(&mut state);
            }
        }
        (state, supply)
    };
    let (mut whole, supply) = fresh();
    let (begun, before) = (supply.steps(), get_state(&mut whole).expect("readable"));
    call.make(&mut whole).expect("no cut");
    let steps = supply.steps() - begun;
    for (step, outcome) in (0..steps).flat_map(|step| Outcome::ALL.map(|outcome| (step, outcome))) {
        let (mut state, supply) = fresh();
        supply.arm(Cut { step, outcome }, step);
        call.make(&mut state).expect_err("the cut comes");
        supply.restore();
        let what = format!("{W}, {chip:?}, {call:?}, {step}, {outcome:?}");
        for _ in 0..8 {
            // embassy-boot does not start anything if it cannot read the magic.
            let now = get_state(&mut state);
            let fine = [Ok(before), Ok(BootState::Boot), Ok(call.wanted())];
            assert!(fine.contains(&now) || chip.corrects_errors, "{now:?}: {what}");
        }
        // A word that wavers may be taken for an erased one, which cannot be written twice on such a chip.
        let mut again = call.make(&mut state);
        for _ in 0..8 {
            again = again.or_else(|_| call.make(&mut state));
        }
        again.unwrap_or_else(|error| panic!("{error}: {what}"));
        // A magic that wavers may have been read as the wanted one.
        let is_certain = outcome.is_stable();
        assert!(!is_certain || state.bytes() == whole.bytes(), "{what}");
        for _ in 0..8 {
            let now = get_state(&mut state);
            assert!(now == Ok(call.wanted()) || !is_certain, "{now:?}: {what}");
        }
    }
    steps * Outcome::ALL.len() as u64
}

#[test]
fn a_call_that_is_cut_can_be_made_again() {
    let mut cuts = 0;
    for chip in [Chip::PLAIN, Chip::CORRECTING] {
        for call in [Call::Updated, Call::Booted] {
            cuts += sweep::<1>(chip, call);
            cuts += sweep::<4>(chip, call);
            cuts += sweep::<8>(chip, call);
            cuts += sweep::<32>(chip, call);
        }
    }
    println!("embassy-boot: {cuts} cuts");
}

#[test]
fn what_does_not_fit_is_refused_without_a_write() {
    let mut wide = SimFlash::<1, 64, 1024>::used(1024);
    assert_eq!(mark_updated(&mut wide), Err(EmbassyBootError::Geometry));
    assert_eq!(mark_booted(&mut wide), Err(EmbassyBootError::Geometry));
    assert_eq!(wide.log(), []);

    let active = SimFlash::<1, 4, 1024>::erased(8192);
    let dfu = SimFlash::<1, 4, 4096>::erased(12_288);
    assert_eq!(max_image_bytes(&active, &dfu), active.capacity());
    assert_eq!(max_image_bytes(&active, &active), 0, "the DFU partition is a page larger");
}

#[test]
fn a_broken_cell_is_told() {
    let mut state = SimFlash::<1, 4, 1024>::used(1024);
    state.break_cell(1, 4);
    assert_eq!(mark_updated(&mut state), Err(EmbassyBootError::ReadBack));
}
