//! The adapter does what embassy-boot's own code does, and cuts between operations are harmless.

use whittle_flash_sim::{Chip, Outcome};

use crate::device::{Device, Image, Updater};
use crate::sweep::{Cuts, Phase, sweep};

/// What happens to a device.
#[derive(Clone, Copy, Debug)]
enum Event {
    Ask,
    Confirm,
    Boot,
}

#[test]
fn the_adapter_writes_what_embassy_boot_writes() {
    fn run<const W: usize, const E: usize>(chip: Chip) {
        use Event::{Ask, Boot, Confirm};
        let stories: [&[Event]; 5] = [
            &[Ask, Ask, Boot, Confirm, Confirm, Boot],
            &[Ask, Boot, Boot, Boot, Ask, Boot, Confirm, Boot],
            &[Ask, Confirm, Boot, Ask, Boot, Confirm],
            &[Boot, Confirm, Ask, Boot, Boot, Confirm, Boot],
            &[Confirm, Ask, Boot, Boot, Ask, Boot, Boot, Boot],
        ];
        for story in stories {
            let mut devices = [Updater::Embassy, Updater::Whittle]
                .map(|updater| Device::<W, E>::new(chip, updater));
            for event in story {
                for device in &mut devices {
                    match event {
                        Ask => device.ask(),
                        Confirm => device.confirm(),
                        Boot => device.boot(),
                    }
                    .expect("no cut");
                }
                let [mut theirs, ours] =
                    [&devices[0], &devices[1]].map(|device| device.state.bytes());
                if theirs[..W] == [0xd0; W] {
                    // The adapter makes the progress invalid in front of this magic.
                    theirs[W..2 * W].fill(0);
                }
                assert_eq!(ours, theirs, "{W}, {story:?}: {event:?}");
            }
        }
    }
    for chip in [Chip::PLAIN, Chip::CORRECTING] {
        run::<1, 256>(chip);
        run::<4, 256>(chip);
        run::<8, 512>(chip);
        run::<32, 1024>(chip);
    }
}

#[test]
fn an_unconfirmed_image_is_swapped_back_and_a_confirmed_one_stays() {
    for updater in Updater::ALL {
        let mut device = Device::<4, 256>::new(Chip::PLAIN, updater);
        let boots = |device: &mut Device<4, 256>| {
            device.boot().expect("no cut");
            device.image()
        };
        device.ask().expect("no cut");
        assert_eq!([boots(&mut device), boots(&mut device)], [Image::New, Image::Old]);
        let mut device = Device::<4, 256>::new(Chip::PLAIN, updater);
        device.ask().expect("no cut");
        assert_eq!(boots(&mut device), Image::New);
        device.confirm().expect("no cut");
        assert_eq!([boots(&mut device), boots(&mut device)], [Image::New; 2]);
    }
}

#[test]
fn cuts_between_operations_leave_a_whole_image() {
    for updater in Updater::ALL {
        for phase in Phase::ALL {
            let clean = Cuts::Every(&[Outcome::Nothing, Outcome::Done]);
            let tally = sweep::<8, 256>(Chip::PLAIN, updater, phase, clean);
            assert_eq!((tally.mixed, tally.no_boot), (0, 0), "{updater:?}, {phase:?}");
        }
    }
}

#[test]
fn a_confirmation_by_the_adapter_leaves_a_whole_image() {
    let every = Cuts::Every(&Outcome::ALL);
    for updater in [Updater::Whittle, Updater::WhittleRewriting] {
        let tally = sweep::<1, 256>(Chip::PLAIN, updater, Phase::Confirm, every);
        assert_eq!((tally.mixed, tally.no_boot), (0, 0), "{updater:?}");
    }
    for chip in [Chip::PLAIN, Chip { corrects_errors: true, ..Chip::PLAIN }] {
        let words = Cuts::ErasesByWords;
        let tally = sweep::<4, 256>(chip, Updater::WhittleRewriting, Phase::Confirm, words);
        assert_eq!((tally.mixed, tally.no_boot), (0, 0), "{chip:?}");
    }
}
