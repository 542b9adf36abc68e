//! A server that answers as a test says.

use std::sync::{Arc, Mutex};

use whittle_metrics::prometheus::Source;
use whittle_test_servers::{Reply, Request, serve_replies};

use crate::support::source;

/// What a query is answered with: status, a header, and body.
pub(crate) type Page = (u16, (&'static str, &'static str), String);

/// A server on a port of its own until the test ends.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each query by `page`, which is told the query, its time, and how many there were before.
    pub(crate) fn start(page: impl Fn(&str, u64, usize) -> Page + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(vec![]));
        let kept = Arc::clone(&asked);
        let url = serve_replies(move |request| {
            let number = {
                let mut kept = kept.lock().unwrap();
                kept.push(request.clone());
                kept.len() - 1
            };
            let field = |name| request.field(name).unwrap();
            let (status, (name, value), body) =
                page(&field("query"), field("time").parse().unwrap(), number);
            Reply::new(status, body).with(name, value)
        });
        Self { url, asked }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// How those who asked said who they are.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let headers = asked.iter().filter_map(|request| request.header("authorization"));
        headers.map(str::to_owned).collect()
    }

    pub(crate) fn source(&self) -> Source {
        Source { retries: 0, ..source(&self.url) }
    }
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const HTML: (&str, &str) = ("content-type", "text/html");

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
