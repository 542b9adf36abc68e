//! The two releases of a small firmware, and the thermostat's seven.

use whittle_delta::compact;
use whittle_explain::{Basis, Change, Kind, Options, Program, Report, SymbolCost, text};

use super::support::*;

fn symbol<'a>(report: &'a Report, name: &str) -> &'a SymbolCost {
    report.symbols.iter().find(|symbol| symbol.name == name).expect("is listed")
}

/// Text is as it was. `WHITTLE_UPDATE_GOLDENS=1` writes it anew after a deliberate change, which reviewers then see.
#[test]
fn the_text_is_as_it_was() {
    let report = report();
    for (name, width) in [("report-100.txt", 100), ("report-72.txt", 72)] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name);
        let rendered = text::render(&report, width);
        if std::env::var_os("WHITTLE_UPDATE_GOLDENS").is_some() {
            std::fs::write(&path, &rendered).expect("writes");
        }
        assert_eq!(rendered, std::fs::read_to_string(&path).expect("reads"));
        let names_aside = rendered.lines().filter(|line| line.chars().count() > width).count();
        assert!(names_aside == 0 || width < 100, "{name}");
    }
}

#[test]
fn every_function_is_judged_by_what_became_of_it() {
    let report = report();
    for (name, change) in [
        ("set_holiday", Change::New),
        ("celsius", Change::Changed),
        ("controller_step", Change::Changed),
        ("build_text", Change::Changed),
        ("radio_report", Change::Moved),
        ("radio::Sender::send(radio::Frame const&)", Change::Moved),
        ("on_byte", Change::Moved),
        ("vectors", Change::Moved),
    ] {
        assert_eq!(symbol(&report, name).change, change, "{name}");
    }
    let celsius = symbol(&report, "celsius");
    assert_eq!((celsius.size, celsius.base_size, celsius.moved_by), (100, Some(84), Some(0x1b8)));
    let kinds: Vec<Kind> = report.kinds.iter().map(|cost| cost.kind).collect();
    for kind in
        [Kind::NewCode, Kind::ChangedCode, Kind::MovedCode, Kind::BuildStamp, Kind::Pointers]
    {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
}

#[test]
fn advice_says_how_much_it_saves_and_how_that_is_known() {
    let report = report();
    let advice = |id: &str| report.advice.iter().find(|advice| advice.id == id).expect("is given");
    for (id, basis) in [
        ("drop-build-time", Basis::Measured),
        ("drop-build-id", Basis::Measured),
        ("pin-variables", Basis::Measured),
        ("pin-order", Basis::Measured),
        ("pad-sections", Basis::UpperBound),
    ] {
        assert_eq!(advice(id).basis, basis, "{id}");
        assert!(advice(id).saving_bytes >= 1.0, "{id}");
    }
    // A new build id of 20 random bytes cannot be told in less.
    assert!(advice("drop-build-id").saving_bytes >= 20.0);
    assert!(advice("pin-order").detail.starts_with("6 of 26 functions have changed places"));
    assert!(report.advice.is_sorted_by(|a, b| a.saving_bytes >= b.saving_bytes));
}

#[test]
fn what_an_order_saves_is_what_a_linker_would_save() {
    let linked = Options::default().encoder;
    let payload =
        |target| compact::encode(Some(BASE), target, linked).expect("encodes").payload.len();
    let saved = payload(TARGET) as f64 - payload(IN_ORDER) as f64;
    let advice = report().advice;
    let advice = advice.iter().find(|advice| advice.id == "pin-order").expect("is given");
    // The linker also puts data and variables in the order of their files.
    let measured = advice.saving_bytes;
    assert!(
        measured <= saved + 8.0 && measured >= saved / 3.0,
        "{measured} measured, {saved} saved by the linker"
    );
    let by_map = explained([BASE, TARGET], Some([BASE_MAP, TARGET_MAP]));
    let by_map = by_map.advice.iter().find(|advice| advice.id == "pin-order").expect("is given");
    assert_eq!(by_map.basis, Basis::UpperBound);
    assert!(by_map.saving_bytes >= advice.saving_bytes);
}

#[test]
fn elf_files_and_maps_agree() {
    let parse = |file| Program::parse(file, TARGET).expect("describes the image");
    let (elf, map) = (parse(TARGET_ELF), parse(TARGET_MAP));
    let functions = |program: &Program| -> Vec<(String, std::ops::Range<u32>)> {
        let code = program.symbols().iter().filter(|symbol| symbol.is_code);
        code.map(|symbol| (symbol.name.clone(), symbol.range.clone())).collect()
    };
    assert_eq!(functions(&elf), functions(&map));
    let sections = |program: &Program| -> Vec<(String, u32)> {
        program
            .sections()
            .iter()
            .map(|section| (section.name.clone(), section.range.start))
            .collect()
    };
    assert_eq!(sections(&elf), sections(&map));
    let lld = Program::parse(LLD_TARGET_MAP, LLD_TARGET).expect("describes the image");
    let names = |program| functions(program).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&elf), names(&lld));
}

#[test]
fn a_header_in_front_of_the_image_is_no_hindrance() {
    let signed = [&[0x3d; 512][..], TARGET].concat();
    let program = Program::parse(TARGET_ELF, &signed).expect("describes the image");
    let text = program.sections().iter().find(|section| section.name == ".text").expect("is there");
    assert_eq!(text.range.start, 512 + 0x84);
    // An image may be the ELF file itself.
    let itself = Program::parse(TARGET_ELF, TARGET_ELF).expect("describes the image");
    let text = itself.sections().iter().find(|section| section.name == ".text").expect("is there");
    assert_eq!(text.range.start, 0x1084);
}

#[test]
fn images_without_a_program_are_explained_by_regions_and_stretches() {
    let base = include_bytes!("../../../fixtures/thermostat/images/1.2.1.bin");
    let target = include_bytes!("../../../fixtures/thermostat/images/1.2.2.bin");
    let report = explained([base, target], None);
    assert_eq!(report.instruction_set.as_deref(), Some("thumb"));
    assert_eq!(report.regions.len(), target.len().div_ceil(4096));
    assert!(report.sections.is_empty() && report.symbols.is_empty());
    assert!(report.stamps.iter().any(|stamp| stamp.value.contains("1.2.2")));
    let moved = report.kinds.iter().find(|cost| cost.kind == Kind::MovedCode).expect("is there");
    assert!(moved.percent > 20.0, "{:?}", report.kinds);
}

#[test]
fn the_report_reads_back() {
    let report = report();
    let json = serde_json::to_string(&report).expect("is JSON");
    assert_eq!(serde_json::from_str::<Report>(&json).expect("reads"), report);
}
