//! Just enough of HTTP for servers that are not what they seem, and a proxy that breaks the way to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    /// With names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
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
        let length =
            request.header("content-length").map_or(0, |length| length.parse().expect("a number"));
        request.body = vec![0; length];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(got, _)| got == name).map(|(_, value)| value.as_str())
    }

    /// The parts of the path, decoded.
    pub(crate) fn path(&self) -> Vec<String> {
        let path = self.target.split('?').next().unwrap_or_default();
        path.split('/').filter(|part| !part.is_empty()).map(decoded).collect()
    }

    pub(crate) fn query(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect()
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.query().into_iter().find(|(got, _)| got == name).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.target);
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut plain = vec![];
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'%' {
            let digits = [bytes.next().expect("a digit"), bytes.next().expect("a digit")];
            u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("digits")
        } else {
            byte
        });
    }
    String::from_utf8(plain).expect("UTF-8")
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: vec![], body: vec![] }
    }

    fn write(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Whatever\r\nconnection: close\r\n", self.status);
        let has_length = self.status != 204;
        if has_length {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        // In one piece, or the second waits for the first to be acknowledged.
        stream.write_all(&[format!("{head}\r\n").as_bytes(), &self.body].concat())
    }
}

/// Answers requests.
pub(crate) trait Service: Send + 'static {
    fn answer(&mut self, request: &Request) -> Reply;
}

/// Serves on a free port until the test ends; gives its address.
pub(crate) fn serve(service: Arc<Mutex<impl Service>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(request) = Request::read(&stream) {
                // A panic of the service is the test's.
                let reply = service.lock().expect("no panic before").answer(&request);
                let _ = reply.write(&stream);
            }
        }
    });
    format!("http://{address}")
}

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

/// A proxy that breaks the way to a server as the test says, and notes what was asked.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    fault: Fault,
    seen: Vec<Request>,
}

impl Proxy {
    pub(crate) fn to(upstream: &str) -> Self {
        let upstream = upstream.strip_prefix("http://").expect("an address").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(request) = Request::read(&stream) {
                    pass(&stream, &request, &upstream, &shared);
                }
            }
        });
        Self { url, state }
    }

    /// From now on this is wrong; what was asked before is forgotten.
    pub(crate) fn set(&self, fault: Fault) {
        let mut state = self.state.lock().expect("no panic");
        *state = State { fault, seen: vec![] };
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.state.lock().expect("no panic").seen.clone()
    }
}

fn pass(stream: &TcpStream, request: &Request, upstream: &str, shared: &Mutex<State>) {
    let (fault, number) = {
        let mut state = shared.lock().expect("no panic");
        state.seen.push(request.clone());
        (state.fault.clone(), state.seen.len())
    };
    let is_lost = match fault {
        Fault::DeadBefore(first) if number >= first => return,
        // A client that was killed asks nothing more.
        Fault::DeadAfter(first) if number > first => return,
        Fault::DeadAfter(first) => number == first,
        Fault::LostAnswers(number_lost) => number <= number_lost,
        Fault::Instead(times, reply) if number <= times => {
            let _ = reply.write(stream);
            return;
        }
        Fault::Slow(time) => {
            thread::sleep(time);
            false
        }
        _ => false,
    };
    let mut up = TcpStream::connect(upstream).expect("the server runs");
    let mut head =
        format!("{} {} HTTP/1.1\r\nconnection: close\r\n", request.method, request.target);
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "connection") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let bytes = [format!("{head}\r\n").as_bytes(), &request.body].concat();
    up.write_all(&bytes).expect("the server reads");
    let mut answer = vec![];
    let _ = up.read_to_end(&mut answer);
    if !is_lost {
        let mut stream = stream;
        let _ = stream.write_all(&answer);
    }
}
