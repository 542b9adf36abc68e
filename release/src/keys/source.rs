//! Where a private key stands: in a file, or in a variable of the environment.

use std::path::Path;

use crate::{Error, Result};

/// What the name of a key begins with that stands in a variable.
const ENV: &str = "env:";

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// A file.
    File(&'a Path),
    /// A variable that holds the text of the key.
    Variable(&'a str),
}

impl<'a> KeySource<'a> {
    /// Reads the name of a key.
    ///
    /// # Errors
    /// [`Error::Usage`] for the text of a key in place of its name, which is not shown; as [`check_variable`].
    pub fn of(name: &'a Path) -> Result<Self> {
        let shown = name.to_string_lossy();
        if shown.contains(['\n', '\r']) || shown.contains("-----BEGIN") {
            return Err(Error::Usage(
                "that is the text of a key, not its name: put it into a variable, and use `env:NAME`"
                    .to_owned(),
            ));
        }
        match name.to_str().and_then(|name| name.strip_prefix(ENV)) {
            Some(variable) => check_variable(variable).map(|()| Self::Variable(variable)),
            None => Ok(Self::File(name)),
        }
    }
}

/// Checks that this may be the name of a variable: one that may not is a secret, perhaps, given in place of its name.
///
/// # Errors
/// [`Error::Usage`], which does not show it.
pub fn check_variable(name: &str) -> Result<()> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_name =
        name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit());
    if is_name {
        return Ok(());
    }
    Err(Error::Usage(
        "that is no name of a variable: one has letters, digits and `_`, and begins with no digit"
            .to_owned(),
    ))
}
