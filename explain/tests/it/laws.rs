//! What is spent is spent on something: sums are the payload, whatever the images are.

use proptest::prelude::*;
use whittle_delta::compact::{self, Effort};
use whittle_explain::{Images, Kind, Options, Program, Report, explain};

use super::support::*;

/// Figures are rounded to thousandths, and are sums of rounded ones.
const ROUNDING: f64 = 0.5;

fn assert_adds_up(report: &Report) {
    let payload = report.payload_bytes as f64;
    let kinds: f64 = report.kinds.iter().map(|cost| cost.bytes).sum();
    assert!((kinds - payload).abs() < ROUNDING, "kinds: {kinds} of {payload}");
    let how = report.how;
    let how =
        how.header + how.address_map + how.starts + how.hits + how.misses + how.literals + how.end;
    assert!((how - payload).abs() < ROUNDING, "how: {how} of {payload}");
    let beside =
        |cost: &&whittle_explain::KindCost| matches!(cost.kind, Kind::AddressMap | Kind::Frame);
    let beside: f64 = report.kinds.iter().filter(beside).map(|cost| cost.bytes).sum();
    let regions: f64 = report.regions.iter().map(|region| region.bytes).sum();
    assert!(
        (regions + beside - payload).abs() < ROUNDING,
        "regions: {regions} and {beside} of {payload}"
    );
    if !report.sections.is_empty() {
        let sections: f64 = report.sections.iter().map(|section| section.bytes).sum();
        assert!(
            (sections + beside - payload).abs() < ROUNDING,
            "sections: {sections} of {payload}"
        );
    }
    let how = [
        report.how.header,
        report.how.address_map,
        report.how.starts,
        report.how.hits,
        report.how.misses,
        report.how.literals,
        report.how.end,
    ];
    assert!(how.iter().all(|bytes| *bytes >= 0.0), "{how:?}");
    assert!(report.kinds.iter().all(|cost| cost.bytes >= 0.0), "{:?}", report.kinds);
    let symbols: f64 = report.symbols.iter().map(|symbol| symbol.bytes).sum();
    assert!(symbols + report.more_symbols.1 <= regions + ROUNDING);
    assert!(report.runs.iter().all(|run| run.offset + run.size <= report.target_bytes));
}

#[test]
fn sums_are_the_payload() {
    for files in [None, Some([BASE_ELF, TARGET_ELF]), Some([BASE_MAP, TARGET_MAP])] {
        assert_adds_up(&explained([BASE, TARGET], files));
    }
    assert_adds_up(&explained([TARGET, BASE], Some([TARGET_ELF, BASE_ELF])));
    assert_adds_up(&explained([LLD_BASE, LLD_TARGET], Some([LLD_BASE_MAP, LLD_TARGET_MAP])));
}

/// Small payloads end with zeros that are left out, which must not make anything cost less than nothing.
#[test]
fn small_payloads_have_no_negative_costs() {
    for edit in 0..40 {
        let mut target = BASE.to_vec();
        target[100 + 40 * edit] ^= 1;
        assert_adds_up(&explained([BASE, &target], None));
    }
    assert_adds_up(&explained([BASE, BASE], None));
    assert_adds_up(&explained([BASE, &[]], None));
}

#[test]
fn an_explanation_is_of_the_payload_that_is_shipped() {
    let options = Options::default();
    let shipped = compact::encode(Some(BASE), TARGET, options.encoder).expect("encodes");
    assert_eq!(report().payload_bytes, shipped.payload.len() as u64);
}

#[test]
fn one_program_is_better_than_none() {
    let program = Program::parse(TARGET_ELF, TARGET).expect("describes the image");
    let images =
        Images { base: BASE, target: TARGET, base_program: None, target_program: Some(&program) };
    let report = explain(&images, &Options::default(), &|_| {}).expect("is explained");
    assert_adds_up(&report);
    assert!(report.symbols.iter().all(|symbol| symbol.base_size.is_none()));
    assert_eq!(report.symbols.first().map(|symbol| symbol.name.as_str()), Some("set_holiday"));
}

#[test]
fn progress_rises_to_its_end() {
    let told = std::cell::RefCell::new(vec![0]);
    let images = Images { base: BASE, target: TARGET, base_program: None, target_program: None };
    explain(&images, &Options::default(), &|done| told.borrow_mut().push(done))
        .expect("is explained");
    let told = told.into_inner();
    assert!(told.is_sorted());
    assert_eq!(told.last(), Some(&1000));
}

fn image() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0..400usize).prop_map(|(byte, len)| vec![byte; len]),
        (0..0x200u32, 0..80u32).prop_map(|(at, count)| {
            (0..count).flat_map(|n| (0x0800_0000 + at + 8 * n).to_le_bytes()).collect()
        }),
        Just(b"v1.2.3-4-gabcdef0 Nov 24 2025 16:00:00".to_vec()),
        (0..1000usize).prop_map(|at| TARGET[at..at + 700].to_vec()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_the_payload_of_any_images(base in image(), edits in image(), at in any::<prop::sample::Index>()) {
        let mut target = base.clone();
        let at = at.index(target.len() + 1);
        target.splice(at..at, edits);
        let encoder = compact::Options { effort: Effort::Quick, ..Options::default().encoder };
        let images = Images { base: &base, target: &target, base_program: None, target_program: None };
        let report = explain(&images, &Options { encoder, top: 5 }, &|_| {}).expect("is explained");
        assert_adds_up(&report);
        prop_assert!(report.runs.len() <= 5);
        prop_assert!(!whittle_explain::text::render(&report, 10).is_empty());
    }
}
