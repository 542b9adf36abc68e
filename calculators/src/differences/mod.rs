//! Where the chapter's figures differ from what its own inputs give, and why.
//!
//! What is recomputed is computed here, by the calculators and from their presets: nothing of it is typed in.

mod savings;
mod stages;

use serde::Serialize;

/// A figure of the chapter, and what comes out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// The calculator that it is about: `savings` or `stages`.
    pub calculator: &'static str,
    /// What the chapter says.
    pub chapter: &'static str,
    /// What comes out.
    pub recomputed: String,
    /// Why.
    pub why: String,
}

/// All differences, in the order of the chapter's calculators. Figures that are right are among them where they are easily doubted.
#[must_use]
pub fn differences() -> Vec<Difference> {
    // The presets are checked by tests; where one could not be worked out, its rows would be missing there.
    [savings::rows().unwrap_or_default(), stages::rows().unwrap_or_default()].concat()
}

/// The differences as a table in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text =
        "| calculator | the chapter says | from its own inputs | why |\n|---|---|---|---|\n"
            .to_owned();
    for row in differences() {
        text += &format!(
            "| {} | {} | {} | {} |\n",
            row.calculator, row.chapter, row.recomputed, row.why
        );
    }
    text
}

type Rows = Result<Vec<Difference>, crate::BadInput>;
