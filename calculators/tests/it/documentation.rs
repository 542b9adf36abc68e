//! What the documentation says is what the code says.

use std::path::Path;

use whittle_calculators::markdown;

#[test]
fn the_documentation_has_all_differences() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/calculators.md");
    let text = std::fs::read_to_string(path).expect("it is there");
    assert!(text.contains(&markdown()), "docs/calculators.md lacks this table:\n\n{}", markdown());
}
