//! Names as people write them, and as they are the same in two builds.

use std::fmt::{self, Write};

/// Names are cut there: those of generic code grow long, and those of hostile files longer.
const MAX_NAME_BYTES: usize = 1024;

/// A symbol's name.
pub(super) struct Name {
    /// As people write it.
    pub(super) shown: String,
    /// The same in another build.
    pub(super) key: String,
    pub(super) is_rust: bool,
}

impl Name {
    pub(super) fn of(mangled: &str) -> Self {
        let mangled = bounded(mangled);
        let rust = rustc_demangle::try_demangle(mangled).ok();
        let rust = rust.and_then(|name| written(|to| write!(to, "{name:#}")));
        let is_rust = rust.is_some();
        let shown = rust.or_else(|| cpp(mangled)).unwrap_or_else(|| mangled.to_owned());
        let key = without_numbers_of_a_build(&shown);
        Self { shown, key, is_rust }
    }
}

/// What is there of a name up to a length that nobody reads.
pub(super) fn bounded(name: &str) -> &str {
    let end = (0..=MAX_NAME_BYTES.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    name.get(..end.unwrap_or(0)).unwrap_or(name)
}

fn cpp(mangled: &str) -> Option<String> {
    if !mangled.starts_with("_Z") {
        return None;
    }
    let symbol = cpp_demangle::BorrowedSymbol::new(mangled.as_bytes()).ok()?;
    let options = cpp_demangle::DemangleOptions::default();
    written(|to| symbol.structured_demangle(to, &options))
}

/// LLVM numbers what it makes private (`name.llvm.1234`), and names constants by a hash (`anon.0123….7`): both change with each
/// build.
fn without_numbers_of_a_build(name: &str) -> String {
    let name = name.split_once(".llvm.").map_or(name, |(name, _)| name);
    let anonymous = name.strip_prefix(".L").unwrap_or(name).strip_prefix("anon.");
    if let Some((hash, number)) = anonymous.and_then(|rest| rest.split_once('.'))
        && hash.len() == 32
        && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
    {
        return format!("anon.{number}");
    }
    name.to_owned()
}

/// What is written, unless it grows too long: a short name can stand for an endless one.
fn written(write: impl FnOnce(&mut Bounded) -> fmt::Result) -> Option<String> {
    let mut text = Bounded(String::new());
    write(&mut text).ok().map(|()| text.0).filter(|text| !text.is_empty())
}

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_NAME_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_the_next_build() {
        for (mangled, shown, key) in [
            ("main", "main", "main"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write", "core::fmt::write"),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo", "mycrate::foo"),
            (
                "_ZNK5radio6Sender7pendingEv",
                "radio::Sender::pending() const",
                "radio::Sender::pending() const",
            ),
            ("step.llvm.8371", "step.llvm.8371", "step"),
            (
                "anon.0123456789abcdef0123456789abcdef.7",
                "anon.0123456789abcdef0123456789abcdef.7",
                "anon.7",
            ),
            (
                ".Lanon.0123456789abcdef0123456789abcdef.7",
                ".Lanon.0123456789abcdef0123456789abcdef.7",
                "anon.7",
            ),
            ("_Z", "_Z", "_Z"),
        ] {
            let name = Name::of(mangled);
            assert_eq!((name.shown.as_str(), name.key.as_str()), (shown, key));
        }
    }

    #[test]
    fn a_name_that_grows_without_end_stays_as_it_is() {
        let doubled = format!("_Z1f{}", "1AIS_S_E".repeat(60));
        assert!(Name::of(&doubled).shown.len() <= MAX_NAME_BYTES);
        assert_eq!(bounded(&"ä".repeat(1000)).len(), MAX_NAME_BYTES);
    }
}
