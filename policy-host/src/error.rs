//! Why a policy cannot be loaded, or gives no answer that counts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::contract::{Violation, shortened};
use crate::digest::PolicyDigest;

/// A function of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// What the policy is and wants.
    Describe,
    /// The stages of a rollout.
    Plan,
    /// What happens next.
    Evaluate,
}

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Describe => "describe",
            Self::Plan => "plan",
            Self::Evaluate => "evaluate",
        })
    }
}

/// Which policy it was: its digest, and its name as soon as it has told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLabel {
    /// [`PolicyInfo::name`](crate::types::PolicyInfo::name); none before the policy has described itself.
    pub name: Option<String>,
    /// Digest of its component.
    pub digest: PolicyDigest,
}

impl fmt::Display for PolicyLabel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "policy `{name}` ({})", self.digest.short()),
            None => write!(formatter, "policy {}", self.digest.short()),
        }
    }
}

/// Why bytes are no policy that this host runs. Its author must act.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is too large to be compiled.
    #[error("component of {got} bytes, at most {limit} are accepted")]
    TooLarge {
        /// Bytes of the file.
        got: usize,
        /// [`Limits::component_bytes`](crate::Limits::component_bytes).
        limit: usize,
    },
    /// It would take too long to compile, or be too much to instantiate.
    #[error("{got} {what}, at most {limit} are accepted")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much, as far as it was counted.
        got: u64,
        /// What [`Limits`](crate::Limits) or the host say.
        limit: u64,
    },
    /// It was too much for the compiler, or there is none.
    #[error("cannot be compiled: {why}")]
    NotCompiled {
        /// What has happened.
        why: String,
    },
    /// Which instances there will be cannot be told from its bytes.
    #[error(
        "a component within it takes or hands out modules or components, which is not accepted"
    )]
    PassesComponents,
    /// The first bytes are not those of WebAssembly.
    #[error("not a WebAssembly file")]
    NotWasm,
    /// A core module has no types for records and text, and is no component.
    #[error("a core module, wanted a component")]
    CoreModule,
    /// The file is cut off or damaged, or uses what this host does not know.
    #[error("not a valid component")]
    Invalid(#[source] wasmtime::Error),
    /// A policy imports nothing, so that it can reach nothing.
    #[error("imports {}, but a policy imports nothing", quoted(.0))]
    Imports(Vec<String>),
    /// The component does not export the interface of a policy, or another one of that name.
    #[error("does not export `{wanted}` as it is defined; it exports {}", quoted(.exports))]
    WrongWorld {
        /// The interface that is looked for.
        wanted: &'static str,
        /// What the component exports.
        exports: Vec<String>,
        /// The first difference; none if it exports nothing of that name.
        #[source]
        source: Option<wasmtime::Error>,
    },
    /// It could not say what it is.
    #[error(transparent)]
    Describe(#[from] CallError),
}

/// Why a call gave no answer that counts. The host is unharmed, and so is the policy: the next call starts afresh.
#[derive(Debug, thiserror::Error)]
#[error("{policy} failed in `{function}`{}", .fault.after(*usage))]
pub struct CallError {
    /// The policy that failed.
    pub policy: Arc<PolicyLabel>,
    /// The function that was called.
    pub function: Function,
    /// What it used until then.
    pub usage: Usage,
    /// What went wrong.
    #[source]
    pub fault: Fault,
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// Fuel: about one for each instruction of WebAssembly. The same input always uses the same.
    pub fuel: u64,
    /// The most memory that was in use at once, in bytes.
    pub memory_bytes: usize,
}

/// What went wrong in a call.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The caller's input is larger than is allowed; the policy was not called.
    #[error("input of about {got} bytes, at most {limit} are allowed")]
    InputTooLarge {
        /// Bytes of the input in the policy's memory.
        got: usize,
        /// [`Limits::input_bytes`](crate::Limits::input_bytes).
        limit: usize,
    },
    /// The caller's input is not what the contract says; the policy was not called.
    #[error("input outside the contract")]
    Input(#[source] Violation),
    /// The policy ended itself, or did what it must not: division by zero, memory that is not there, too deep recursion.
    #[error("{0}")]
    Trap(String),
    /// The policy computed for too long.
    #[error("out of fuel: at most {limit} are allowed")]
    OutOfFuel {
        /// [`Limits::fuel`](crate::Limits::fuel).
        limit: u64,
    },
    /// The policy wanted too much memory.
    #[error("memory of {wanted} bytes, at most {limit} are allowed")]
    OutOfMemory {
        /// Bytes that it would have had in all.
        wanted: usize,
        /// [`Limits::memory_bytes`](crate::Limits::memory_bytes).
        limit: usize,
    },
    /// The policy wanted tables that are too large.
    #[error("tables of {wanted} elements, at most {limit} are allowed")]
    TableTooLarge {
        /// Elements that they would have had in all.
        wanted: usize,
        /// How many they may have.
        limit: usize,
    },
    /// The policy took too much of the processor's time. Unlike fuel, this depends on the machine.
    #[error("took longer than {} s of the processor", limit.as_secs_f64())]
    TooSlow {
        /// [`Limits::cpu_time`](crate::Limits::cpu_time).
        limit: Duration,
    },
    /// This machine cannot run it now, and it is not the policy's fault.
    #[error("this machine cannot run it now: {0}")]
    Host(String),
    /// The answer is larger than is allowed.
    #[error("answer of more than {limit} bytes")]
    AnswerTooLarge {
        /// [`Limits::output_bytes`](crate::Limits::output_bytes).
        limit: usize,
    },
    /// The answer holds text that is not UTF-8.
    #[error("answered with text that is not UTF-8")]
    NotUtf8,
    /// The bytes of the answer are no value of its type.
    #[error("answered with bytes that make no sense: {0}")]
    Malformed(String),
    /// The answer is a value of its type, but not one that the contract allows.
    #[error("answer outside the contract")]
    Contract(#[source] Violation),
    /// The policy itself says that it cannot answer, and why.
    #[error("refused: {0}")]
    Refused(String),
}

impl Fault {
    /// What was used until then, as far as it is known: whatever is interrupted does not tell.
    fn after(&self, usage: Usage) -> String {
        match self {
            Self::TooSlow { .. } | Self::Host(_) => String::new(),
            _ => format!(", having used {} fuel", usage.fuel),
        }
    }
}

/// The first few names, as far as they are short: a component may have any number of any length.
fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let mut shown: Vec<_> =
        names.iter().take(SHOWN).map(|name| format!("`{}`", shortened(name))).collect();
    if let Some(more) = names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_shown_as_far_as_they_are_few_and_short() {
        let names = vec!["x".repeat(1000); 11];
        let shown = quoted(&names);
        assert!(shown.ends_with(", and 3 more"), "{shown}");
        assert_eq!(shown.matches('…').count(), 8);
        assert!(shown.len() < 1200, "{}", shown.len());
        assert_eq!(quoted(&[]), "nothing");
    }
}
