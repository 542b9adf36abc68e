//! Where packages are fetched from: a store, or any web server that shows what is in one.

use std::io::Read as _;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode};

use crate::store::{Store, bad_location};
use crate::{Error, Result};

/// How long a web server is waited for, and how often it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer.
    pub head: Duration,
    /// For its body, which is all of a package where there are no ranges.
    pub body: Duration,
    /// How often something is asked for, at least once.
    pub tries: u32,
    /// The wait after the first try, which doubles each time.
    pub first_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body: Duration::from_secs(900),
            tries: 6,
            first_wait: Duration::from_millis(200),
        }
    }
}

/// A part of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// What was asked for, or as much of it as there is.
    Part(Vec<u8>),
    /// All of the object: the server knows no ranges.
    Whole(Vec<u8>),
}

/// A place to fetch from.
#[derive(Debug)]
pub struct Source(Kind);

#[derive(Debug)]
enum Kind {
    Store(Store),
    Web(Web),
}

impl Source {
    /// Opens a web address, with or without TLS, since what is fetched is signed; or what [`Store::open`] opens.
    ///
    /// # Errors
    /// [`Error::Location`].
    pub fn open(
        location: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        Self::open_with(location, variables, Patience::default())
    }

    /// The same with another patience with web servers; stores have one of their own.
    ///
    /// # Errors
    /// [`Error::Location`].
    pub fn open_with(
        location: &str,
        variables: impl IntoIterator<Item = (String, String)>,
        patience: Patience,
    ) -> Result<Self> {
        match location.split_once("://") {
            Some(("http" | "https", _)) => Web::open(location, patience).map(Kind::Web).map(Self),
            _ => Store::open(location, variables).map(Kind::Store).map(Self),
        }
    }

    /// Reads an object of at most `limit` bytes.
    pub(crate) fn get(&self, key: &str, limit: usize) -> Result<Vec<u8>> {
        let found = match &self.0 {
            Kind::Store(store) => store.get(key, limit)?.map(|found| found.bytes),
            Kind::Web(web) => web.get(key, None, limit as u64)?.map(|piece| match piece {
                Piece::Part(bytes) | Piece::Whole(bytes) => bytes,
            }),
        };
        let bytes = found.ok_or_else(|| Error::Absent(key.to_owned()))?;
        if bytes.len() > limit {
            return Err(Error::damaged(key, format!("it has more than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// Reads `len` bytes from `start` on, of an object of `size` bytes.
    pub(crate) fn get_piece(&self, key: &str, start: u64, len: u64, size: u64) -> Result<Piece> {
        let found = match &self.0 {
            Kind::Store(store) => store.get_range(key, start..start + len)?.map(Piece::Part),
            Kind::Web(web) => web.get(key, Some((start, len)), size)?,
        };
        found.ok_or_else(|| Error::Absent(key.to_owned()))
    }
}

/// A web server.
#[derive(Debug)]
struct Web {
    base: String,
    agent: Agent,
    patience: Patience,
}

/// Why a try did not work.
enum Failure {
    Passing(String),
    Final(Error),
}

impl Web {
    fn open(location: &str, patience: Patience) -> Result<Self> {
        let bad = |why: &str| Err(bad_location(location, why));
        let (scheme, rest) = location.split_once("://").unwrap_or_default();
        let host = rest.split('/').next().unwrap_or_default();
        if host.is_empty() || rest.contains(['?', '#', ' ']) {
            return bad("wanted an address such as `https://updates.example.com/firmware`");
        }
        if host.contains('@') {
            return bad("credentials do not belong into an address");
        }
        let agent = Agent::config_builder()
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.head))
            .timeout_recv_body(Some(patience.body))
            .https_only(scheme == "https")
            .http_status_as_error(false)
            .user_agent(concat!("whittle/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { base: location.trim_end_matches('/').to_owned(), agent: agent.into(), patience })
    }

    /// Reads an object or, of one with at most `limit` bytes, a range of it; none if there is none.
    fn get(&self, key: &str, range: Option<(u64, u64)>, limit: u64) -> Result<Option<Piece>> {
        let mut wait = self.patience.first_wait;
        let mut tries = 1;
        loop {
            match self.once(key, range, limit) {
                Ok(piece) => return Ok(piece),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(why)) if tries >= self.patience.tries => {
                    let key = key.to_owned();
                    return Err(Error::Store { action: "fetch", key, source: why.into() });
                }
                Err(Failure::Passing(_)) => std::thread::sleep(wait),
            }
            tries += 1;
            wait = wait.saturating_mul(2);
        }
    }

    fn once(
        &self,
        key: &str,
        range: Option<(u64, u64)>,
        limit: u64,
    ) -> Result<Option<Piece>, Failure> {
        // Of the letters of a key, only this one means something else in an address to some servers.
        let mut request = self.agent.get(format!("{}/{}", self.base, key.replace('+', "%2B")));
        if let Some((start, len)) = range {
            let last = start.saturating_add(len).saturating_sub(1);
            request = request.header("range", format!("bytes={start}-{last}"));
        }
        let response = request.call().map_err(|error| Failure::Passing(error.to_string()))?;
        let status = response.status();
        match (status, range) {
            (StatusCode::OK, _) => Ok(Some(Piece::Whole(body(response, limit)?))),
            (StatusCode::PARTIAL_CONTENT, Some((start, len))) => {
                check_range(&response, start)
                    .map_err(|why| Failure::Final(Error::damaged(key, why)))?;
                Ok(Some(Piece::Part(body(response, len)?)))
            }
            (StatusCode::NOT_FOUND | StatusCode::GONE, _) => Ok(None),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                let source = format!("status {}", status.as_u16()).into();
                Err(Failure::Final(Error::Denied { action: "fetch", key: key.to_owned(), source }))
            }
            _ if status.is_server_error()
                || matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                ) =>
            {
                Err(Failure::Passing(format!("status {}", status.as_u16())))
            }
            _ => {
                let source = format!("status {}", status.as_u16()).into();
                Err(Failure::Final(Error::Store { action: "fetch", key: key.to_owned(), source }))
            }
        }
    }
}

/// Reads a body, but never more than one byte above the limit, by which the caller sees that it is too long.
fn body(response: Response<ureq::Body>, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut reader = response.into_body().into_reader().take(limit.saturating_add(1));
    reader.read_to_end(&mut bytes).map_err(|error| Failure::Passing(error.to_string()))?;
    Ok(bytes)
}

/// A server must send what it was asked for, not just anything.
fn check_range(response: &Response<ureq::Body>, start: u64) -> Result<(), String> {
    let header = response.headers().get("content-range").and_then(|range| range.to_str().ok());
    let begins = header.and_then(|range| range.trim().strip_prefix("bytes ")?.split_once('-'));
    match begins.and_then(|(begins, _)| begins.parse::<u64>().ok()) {
        Some(got) if got == start => Ok(()),
        Some(got) => Err(format!("the server sent bytes from {got} on, not from {start}")),
        None => Err("the server does not say which bytes it sent".to_owned()),
    }
}
