//! What `docs/threat-model.md` names is there: an answer whose test has gone is none.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::shell::root;

const PAGE: &str = "docs/threat-model.md";

/// Checks every file and test that the page names.
pub(crate) fn check() -> Result<()> {
    let page = std::fs::read_to_string(root().join(PAGE)).with_context(|| PAGE.to_owned())?;
    let missing = missing(&page, &root())?;
    ensure!(missing.is_empty(), "`{PAGE}` names what is not there: {}", missing.join(", "));
    Ok(())
}

/// What stands between backticks, names a file or a test as `file::name`, and is not there.
fn missing(page: &str, root: &Path) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for span in page.split('`').skip(1).step_by(2) {
        let (file, test) = match span.split_once("::") {
            Some((file, test)) => (file, Some(test)),
            None => (span, None),
        };
        if is_file_name(file) && !is_there(&root.join(file), test)? {
            missing.push(format!("`{span}`"));
        }
    }
    Ok(missing)
}

/// Whether it is meant as a path in the repository, rather than as an address, a command or a name in the code.
fn is_file_name(span: &str) -> bool {
    let is_path = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let has_end = [".rs", ".md", ".toml", ".sql"].iter().any(|end| span.ends_with(end));
    span.chars().all(is_path) && (span.contains('/') || has_end)
}

fn is_there(path: &Path, test: Option<&str>) -> Result<bool> {
    let Some(test) = test else { return Ok(path.exists()) };
    if !path.is_file() {
        return Ok(false);
    }
    Ok(has_test(&std::fs::read_to_string(path)?, test))
}

/// Whether a source has a test of this name that is not left out.
fn has_test(source: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let Some(at) = lines.iter().position(|line| line.starts_with(&head)) else { return false };
    let attributes = lines[..at].iter().rev().take_while(|line| is_above_a_function(line));
    let (mut is_test, mut is_ignored) = (false, false);
    for line in attributes {
        is_test |= line.starts_with("#[test]");
        is_ignored |= line.starts_with("#[ignore");
    }
    is_test && !is_ignored
}

fn is_above_a_function(line: &str) -> bool {
    line.starts_with("#[") || line.starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named() {
        let page = "`xtask/src/threat_model.rs`, `xtask/src/threat_model.rs::what_is_not_there_is_named`, `MAC`, \
                    `s3://`, `cargo xtask tidy`, `docs/gone.md`, `gone.rs::a_test`, \
                    `xtask/src/threat_model.rs::has_test`";
        let missing = missing(page, &root()).expect("readable");
        let wanted =
            ["`docs/gone.md`", "`gone.rs::a_test`", "`xtask/src/threat_model.rs::has_test`"];
        assert_eq!(missing, wanted);
    }

    #[test]
    fn a_test_that_is_left_out_shows_nothing() {
        assert!(has_test("    #[test]\n    /// Why.\n    fn it_holds() {", "it_holds"));
        assert!(!has_test("#[test]\n#[ignore = \"slow\"]\nfn it_holds() {", "it_holds"));
        assert!(!has_test("#[test]\nfn it_holds_too() {", "it_holds"));
        assert!(!has_test("#[test]\nfn other() {}\n\nfn it_holds() {", "it_holds"));
    }
}
