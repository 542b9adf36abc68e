//! The small firmware of `fixtures/explain`, in two releases.

use whittle_explain::{Images, Options, Program, Report, explain};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/explain/", $name))
    };
}

pub(crate) const BASE: &[u8] = fixture!("1.bin");
pub(crate) const TARGET: &[u8] = fixture!("2.bin");
pub(crate) const BASE_ELF: &[u8] = fixture!("1.elf");
pub(crate) const TARGET_ELF: &[u8] = fixture!("2.elf");
pub(crate) const BASE_MAP: &[u8] = fixture!("1.gnu.map");
pub(crate) const TARGET_MAP: &[u8] = fixture!("2.gnu.map");
/// The second release, linked in the order of the first.
pub(crate) const IN_ORDER: &[u8] = fixture!("2.in-order.bin");
/// The same linked by LLD.
pub(crate) const LLD_BASE: &[u8] = fixture!("1.lld.bin");
pub(crate) const LLD_TARGET: &[u8] = fixture!("2.lld.bin");
pub(crate) const LLD_BASE_MAP: &[u8] = fixture!("1.lld.map");
pub(crate) const LLD_TARGET_MAP: &[u8] = fixture!("2.lld.map");

/// Explains with what two files tell of two images.
pub(crate) fn explained([base, target]: [&[u8]; 2], files: Option<[&[u8]; 2]>) -> Report {
    let parse = |file, image| Program::parse(file, image).expect("describes the image");
    let programs = files.map(|[old, new]| [parse(old, base), parse(new, target)]);
    let [base_program, target_program] = match &programs {
        Some([old, new]) => [Some(old), Some(new)],
        None => [None; 2],
    };
    let images = Images { base, target, base_program, target_program };
    explain(&images, &Options::default(), &|_| {}).expect("is explained")
}

/// The report of the two releases, with their ELF files.
pub(crate) fn report() -> Report {
    explained([BASE, TARGET], Some([BASE_ELF, TARGET_ELF]))
}
