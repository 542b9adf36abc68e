//! A proxy that breaks the way to a server as the test says, and notes what was asked.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::http::{Reply, Request, serve};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Way {
    /// It reaches the server after so long, and the answer comes back.
    Through(Duration),
    /// It reaches the server, but the connection ends.
    LostAnswer,
    /// The connection ends before it reaches the server.
    Lost,
    /// This is the answer, instead of the server's.
    Instead(Reply),
}

/// What is wrong with the way; by default nothing.
pub trait Fault: Clone + Default + Send + 'static {
    /// What becomes of the last one of the requests that have come since this was set; without their bodies.
    fn way(&self, seen: &[Request]) -> Way;
}

/// A proxy.
#[derive(Clone)]
pub struct Proxy<F> {
    /// Its address.
    pub url: String,
    state: Arc<Mutex<State<F>>>,
}

struct State<F> {
    fault: F,
    seen: Vec<Request>,
    /// Requests that are on their way to the server.
    under_way: usize,
}

impl<F: Fault> Proxy<F> {
    /// Begins to pass requests on to a server.
    ///
    /// # Panics
    /// If that is no address, or no port is free.
    #[must_use]
    pub fn to(upstream: &str) -> Self {
        let upstream = upstream.strip_prefix("http://").expect("an address").to_owned();
        let state = State { fault: F::default(), seen: vec![], under_way: 0 };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let url = serve(move |stream, request| pass(stream, request, &upstream, &shared));
        Self { url, state }
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().expect("no panic")
    }

    /// From now on this is wrong; what was asked before is forgotten.
    pub fn set(&self, fault: F) {
        let mut state = self.state();
        (state.fault, state.seen) = (fault, Vec::new());
    }

    /// Sets a fault that lets nothing through, and waits for what is under way: whoever sent it may be dead.
    pub fn close(&self, fault: F) {
        self.set(fault);
        while self.state().under_way > 0 {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What was asked since the last fault was set; without bodies.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        self.state().seen.clone()
    }
}

fn pass<F: Fault>(stream: &TcpStream, request: &Request, upstream: &str, shared: &Mutex<State<F>>) {
    let lock = || shared.lock().expect("no panic");
    let way = {
        let mut state = lock();
        state.seen.push(noted(request));
        let way = state.fault.way(&state.seen);
        state.under_way += usize::from(matches!(way, Way::Through(_) | Way::LostAnswer));
        way
    };
    match way {
        Way::Lost => return,
        Way::Instead(reply) => return reply.send(stream),
        Way::LostAnswer => drop(asked(request, upstream)),
        Way::Through(time) => {
            thread::sleep(time);
            let mut stream = stream;
            // A client that was killed waits for nothing.
            let _ = stream.write_all(&asked(request, upstream));
        }
    }
    lock().under_way -= 1;
}

/// A request without what it brings: that of an upload is long, and nobody asks for it.
fn noted(Request { method, target, headers, .. }: &Request) -> Request {
    let (method, target, headers) = (method.clone(), target.clone(), headers.clone());
    Request { method, target, headers, body: vec![] }
}

/// What the server answers.
fn asked(request: &Request, upstream: &str) -> Vec<u8> {
    let mut up = TcpStream::connect(upstream).expect("the server runs");
    request.write(&up).expect("the server reads");
    let mut answer = vec![];
    let _ = up.read_to_end(&mut answer);
    answer
}
