//! A server that answers as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use whittle_metrics::prometheus::Source;

use crate::support::source;

/// What a query is answered with: status, content type and more header lines, and body.
pub(crate) type Page = (u16, &'static str, String);

/// A server on a port of its own until the test ends.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers each query by `page`, which is told the query, its time, and how many there were before.
    pub(crate) fn start(page: impl Fn(&str, u64, usize) -> Page + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(vec![])));
        let (counter, kept, page) = (Arc::clone(&asked), Arc::clone(&heads), Arc::new(page));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (page, counter, kept) =
                    (Arc::clone(&page), Arc::clone(&counter), Arc::clone(&kept));
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    let Some((head, form)) = request(&stream) else { return };
                    kept.lock().unwrap().push(head);
                    let (query, at_s) = query(&form);
                    let number = counter.fetch_add(1, Ordering::SeqCst);
                    let (status, head, body) = page(&query, at_s, number);
                    // A reader that has had enough hangs up.
                    let _ = respond(stream, status, head, &body);
                });
            }
        });
        Self { url, asked, heads }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn source(&self) -> Source {
        Source { retries: 0, ..source(&self.url) }
    }
}

fn request(stream: &TcpStream) -> Option<(String, String)> {
    let mut lines = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if lines.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    let mut form = vec![0; length.unwrap_or(0)];
    lines.read_exact(&mut form).ok()?;
    Some((head, String::from_utf8(form).unwrap()))
}

/// Query and time of a form.
fn query(form: &str) -> (String, u64) {
    let field = |name: &str| {
        let field = form.split('&').find_map(|field| field.strip_prefix(&format!("{name}=")));
        decoded(field.unwrap())
    };
    (field("query"), field("time").parse().unwrap())
}

fn decoded(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

fn respond(mut stream: TcpStream, status: u16, head: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{head}\r\n\r\n{body}"
    )
}

pub(crate) const JSON: &str = "Content-Type: application/json";
pub(crate) const HTML: &str = "Content-Type: text/html";

/// A vector with a series for each hardware.
pub(crate) fn vector(at_s: u64, series: &[(&str, &str)]) -> String {
    let series = series
        .iter()
        .map(|(labels, value)| format!(r#"{{"metric":{{{labels}}},"value":[{at_s},"{value}"]}}"#));
    let series = series.collect::<Vec<_>>().join(",");
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
}

pub(crate) const B: &str = r#""hardware":"B","region":"eu""#;
pub(crate) const C: &str = r#""hardware":"C","region":"eu""#;
