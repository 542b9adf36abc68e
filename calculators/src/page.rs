//! Both calculators as one file for a browser: text, style, script and the formulas as WebAssembly.
//!
//! The file fetches nothing, and its policy says so to the browser: it may run this very script (by its hash) and WebAssembly, and load
//! nothing at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{savings, stages};

const TEMPLATE: &str = include_str!("../page/page.html");
const STYLE: &str = include_str!("../page/page.css");
const SCRIPT: &str = include_str!("../page/page.js");

/// The formulas, as `cargo xtask calculators` compiles them.
const FORMULAS: &[u8] = include_bytes!("../page/dist/calculators.wasm");

/// Where the page begins, unless its address says something else.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// At the savings.
    Savings(savings::Inputs),
    /// At the stages of a rollout.
    Stages(stages::Inputs),
}

/// The page.
#[must_use]
pub fn page(start: &Start) -> String {
    // A `<` could end the element that the text stands in.
    let start = serde_json::to_string(start).unwrap_or_default().replace('<', "\\u003c");
    let formulas = STANDARD.encode(FORMULAS);
    let parts = [
        ("{script-hash}", hash(SCRIPT)),
        ("{style-hash}", hash(STYLE)),
        ("{style}", STYLE.to_owned()),
        ("{start}", start),
        ("{formulas}", formulas),
        ("{script}", SCRIPT.to_owned()),
    ];
    // Put in from the end on, so that nothing that is put in is looked at.
    let mut places: Vec<_> = parts
        .iter()
        .filter_map(|(name, text)| TEMPLATE.find(name).map(|at| (at, *name, text)))
        .collect();
    places.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let mut page = TEMPLATE.to_owned();
    for (at, name, text) in places {
        page.replace_range(at..at + name.len(), text);
    }
    page
}

/// As a browser's policy names a script or a style.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}
