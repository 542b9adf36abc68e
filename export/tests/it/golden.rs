//! The bytes of a small release in each form, held in place.
//!
//! `WHITTLE_UPDATE_GOLDENS=1 cargo test -p whittle-export golden` writes them anew after a deliberate change.

use std::path::Path;

use whittle_export::provenance::{self, Builder, Run, Statement};
use whittle_export::suit::Envelope;
use whittle_export::{Delivery, Part};
use whittle_release::CodecChoice;

use crate::support::{Recipe, export, keys, request};

fn assert_golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/export").join(name);
    if std::env::var_os("WHITTLE_UPDATE_GOLDENS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("creates");
        std::fs::write(&path, bytes).expect("writes");
    }
    let golden = std::fs::read(&path).expect("the golden file is committed");
    assert!(*bytes == golden, "{} differs from what it is made of", path.display());
}

#[test]
fn the_bytes_of_an_export_do_not_change() {
    let directory = tempfile::tempdir().expect("a directory");
    // Stored, so that no compressor's version shows.
    let recipe = Recipe { codec: CodecChoice::Stored, ..Recipe::of("thermostat") };
    let delivery = Delivery::open(&recipe.build(directory.path()), &keys()).expect("a release");
    assert!(delivery.parts().iter().all(|part: &Part| part.notes.is_some()));
    let envelope = export(&request(&delivery)).expect("exports");
    assert_golden("thermostat.suit", &envelope);
    let bare = Envelope::parse(&envelope).expect("own bytes").without_text().emit();
    assert_golden("thermostat-without-text.suit", &bare);
    let builder = Builder { id: "https://ci.example.com/release".to_owned(), ..Builder::default() };
    let statement = Statement::of(&delivery, &Run { builder, ..Run::default() }).expect("states");
    assert_golden("thermostat.statement.json", &statement.emit());
    let signed = provenance::sign(&statement, &crate::support::key()).expect("signs");
    assert_golden("thermostat.intoto.json", &signed.emit());
}
