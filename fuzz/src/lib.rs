//! What is fuzzed, as plain functions of bytes: whatever comes from outside has one.
//!
//! Ordinary tests replay everything under `corpus/`; `cargo xtask fuzz` looks for more.

mod codecs;
mod device;
mod documents;
mod exports;
mod figures;
mod firmware_files;
#[cfg(feature = "hosts")]
mod hosts;
mod program_file;
mod rollouts;
mod servers;

pub use codecs::{
    bsdiff_decoder, compact_decoder, compact_round_trip, in_place_decoder, zstd_decoder,
};
pub use device::{device_flash, package};
pub use documents::{
    approval_payload, bundle_payload, envelopes, flags_document, flags_source, key_text, keys_file,
    manifest_payload, release_index, stage_document,
};
pub use exports::{provenance_statement, suit_envelope};
pub use figures::{build_report, figures_csv, figures_json, prometheus_answer};
pub use firmware_files::{input_elf, input_esp, input_ihex, input_mcuboot, input_srec, input_uf2};
#[cfg(feature = "hosts")]
pub use hosts::{config_file, policy_component};
pub use program_file::program_file;
pub use rollouts::{
    observations, policy_answers, published_directory, recording_file, rollout_log, scenario_file,
};
pub use servers::fleet_answers;

/// A seed of a target.
#[cfg(test)]
fn seed(target: &str, name: &str) -> Vec<u8> {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    std::fs::read(corpus.join(target).join(name)).expect("a seed")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    fn names_in(directory: &str) -> BTreeSet<String> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let names = std::fs::read_dir(directory).expect("a directory");
        let stem = |path: &Path| path.file_stem()?.to_str().map(str::to_owned);
        names.filter_map(|entry| stem(&entry.expect("readable").path())).collect()
    }

    /// Runs a target over its corpus, and over what its inputs become when they are cut and flipped.
    fn replay(name: &str, target: fn(&[u8])) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let entries = std::fs::read_dir(&directory).expect("a corpus");
        let inputs: Vec<Vec<u8>> =
            entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
        assert!(!inputs.is_empty(), "`{}` is empty", directory.display());
        for input in inputs {
            target(&input);
            for at in (0..input.len()).step_by(1 + input.len() / 40) {
                target(&input[..at]);
                let mut flipped = input.clone();
                flipped[at] ^= 1 << (at % 8);
                target(&flipped);
            }
        }
    }

    /// A test for each target, and one for all of them: none is without its program and its corpus.
    macro_rules! targets {
        ($($name:ident)*) => {
            $(
                #[test]
                fn $name() {
                    replay(stringify!($name), crate::$name);
                }
            )*

            #[test]
            fn each_target_has_a_program_and_a_corpus() {
                let names = BTreeSet::from([$(stringify!($name).to_owned()),*]);
                assert_eq!(names_in("fuzz_targets"), names);
                assert_eq!(names_in("corpus"), names);
            }
        };
    }

    targets! {
        approval_payload
        bsdiff_decoder
        build_report
        bundle_payload
        compact_decoder
        compact_round_trip
        config_file
        device_flash
        envelopes
        figures_csv
        figures_json
        flags_document
        flags_source
        fleet_answers
        in_place_decoder
        input_elf
        input_esp
        input_ihex
        input_mcuboot
        input_srec
        input_uf2
        key_text
        keys_file
        manifest_payload
        observations
        package
        policy_answers
        policy_component
        program_file
        prometheus_answer
        provenance_statement
        published_directory
        recording_file
        release_index
        rollout_log
        scenario_file
        stage_document
        suit_envelope
        zstd_decoder
    }
}
