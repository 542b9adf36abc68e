//! The base archive, from the command line.

use crate::support::{PRODUCT, Workshop};

#[test]
fn the_last_three_bases_come_from_the_archive() {
    let shop = Workshop::new();
    for number in 0..4 {
        let (file, version) = (format!("{number}.bin"), format!("1.{number}"));
        shop.whittle(&["base", "add", &file, "--product", PRODUCT, "--version", &version]).ok();
    }
    shop.write("new.bin", &crate::support::code_like(1, 20_500));
    let build = ["build", "--product", PRODUCT, "--target", "new.bin", "--target-version", "2.0"];
    let rest = ["--key", "keys/release.key.pem", "--out", "fresh", "--format", "json"];
    let run = shop.whittle(&[&build[..], &rest[..]].concat()).ok();
    let json = run.json();
    let bases: Vec<_> = json["artifacts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|a| a["base_version"].clone())
        .collect();
    assert_eq!(
        bases,
        ["1.3", "1.2", "1.1"]
            .map(serde_json::Value::from)
            .into_iter()
            .chain([serde_json::Value::Null])
            .collect::<Vec<_>>(),
        "{run:?}"
    );

    let listed = shop.whittle(&["base", "ls", "--format", "json"]).ok().json();
    assert_eq!(listed["images"].as_array().expect("a list").len(), 4);
    shop.whittle(&["base", "prune", "--keep", "1", "--dry-run"]).ok();
    let pruned = shop.whittle(&["base", "prune", "--keep", "1", "--format", "json"]).ok().json();
    assert_eq!(pruned["images"].as_array().expect("a list").len(), 3);
    let listed = shop.whittle(&["base", "ls"]).ok().stdout;
    assert!(listed.contains("1.3") && !listed.contains("1.2"), "{listed}");
}

#[test]
fn a_version_is_never_given_to_another_image() {
    let shop = Workshop::new();
    let add =
        |file: &str| shop.whittle(&["base", "add", file, "--product", PRODUCT, "--version", "1.0"]);
    add("0.bin").ok();
    add("0.bin").ok();
    let refused = add("1.bin");
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("already archived"), "{refused:?}");
}

#[test]
fn without_any_base_there_is_a_full_image_and_it_says_so() {
    let shop = Workshop::new();
    let args = ["build", "--product", PRODUCT, "--target", "0.bin", "--target-version", "1.0"];
    let run = shop
        .whittle(&[&args[..], &["--key", "keys/release.key.pem", "--out", "first"]].concat())
        .ok();
    assert!(run.stderr.contains("full image only"), "{run:?}");
    shop.whittle(&[
        "apply",
        "first",
        "--full",
        "--pubkey",
        "keys/release.pub.pem",
        "--out",
        "back.bin",
    ])
    .ok();
    assert_eq!(shop.read("back.bin"), shop.read("0.bin"));
}
