//! The header of the C interface: made from its sources, and committed, so that C needs no Rust to read it.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use cbindgen::{Builder, Config, DocumentationStyle, EnumConfig, Language, RenameRule, Style};

use crate::shell;

/// Sources in the order in which a reader of the header wants them.
const SOURCES: [&str; 11] = [
    "error", "flash", "verifier", "image", "state", "updater", "download", "install", "in_place",
    "flags", "stage",
];

/// Types, and their names in C.
const NAMES: [(&str, &str); 22] = [
    ("BootChoice", "whittle_boot_choice"),
    ("Config", "whittle_config"),
    ("Culprit", "whittle_culprit"),
    ("Decision", "whittle_decision"),
    ("Download", "whittle_download"),
    ("Ending", "whittle_ending"),
    ("Error", "whittle_error"),
    ("Facts", "whittle_facts"),
    ("Flags", "whittle_flags"),
    ("Flash", "whittle_flash"),
    ("InPlaceBuffers", "whittle_in_place_buffers"),
    ("InstallBuffers", "whittle_install_buffers"),
    ("Phase", "whittle_phase"),
    ("Reason", "whittle_reason"),
    ("ResetCause", "whittle_reset_cause"),
    ("SignedImage", "whittle_signed_image"),
    ("Slot", "whittle_slot"),
    ("Stage", "whittle_stage"),
    ("State", "whittle_state"),
    ("Updater", "whittle_updater"),
    ("Verify", "whittle_verify"),
    ("Watch", "whittle_watch"),
];

const TOP: &str = "\
/* The device side of whittle for C: signed delta updates of two slots, or of one, that survive power cuts at any
 * time.
 *
 * Made by `cargo xtask header`; change the Rust sources beside it instead.
 *
 * Functions return WHITTLE_OK, WHITTLE_DONE or WHITTLE_NOTHING, or an error of `enum whittle_error`. All memory is the
 * caller's. The rules for all of them:
 *
 * - A pointer that is not null points to as much as is declared. Where null is allowed, the function says so.
 * - What `struct whittle_config` points to stays where it is as long as the updater is used.
 * - Updaters, downloads and flags stay where they were made: a copy is refused.
 * - One thread at a time uses a handle, and no interrupt does meanwhile.
 */";

const BOTTOM: &str = "\
/* What the firmware must define if the library was built with the feature `panic-handler`: called when the library finds
 * a mistake of its own; should reset the chip. If it returns, the library loops for ever. */
#ifdef __cplusplus
extern \"C\"
#endif
void whittle_on_panic(void);

#endif /* WHITTLE_H */";

/// Writes the header.
pub(crate) fn write() -> Result<()> {
    Ok(std::fs::write(path(), generate()?)?)
}

/// Checks that the committed header is what the sources say.
pub(crate) fn check() -> Result<()> {
    let is_current = std::fs::read_to_string(path())? == generate()?;
    ensure!(is_current, "`whittle.h` is not what its sources say: run `cargo xtask header`");
    Ok(())
}

fn path() -> PathBuf {
    shell::root().join("patcher-nostd/capi/whittle.h")
}

fn generate() -> Result<String> {
    let mut config = Config {
        language: Language::C,
        style: Style::Tag,
        cpp_compat: true,
        // cbindgen's own guard would stand behind the text, so both ends are written here.
        header: Some(format!("#ifndef WHITTLE_H\n#define WHITTLE_H\n\n{TOP}")),
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h"].map(str::to_owned).to_vec(),
        trailer: Some(BOTTOM.to_owned()),
        documentation_style: DocumentationStyle::Doxy,
        line_length: 100,
        usize_is_size_t: true,
        enumeration: EnumConfig {
            rename_variants: RenameRule::QualifiedScreamingSnakeCase,
            ..EnumConfig::default()
        },
        ..Config::default()
    };
    // No function names them, since what C hands in or gets back may be any number.
    config.export.include = ["Error", "ResetCause"].map(str::to_owned).to_vec();
    for (rust, c) in NAMES {
        config.export.rename.insert(rust.to_owned(), c.to_owned());
    }
    let sources = shell::root().join("patcher-nostd/capi/src");
    let mut builder = Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(sources.join(source).with_extension("rs"));
    }
    let mut header = Vec::new();
    builder.generate()?.write(&mut header);
    Ok(String::from_utf8(header)?)
}
