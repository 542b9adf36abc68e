//! A board with its flash in a file, the releases of its firmware, and the power that comes and goes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use object::{Object as _, ObjectSegment as _};
use tempfile::TempDir;
use whittle_format::envelope::Envelope;
use whittle_format::manifest::HardwareRange;
use whittle_patcher_nostd::trailer;
use whittle_release::build::{self, Base, Request};
use whittle_release::{DeviceProfile, Image};

use super::layout::{self, Stop};
use crate::qemu::{Board, CORTEX_M4, RV32, build_firmware};
use crate::support::{request, test_key, tool};

/// Blocks of the deltas: a power cut in a download costs one of them.
const BLOCK_LOG2: u8 = 7;

/// What is fetched again after a power cut, at most: the envelope, or a block with its hash; and what was in flight.
pub(super) const AGAIN_PER_CUT: usize = 256 + 128;

/// What the second release does, by the feature that makes it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Second {
    Works,
    Crashes,
    Hangs,
    Ill,
    Slow,
}

impl Second {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Works, "two"),
        (Self::Crashes, "crashes"),
        (Self::Hangs, "hangs"),
        (Self::Ill, "ill"),
        (Self::Slow, "slow"),
    ];
}

/// A release as the server offers it.
pub(super) struct Release {
    pub(super) image: Image,
    pub(super) full: Vec<u8>,
    /// From release 1.0.0.
    pub(super) delta: Vec<u8>,
}

impl Release {
    /// The slot of a device that left the factory with this release.
    pub(super) fn slot(&self) -> Vec<u8> {
        let mut slot = vec![0xff; layout::SLOT_A.len()];
        slot[..self.image.bytes().len()].copy_from_slice(self.image.bytes());
        let envelope = Envelope::length(&self.full).expect("an envelope").expect("whole");
        let trailer = trailer(&self.full[..envelope]);
        let end = slot.len() - trailer.len();
        slot[end..].copy_from_slice(&trailer);
        slot
    }
}

/// All that is built for a board.
pub(super) struct Firmware {
    board: Board,
    boot_loader: Vec<u8>,
    pub(super) one: Release,
    pub(super) two: BTreeMap<Second, Release>,
}

impl Firmware {
    pub(super) fn for_cortex_m4() -> &'static Self {
        static FIRMWARE: OnceLock<Firmware> = OnceLock::new();
        FIRMWARE.get_or_init(|| Self::build("device", CORTEX_M4, &layout::MPS2))
    }

    pub(super) fn for_rv32() -> &'static Self {
        static FIRMWARE: OnceLock<Firmware> = OnceLock::new();
        FIRMWARE.get_or_init(|| Self::build("device", RV32, &layout::VIRT))
    }

    pub(super) fn under_embassy() -> &'static Self {
        static FIRMWARE: OnceLock<Firmware> = OnceLock::new();
        FIRMWARE.get_or_init(|| Self::build("embassy", CORTEX_M4, &layout::MPS2))
    }

    pub(super) fn under_rtic() -> &'static Self {
        static FIRMWARE: OnceLock<Firmware> = OnceLock::new();
        FIRMWARE.get_or_init(|| Self::build("rtic", CORTEX_M4, &layout::MPS2))
    }

    pub(super) fn target(&self) -> &'static str {
        self.board.target
    }

    /// The boot loader of `examples/device`, and an example's application.
    fn build(example: &str, board: Board, memory: &layout::Board) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let elf = |(example, binary), feature| {
            let to = directory.path().join(binary);
            build_firmware((example, binary), &board, &[feature], &to);
            std::fs::read(to).expect("it was built")
        };
        let load_address = u32::try_from(memory.application.code.start).expect("32 bits");
        let application = |feature| flat(&elf((example, "application"), feature), load_address);
        let image = application("");
        let (_, full) = release(load_address, &image, None, "1.0.0", 1);
        let one = Release { full, delta: Vec::new(), image };
        let two = Second::ALL.map(|(second, feature)| {
            let image = application(feature);
            let (delta, full) = release(load_address, &image, Some(&one.image), "2.0.0", 2);
            (second, Release { image, full, delta })
        });
        let boot_loader = elf(("device", "boot-loader"), "");
        Self { board, boot_loader, one, two: BTreeMap::from(two) }
    }
}

/// The image of a program, as it stands in a slot.
fn flat(elf: &[u8], load_address: u32) -> Image {
    let file = object::File::parse(elf).expect("an ELF file");
    let mut image = Vec::new();
    for segment in file.segments() {
        let bytes = segment.data().expect("within the file");
        let at = segment.address().wrapping_sub(load_address.into()) as usize;
        if !bytes.is_empty() {
            image.resize(image.len().max(at + bytes.len()), 0);
            image[at..][..bytes.len()].copy_from_slice(bytes);
        }
    }
    Image::new(image).expect("not empty")
}

/// The delta, if there is a base, and the full image.
fn release(
    load_address: u32,
    target: &Image,
    base: Option<&Image>,
    version: &str,
    security_counter: u32,
) -> (Vec<u8>, Vec<u8>) {
    let key = test_key();
    let request = Request {
        target_version: version.parse().expect("a label"),
        hardware: HardwareRange { min: 1, max: 1 },
        security_counter,
        bases: base.map(|image| Base { image: image.clone(), version: None }).into_iter().collect(),
        profile: DeviceProfile {
            decoder_ram_bytes: 16 * 1024,
            slot_bytes: Some(layout::SLOT_A.len() as u64 - 256),
            fixed_block_log2: Some(BLOCK_LOG2),
            load_address: Some(load_address),
            ..DeviceProfile::default()
        },
        ..request(std::slice::from_ref(target), &key)
    };
    let files = build::build(&request, &|_| {}).expect("builds").files;
    let package = |name: &str| {
        let found = files.iter().find(|(file, _)| file.contains(name));
        found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    };
    (package("from"), package("full"))
}

/// What happened between two resets.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) stop: Stop,
    lines: Vec<String>,
}

impl Run {
    /// The values that stand behind `name=`.
    pub(super) fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        let words = self.lines.iter().flat_map(|line| line.split(' '));
        words.filter_map(move |word| word.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn numbers<'r>(&'r self, name: &'r str) -> impl Iterator<Item = usize> {
        self.values(name).map(|value| value.parse().expect("a number"))
    }

    /// Writes to flash.
    pub(super) fn writes(&self) -> u32 {
        self.numbers("writes").sum::<usize>() as u32
    }

    /// Bytes that the server has sent of what the device takes.
    pub(super) fn fetched(&self) -> usize {
        let is_refused = self.lines.iter().any(|line| line.starts_with("update: error="));
        if is_refused { 0 } else { self.numbers("bytes").sum() }
    }

    /// How much stack a program has used.
    pub(super) fn stack_bytes(&self, program: &str) -> Option<usize> {
        let line = self
            .lines
            .iter()
            .find(|line| line.starts_with(program) && line.contains("stack_bytes"))?;
        line.rsplit('=').next()?.parse().ok()
    }

    /// What the device decided, without readings, bytes and figures.
    fn story(&self) -> impl Iterator<Item = String> {
        let told = self.lines.iter().filter(|line| {
            !["room=", "rounds=", "server:", "stack_bytes="].iter().any(|word| line.contains(word))
        });
        told.map(|line| line.split(" writes=").next().unwrap_or_default().to_owned())
    }
}

/// The lines of several runs that tell what the device decided.
pub(super) fn story(runs: &[Run]) -> Vec<String> {
    runs.iter().flat_map(Run::story).collect()
}

/// A device with its server.
pub(super) struct Rig {
    firmware: &'static Firmware,
    directory: TempDir,
    cause: &'static str,
}

impl Rig {
    /// A device as it leaves the factory with release 1.0.0: its journal is empty, and slot B was never written.
    pub(super) fn new(firmware: &'static Firmware) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let rig = Self { firmware, directory, cause: "power-on" };
        rig.put("boot-loader.elf", &firmware.boot_loader);
        rig.put("flash.bin", &[0xff; layout::FLASH_BYTES]);
        rig.write(layout::SLOT_A, &firmware.one.slot());
        rig
    }

    /// Offers a second release to those who run the first.
    pub(super) fn offering(self, second: Second) -> Self {
        let release = &self.firmware.two[&second];
        self.put("from-1.0.0.pkg", &release.delta);
        self.put("full.pkg", &release.full);
        self
    }

    /// Puts a file where the device or its server find it.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.directory.path().join(name), bytes).expect("writes");
    }

    pub(super) fn flash(&self) -> Vec<u8> {
        std::fs::read(self.directory.path().join("flash.bin")).expect("reads")
    }

    /// Writes to a region from outside.
    pub(super) fn write(&self, region: Range<usize>, bytes: &[u8]) {
        let mut flash = self.flash();
        flash[region].copy_from_slice(bytes);
        self.put("flash.bin", &flash);
    }

    /// Takes the device back to where its flash looked so.
    pub(super) fn go_back(&mut self, flash: &[u8], cause: &'static str) {
        self.put("flash.bin", flash);
        self.cause = cause;
    }

    pub(super) fn cause(&self) -> &'static str {
        self.cause
    }

    /// Flips one bit of the flash.
    pub(super) fn flip(&self, at: usize) {
        let mut flash = self.flash();
        flash[at] ^= 1;
        self.put("flash.bin", &flash);
    }

    /// Lets the device run until it resets, or until the power fails at a write to flash.
    pub(super) fn run(&mut self, last_write: Option<u32>) -> Run {
        let board = &self.firmware.board;
        let memory = if board.target.starts_with("riscv") { &layout::VIRT } else { &layout::MPS2 };
        let cut = last_write.map(|write| format!(",arg={write}")).unwrap_or_default();
        let cause = self.cause;
        let semihosting = format!("enable=on,target=native,arg=boot-loader,arg={cause}{cut}");
        let flash = format!("loader,file=flash.bin,addr={:#x},force-raw=on", memory.flash);
        // An instruction takes a nanosecond, so that time does not depend on how busy the host is.
        let args = ["-nographic", "-icount", "shift=0", "-kernel", "boot-loader.elf"];
        let more = ["-semihosting-config", &semihosting, "-device", &flash];
        let args = [board.machine, &args, &more].concat();
        let output = tool(board.qemu, board.package, &args, self.directory.path());
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let stop = Stop::ALL.into_iter().find(|stop| Some(*stop as i32) == output.status.code());
        let stop = stop.unwrap_or_else(|| panic!("{:?}: {text}", output.status));
        self.cause = match stop {
            Stop::Software => "software",
            Stop::Watchdog => "watchdog",
            Stop::Over | Stop::Recovery | Stop::PowerLost => "power-on",
        };
        Run { stop, lines: text.lines().map(|line| line.trim_end().to_owned()).collect() }
    }

    /// Lets the device run, with all its resets, until it has nothing more to do.
    pub(super) fn day(&mut self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        while runs.last().is_none_or(|run| matches!(run.stop, Stop::Software | Stop::Watchdog)) {
            assert!(runs.len() < 12, "resets without an end: {:#?}", story(&runs));
            runs.push(self.run(None));
        }
        runs
    }
}
