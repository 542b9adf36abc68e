//! What is too much to compile: told from the bytes, before the compiler sees them.
//!
//! The time that a function takes to compile grows faster than the function, to minutes for one of some megabytes. Ordinary code
//! is in many small ones: all those of an interpreter for Python are far below the limit.

use wasmparser::{Parser, Payload};

use crate::Limits;
use crate::error::LoadError;

/// Checks the size of each function, also of modules within. What is not valid is left to the compiler, which stops there.
pub(crate) fn check_functions(component: &[u8], limits: &Limits) -> Result<(), LoadError> {
    let limit = limits.function_bytes;
    for payload in Parser::new(0).parse_all(component) {
        let Ok(payload) = payload else { return Ok(()) };
        if let Payload::CodeSectionEntry(body) = payload {
            let got = body.range().len();
            if got > limit {
                return Err(LoadError::FunctionTooLarge { got, limit });
            }
        }
    }
    Ok(())
}
