//! The calculators against the chapter and against what cannot be, and their page in a browser.
#![allow(missing_docs, reason = "tests")]

mod browser;
mod build_reports;
mod chapter;
mod documentation;
mod formulas;
mod inputs;
mod page;
