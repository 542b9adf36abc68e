//! Measured sizes from the report of a build.

use whittle_calculators::{BuildReport, presets, savings};

/// As `whittle build --format json` writes it, shortened.
const REPORT: &str = r#"{"schema":1,"out":"release","product":"thermostat","target_version":"1.2.2","security_counter":0,"target_bytes":62964,
"target_sha256":"ab","artifacts":[
{"kind":"delta","codec":"compact","encoder":3,"base_sha256":"0123456789","base_version":"1.2.1","download_bytes":900,"decoder_ram_bytes":65536,"file":"a","instruction_set":"thumb","alternatives":[]},
{"kind":"delta","codec":"compact","encoder":3,"base_sha256":"3f9a12c0ffff","base_version":null,"download_bytes":2100,"decoder_ram_bytes":65536,"file":"b","instruction_set":"thumb","alternatives":[]},
{"kind":"full","codec":"compact","encoder":3,"base_sha256":null,"base_version":null,"download_bytes":30000,"decoder_ram_bytes":65536,"file":"c","instruction_set":"thumb","alternatives":[]}],
"refused":[{"base_sha256":"77","base_version":"1.0.0","delta_bytes":29500,"full_bytes":30000,"reason":"saves too little"}]}"#;

#[test]
fn a_build_says_what_devices_download() {
    let mut report = BuildReport::parse(REPORT).expect("it is one");
    report.weigh(&[("1.2.1".to_owned(), 8.0)]).expect("it has that base");
    let mut inputs = presets::savings().remove(0).inputs;
    report.fill(&mut inputs);
    let found = savings::outcome(&inputs).expect("it can be");
    assert!(found.measured);
    assert_eq!(found.inputs.full_bytes, 30_000.0, "the package, not the image");
    let bases: Vec<_> =
        inputs.bases.iter().map(|base| (&*base.name, base.download_bytes)).collect();
    assert_eq!(bases, [("1.2.1", 900.0), ("3f9a12c0", 2100.0), ("1.0.0", 30_000.0)]);
    assert_eq!(found.delta_bytes, (900.0 * 8.0 + 2100.0 + 30_000.0) / 10.0);
}

#[test]
fn other_files_are_refused() {
    let error = |json: &str| BuildReport::parse(json).expect_err("it is none").to_string();
    for json in [
        "",
        "[]",
        "{}",
        "{\"schema\":1}",
        "{\"schema\":1,\"artifacts\":[{\"kind\":\"patch\",\"download_bytes\":1}]}",
    ] {
        assert_eq!(error(json), "it is not what `whittle build --format json` writes", "{json}");
    }
    assert_eq!(
        error(&REPORT.replacen("\"schema\":1", "\"schema\":2", 1)),
        "it has schema 2, wanted 1"
    );
    assert_eq!(
        error(&REPORT.replace("\"full\"", "\"delta\"")),
        "it lists 0 full images, wanted one"
    );
    assert_eq!(
        error(&REPORT.replace("\"delta\"", "\"full\"")),
        "it lists 3 full images, wanted one"
    );
    assert_eq!(
        error(r#"{"schema":1,"artifacts":[{"kind":"full","download_bytes":9}]}"#),
        "it has no base"
    );
    let mut report = BuildReport::parse(REPORT).expect("it is one");
    let unknown = report.weigh(&[("9.9".to_owned(), 1.0)]).expect_err("no such base").to_string();
    assert_eq!(unknown, "it has no base `9.9`: it has 1.2.1, 3f9a12c0, 1.0.0");
}
