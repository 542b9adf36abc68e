//! `whittle demo fleet`: everything at once, as a stranger sees it first.

use tempfile::TempDir;

use crate::golden::assert_file;
use crate::support::{Run, root, whittle};

fn fleet(room: &TempDir, args: &[&str]) -> Run {
    whittle(room.path(), &[&["demo", "fleet"], args].concat())
}

fn room() -> TempDir {
    TempDir::new().expect("there is room")
}

#[test]
fn a_fleet_is_paused_taken_back_and_mended_before_ones_eyes() {
    let room = room();
    let shown = fleet(&room, &["--devices", "120"]).ok();
    assert_file(&root().join("tests/cases/demo.txt"), shown.stdout.as_bytes());
    assert_eq!(shown.stderr, "");
    assert_eq!(room.path().read_dir().expect("there").count(), 0, "nothing is kept");
}

#[test]
fn what_a_demo_keeps_is_real() {
    let room = room();
    let args = ["--devices", "60", "--seed", "5", "--out", "kept", "--format", "json"];
    let first = fleet(&room, &args).ok().json();
    assert_eq!(first["schema"], 1);
    let summary = &first["summary"];
    assert_eq!((&summary["bricks"], &summary["devices"]), (&0.into(), &60.into()));
    let versions = summary["versions"].as_array().expect("a list");
    assert_eq!(versions.len(), 1, "{summary}");
    assert_eq!(versions[0]["name"], "2.4.1");
    assert!(first["timeline"].as_array().is_some_and(|told| told.len() > 50));

    let whittle = |args: &[&str]| whittle(room.path(), args).ok();
    for rollout in summary["rollouts"].as_array().expect("a list") {
        let name = rollout["name"].as_str().expect("a name");
        whittle(&["rollout", "replay", name, "--store", "kept/rollouts.whittle"]);
    }
    whittle(&["verify", "kept/releases/2.4.1", "--pubkey", "kept/keys/release.pub.pem"]);
    let pull = ["pull", "--from", "kept/public", "--product", "thermostat", "--full"];
    let key = ["--pubkey", "kept/keys/release.pub.pem", "--out", "full.pkg"];
    whittle(&[&pull[..], &key].concat());

    let again = fleet(&room, &args).ok().json();
    assert_eq!(first, again, "an earlier demo is replaced, and the seed decides");
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let room = room();
    assert_eq!(fleet(&room, &["--devices", "3"]).code, 2);
    std::fs::create_dir(room.path().join("mine")).expect("made");
    std::fs::write(room.path().join("mine/notes"), "of somebody").expect("written");
    assert_eq!(fleet(&room, &["--out", "mine"]).code, 3, "somebody else's directory");
    let quiet = fleet(&room, &["--devices", "50", "-q"]).ok();
    assert!(quiet.stdout.starts_with("\nIn the end\n"), "{quiet:?}");
}
