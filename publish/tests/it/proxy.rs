//! Just enough of HTTP: a proxy that breaks the way to a server, and a server of files that is not what it seems.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    /// With names in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut request = Self { method, target, ..Self::default() };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            request.headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let length = request.header("content-length");
        request.body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(got, _)| got == name).map(|(_, value)| value.as_str())
    }

    /// Whether it writes an object under a key that holds this.
    pub(crate) fn writes(&self, part: &str) -> bool {
        self.method == "PUT" && self.target.contains(part)
    }
}

/// Answers each connection's only request, each on a thread, until the test ends; gives the address.
pub(crate) fn serve(answer: impl Fn(&TcpStream, &Request) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                if let Some(request) = Request::read(&stream) {
                    answer(&stream, &request);
                }
            });
        }
    });
    url
}

/// Writes an answer, as a whole or only so many bytes of its body.
pub(crate) fn reply(
    mut stream: &TcpStream,
    status: u16,
    headers: &str,
    body: &[u8],
    cut: Option<usize>,
) {
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    let sent = &body[..cut.unwrap_or(body.len()).min(body.len())];
    // In one piece, or the second waits for the first to be acknowledged.
    let _ = stream.write_all(&[head.as_bytes(), sent].concat());
}

/// What is wrong with the way to a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Every second request is answered with this status, instead of by the server.
    EverySecond(u16),
    /// The answers to the first so many writes whose keys hold this are lost.
    LostWrites(usize, &'static str),
    /// No write whose key holds this reaches the server.
    NoWrites(&'static str),
    /// Nothing reaches it.
    Closed,
}

/// A proxy that breaks the way as the test says, and notes what was asked.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    fault: Fault,
    seen: Vec<Request>,
    /// Requests that are on their way to the server.
    under_way: usize,
}

impl Proxy {
    pub(crate) fn to(upstream: &str) -> Self {
        let upstream = upstream.strip_prefix("http://").expect("an address").to_owned();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let url = serve(move |stream, request| pass(stream, request, &upstream, &shared));
        Self { url, state }
    }

    /// From now on this is wrong; what was asked before is forgotten.
    pub(crate) fn set(&self, fault: Fault) {
        let mut state = self.state.lock().expect("no panic");
        (state.fault, state.seen) = (fault, Vec::new());
    }

    /// Lets nothing more to the server, and waits for what is under way: whoever sent it may be dead.
    pub(crate) fn close(&self) {
        self.set(Fault::Closed);
        while self.state.lock().expect("no panic").under_way > 0 {
            thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.state.lock().expect("no panic").seen.clone()
    }

    /// How often an object was written under a key that holds this.
    pub(crate) fn writes(&self, part: &str) -> usize {
        self.seen().iter().filter(|request| request.writes(part)).count()
    }
}

fn pass(stream: &TcpStream, request: &Request, upstream: &str, shared: &Mutex<State>) {
    let (fault, number, writes) = {
        let mut state = shared.lock().expect("no panic");
        let part = match state.fault {
            Fault::LostWrites(_, part) | Fault::NoWrites(part) => part,
            _ => "",
        };
        state.seen.push(Request { body: vec![], ..request.clone() });
        let writes = state.seen.iter().filter(|request| request.writes(part)).count();
        if !matches!(state.fault, Fault::Closed) {
            state.under_way += 1;
        }
        (state.fault, state.seen.len(), writes)
    };
    let is_lost = match fault {
        Fault::Closed => return,
        Fault::LostWrites(times, part) => request.writes(part) && writes <= times,
        _ => false,
    };
    match fault {
        Fault::EverySecond(status) if number % 2 == 1 => {
            reply(stream, status, "", b"<Error><Code>InternalError</Code></Error>", None);
        }
        Fault::NoWrites(part) if request.writes(part) => {}
        _ => forward(stream, request, upstream, is_lost),
    }
    shared.lock().expect("no panic").under_way -= 1;
}

fn forward(mut stream: &TcpStream, request: &Request, upstream: &str, is_lost: bool) {
    let mut head =
        format!("{} {} HTTP/1.1\r\nconnection: close\r\n", request.method, request.target);
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "connection") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut up = TcpStream::connect(upstream).expect("the server runs");
    let bytes = [format!("{head}\r\n").as_bytes(), &request.body].concat();
    up.write_all(&bytes).expect("the server reads");
    let mut answer = vec![];
    let _ = up.read_to_end(&mut answer);
    if !is_lost {
        let _ = stream.write_all(&answer);
    }
}
