//! Where the operating system wants what can be made again.

use std::env;
use std::path::PathBuf;

/// The user's cache directory of whittle; none where the environment does not tell a home.
///
/// `XDG_CACHE_HOME` wins everywhere, so that scripts and tests have one way to choose.
pub(crate) fn find() -> Option<PathBuf> {
    let from =
        |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let of_the_system = || {
        if cfg!(windows) {
            from("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            from("HOME").map(|home| home.join("Library").join("Caches"))
        } else {
            from("HOME").map(|home| home.join(".cache"))
        }
    };
    from("XDG_CACHE_HOME").or_else(of_the_system).map(|directory| directory.join("whittle"))
}
