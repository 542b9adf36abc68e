//! Just enough of HTTP: one request for each connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde_json::Value;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// With names in lower case.
    pub headers: Vec<(String, String)>,
    /// As long as the header says.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads one; none if the connection ends before it does.
    ///
    /// # Panics
    /// If its length is no number.
    #[must_use]
    pub fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut request = Self { method, target, ..Self::default() };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            request.headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let length = request.header("content-length");
        request.body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    /// The first header of this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(got, _)| got == name).map(|(_, value)| value.as_str())
    }

    /// The parts of the path, decoded.
    #[must_use]
    pub fn path(&self) -> Vec<String> {
        let path = self.target.split('?').next().unwrap_or_default();
        path.split('/').filter(|part| !part.is_empty()).map(decoded).collect()
    }

    /// Names and values of the query, decoded.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        fields(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// A parameter of the query, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        named(self.query(), name)
    }

    /// A field of the form in the body, decoded.
    ///
    /// # Panics
    /// If the body is no text.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        named(fields(std::str::from_utf8(&self.body).expect("UTF-8")), name)
    }

    /// The body, which must be JSON and say so.
    ///
    /// # Panics
    /// If it is not, or does not.
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.target);
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn write(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let start = format!("{} {} HTTP/1.1", self.method, self.target);
        let others = self.headers.iter().filter(|(name, _)| name != "connection");
        stream.write_all(&[head(&start, others).as_bytes(), &self.body].concat())
    }
}

/// The lines in front of a body.
fn head<'a>(start: &str, headers: impl Iterator<Item = &'a (String, String)>) -> String {
    let lines: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{start}\r\nconnection: close\r\n{lines}\r\n")
}

/// Names and values of what is encoded as a form is.
fn fields(form: &str) -> Vec<(String, String)> {
    let pairs = form.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let plain = |text: &str| decoded(&text.replace('+', " "));
    pairs.map(|(name, value)| (plain(name), plain(value))).collect()
}

fn named(fields: Vec<(String, String)>, name: &str) -> Option<String> {
    fields.into_iter().find(|(got, _)| got == name).map(|(_, value)| value)
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
pub struct Reply {
    /// Such as 200.
    pub status: u16,
    /// Besides its length, and that the connection is closed.
    pub headers: Vec<(String, String)>,
    /// What it brings.
    pub body: Vec<u8>,
    /// How many bytes of the body are sent before the connection ends; all if it is none.
    pub cut: Option<usize>,
}

impl Reply {
    /// Of bytes.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![], body: body.into(), cut: None }
    }

    /// Of JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).with("content-type", "application/json")
    }

    /// With another header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends it. Who has hung up does not get it.
    pub fn send(&self, mut stream: &TcpStream) {
        let length = ("content-length".to_owned(), self.body.len().to_string());
        // "No Content" has no length; with content it is a lie that clients must bear.
        let length = Some(&length).filter(|_| self.status != 204 || !self.body.is_empty());
        let start = format!("HTTP/1.1 {} Whatever", self.status);
        let head = head(&start, length.into_iter().chain(&self.headers));
        let sent = self.cut.unwrap_or(self.body.len()).min(self.body.len());
        // In one piece, or the second waits for the first to be acknowledged.
        let _ = stream.write_all(&[head.as_bytes(), &self.body[..sent]].concat());
    }
}

/// Has each connection's only request answered, each on a thread, until the test ends; gives the address.
///
/// # Panics
/// If no port is free.
pub fn serve(answer: impl Fn(&TcpStream, &Request) + Send + Sync + 'static) -> String {
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

/// The same, of whole replies.
pub fn serve_replies(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> String {
    serve(move |stream, request| answer(request).send(stream))
}
