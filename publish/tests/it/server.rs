//! ministack (PyPI), a local AWS: it checks signatures, digests of uploads, and conditions of writes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};

use serde_json::{Value, json};

pub(crate) const BUCKET: &str = "releases";

/// ministack, and AWS's own client, which looks at it besides us.
pub(crate) struct Server {
    _child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pub(crate) url: String,
    id: String,
    pub(crate) secret: String,
}

impl Server {
    /// The one of this test run.
    pub(crate) fn shared() -> MutexGuard<'static, Self> {
        static SHARED: OnceLock<Mutex<Server>> = OnceLock::new();
        SHARED.get_or_init(|| Mutex::new(Self::start())).lock().expect("no panic")
    }

    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("../target/fleet-tools/bin/python");
        assert!(python.exists(), "`{}` is missing: run `cargo xtask setup`", python.display());
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.expect("a free port").port();
        let mut child = Command::new(python)
            .arg(root.join("tests/it/server.py"))
            .args([&port.to_string(), BUCKET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let url = format!("http://127.0.0.1:{port}");
        let (id, secret) = (String::new(), String::new());
        let mut this = Self { _child: child, stdin, stdout, url, id, secret };
        let key = this.answer();
        let text = |name: &str| key[name].as_str().expect("text").to_owned();
        (this.id, this.secret) = (text("id"), text("key"));
        this
    }

    /// Has AWS's client do something with the bucket.
    pub(crate) fn ask(&mut self, operation: &str, arguments: &Value) -> Value {
        writeln!(self.stdin, "{}", json!([operation, arguments])).expect("it listens");
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it answers");
        assert!(!line.is_empty(), "server.py ended; its words are above");
        serde_json::from_str(&line).expect("JSON")
    }

    /// What the environment says to whom shall come by this address.
    pub(crate) fn variables(&self, url: &str) -> Vec<(String, String)> {
        let variables = [
            ("AWS_ACCESS_KEY_ID", self.id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &self.secret),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", url),
            ("AWS_ALLOW_HTTP", "true"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }
}
