//! What is too much to compile: told from the bytes, before the compiler sees them.
//!
//! The time that a function takes to compile grows faster than the function, to minutes for one of some megabytes; and each one takes
//! its time, however small it is. An interpreter for Python has 13,500 functions, the largest of 427 KB.

use wasmparser::{Parser, Payload};

use crate::Limits;
use crate::error::LoadError;

/// Checks the number of functions and the size of each, also of modules within. What is not valid is left to the compiler, which
/// stops there.
pub(crate) fn check_functions(component: &[u8], limits: &Limits) -> Result<(), LoadError> {
    let mut functions = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::CodeSectionStart { count, .. }) => {
                functions = functions.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
                let (got, limit) = (functions, limits.functions);
                if got > limit {
                    return Err(LoadError::TooManyFunctions { got, limit });
                }
            }
            Ok(Payload::CodeSectionEntry(body)) => {
                let (got, limit) = (body.range().len(), limits.function_bytes);
                if got > limit {
                    return Err(LoadError::FunctionTooLarge { got, limit });
                }
            }
            Ok(_) => {}
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}
