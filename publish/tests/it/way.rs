//! What goes wrong between us and a server that speaks S3.

use std::sync::Arc;
use std::time::Duration;

use whittle_test_servers::{Reply, Request, Way};

/// The way to a server, which breaks.
pub(crate) type Proxy = whittle_test_servers::Proxy<Fault>;

/// What is wrong with the way to a server.
#[derive(Clone, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Every second request is answered with this status, instead of by the server.
    EverySecond(u16),
    /// The answers to the first so many writes whose keys hold this are lost.
    LostWrites(usize, &'static str),
    /// No write whose key holds this reaches the server.
    NoWrites(&'static str),
    /// This happens just before the first write whose key holds this; it must not go this way itself.
    Meanwhile(&'static str, Arc<dyn Fn() + Send + Sync>),
    /// Nothing reaches it.
    Closed,
}

impl whittle_test_servers::Fault for Fault {
    fn way(&self, seen: &[Request]) -> Way {
        let is_write_of = |part| seen.last().is_some_and(|request| is_write(request, part));
        match self {
            Self::Closed => Way::Lost,
            Self::NoWrites(part) if is_write_of(part) => Way::Lost,
            Self::LostWrites(times, part) if is_write_of(part) && writes(seen, part) <= *times => {
                Way::LostAnswer
            }
            Self::EverySecond(status) if seen.len() % 2 == 1 => {
                Way::Instead(Reply::new(*status, "<Error><Code>InternalError</Code></Error>"))
            }
            Self::Meanwhile(part, happens) if is_write_of(part) && writes(seen, part) == 1 => {
                happens();
                Way::Through(Duration::ZERO)
            }
            _ => Way::Through(Duration::ZERO),
        }
    }
}

/// Whether a request writes an object under a key that holds this.
pub(crate) fn is_write(request: &Request, part: &str) -> bool {
    request.method == "PUT" && request.target.contains(part)
}

/// How often an object was written under a key that holds this.
pub(crate) fn writes(seen: &[Request], part: &str) -> usize {
    seen.iter().filter(|request| is_write(request, part)).count()
}
