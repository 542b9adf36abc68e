//! Why a delta is as big as it is, and what happens to a release that takes too much.

use crate::support::{Workshop, root};

#[test]
fn a_delta_is_explained_as_text_json_and_a_page() {
    let shop = Workshop::new();
    let fixtures = root().join("fixtures/explain");
    let path = |name: &str| fixtures.join(name).display().to_string();
    let images = [path("1.bin"), path("2.bin")];
    let [old, new] = [path("1.elf"), path("2.elf")];
    let programs = ["explain", &images[0], &images[1], "--base-elf", &old, "--target-elf", &new];
    let text = shop.whittle(&[&programs[..], &["--html", "delta.html"]].concat()).ok().stdout;
    assert!(text.contains("set_holiday") && text.contains("(measured)"), "{text}");
    let page = shop.read("delta.html");
    assert!(page.starts_with(b"<!DOCTYPE html>"));
    let json = shop.whittle(&[&programs[..], &["--format", "json", "--top", "3"]].concat());
    let json = json.ok().json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["symbols"].as_array().expect("a list").len(), 3);
    let maps = [path("1.gnu.map"), path("2.gnu.map")];
    let by_map =
        ["explain", &images[0], &images[1], "--base-map", &maps[0], "--target-map", &maps[1]];
    assert!(shop.whittle(&by_map).ok().stdout.contains("set_holiday"));
    let swapped =
        ["explain", &images[0], &images[1], "--base-map", &maps[0], "--target-map", &maps[0]];
    let doubted = shop.whittle(&swapped).ok();
    assert!(doubted.stderr.contains("may be the map of another build"), "{doubted:?}");
    let other = shop.whittle(&["explain", "2.bin", "3.bin", "--target-elf", &new]);
    assert_eq!(other.code, 4, "{other:?}");
    assert!(other.stderr.contains("describes another image") && other.stderr.contains("hint:"));
    let both = shop.whittle(&[&programs[..], &["--base-map", &maps[0]]].concat());
    assert_eq!(both.code, 2, "{both:?}");
}

#[test]
fn a_release_above_its_budgets_is_not_written() {
    let shop = Workshop::new();
    let build = |out: &str, more: &[&str]| {
        let always = [
            "build",
            "--product",
            "thermostat",
            "--target",
            "3.bin",
            "--target-version",
            "2.4.1",
            "--base",
            "2.bin",
            "--key",
            "keys/release.key.pem",
            "--out",
            out,
        ];
        shop.whittle(&[&always[..], more].concat())
    };
    let wide = [
        "--max-delta-bytes",
        "1M",
        "--max-ratio",
        "100%",
        "--max-patcher-ram",
        "64M",
        "--format",
        "json",
    ];
    let json = build("kept", &[&wide[..], &["--budget-markdown", "kept.md"]].concat()).ok().json();
    assert_eq!(json["budgets"]["passed"], true);
    assert!(String::from_utf8(shop.read("kept.md")).expect("is text").contains(": kept"));
    for (number, narrow) in
        [["--max-delta-bytes", "10"], ["--max-ratio", "0.01%"], ["--max-patcher-ram", "1K"]]
            .iter()
            .enumerate()
    {
        let (out, table) = (format!("never-{number}"), format!("{number}.md"));
        let run = build(&out, &[&narrow[..], &["--budget-markdown", &table]].concat());
        assert_eq!(run.code, 7, "{run:?}");
        assert!(run.stderr.contains("budgets exceeded: "), "{run:?}");
        assert!(!shop.path(&out).exists());
        assert!(String::from_utf8(shop.read(&table)).expect("is text").contains("❌"));
    }
}

#[test]
fn firmware_files_are_explained_by_what_is_flashed() {
    let shop = Workshop::new();
    let file = |name: &str| root().join("fixtures/inputs").join(name).display().to_string();
    let json = shop.whittle(&[
        "explain",
        &file("firmware.hex"),
        &file("firmware.elf"),
        "--format",
        "json",
    ]);
    let flashed = std::fs::metadata(file("firmware.bin")).expect("a file").len();
    assert_eq!(json.ok().json()["target_bytes"], flashed);
}

#[test]
fn a_target_above_its_slot_is_told_in_the_table_and_where_the_service_looks() {
    let shop = Workshop::new();
    let build = [
        "-q",
        "build",
        "--product",
        "thermostat",
        "--target",
        "3.bin",
        "--target-version",
        "3",
        "--base",
        "2.bin",
    ];
    let budget = [
        "--key",
        "keys/release.key.pem",
        "--out",
        "none",
        "--slot-size",
        "1K",
        "--budget-markdown",
        "b.md",
    ];
    let run = crate::support::command(&shop.path("."), &[&build[..], &budget].concat())
        .env("GITHUB_ACTIONS", "true")
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(7), "{told}");
    assert!(told.contains("::error"), "{told}");
    let table = String::from_utf8(shop.read("b.md")).expect("text");
    assert!(table.contains("slot_size") && !shop.path("none").exists(), "{table}");
}
