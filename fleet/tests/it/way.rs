//! What goes wrong between a driver and its server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use whittle_test_servers::{Reply, Request, Way, serve_replies};

/// The way to a server, which breaks.
pub(crate) type Proxy = whittle_test_servers::Proxy<Fault>;

/// What is wrong with the way to a server.
#[derive(Clone, Debug, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// From the request with this number on, from 1, the connection ends, before it reaches the server.
    DeadBefore(usize),
    /// From that request on, the connection ends; but it has reached the server.
    DeadAfter(usize),
    /// So many requests reach the server, but the connection ends; the others are answered.
    LostAnswers(usize),
    /// So many requests are answered like this, instead of by the server.
    Instead(usize, Reply),
    /// Each answer takes so long.
    Slow(Duration),
}

impl whittle_test_servers::Fault for Fault {
    fn way(&self, seen: &[Request]) -> Way {
        let number = seen.len();
        match self {
            Self::DeadBefore(first) if number >= *first => Way::Lost,
            // A client that was killed asks nothing more.
            Self::DeadAfter(first) if number > *first => Way::Lost,
            Self::DeadAfter(first) if number == *first => Way::LostAnswer,
            Self::LostAnswers(lost) if number <= *lost => Way::LostAnswer,
            Self::Instead(times, reply) if number <= *times => Way::Instead(reply.clone()),
            Self::Slow(time) => Way::Through(*time),
            _ => Way::Through(Duration::ZERO),
        }
    }
}

/// Answers requests.
pub(crate) trait Service: Send + 'static {
    fn answer(&mut self, request: &Request) -> Reply;
}

/// Serves until the test ends; gives the address. A panic of the service is the test's.
pub(crate) fn serve(service: Arc<Mutex<impl Service>>) -> String {
    serve_replies(move |request| service.lock().expect("no panic before").answer(request))
}
