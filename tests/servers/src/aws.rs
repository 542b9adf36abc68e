//! ministack (PyPI), a local AWS, and AWS's own client, which looks at it besides us.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A server that checks signatures, with what a test does with it in Python; it ends with this.
pub struct LocalAws {
    _child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Its address.
    pub url: String,
    /// Name of a user whose signatures are checked.
    pub id: String,
    /// That user's secret.
    pub secret: String,
}

impl LocalAws {
    /// Starts it. `commands` is a program that calls `local_aws.serve` (`tests/servers/python`), and gets these arguments.
    ///
    /// # Panics
    /// If its tools are not installed, or it does not start.
    #[must_use]
    pub fn start(commands: &Path, args: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("../../target/fleet-tools/bin/python");
        assert!(python.exists(), "`{}` is missing: run `cargo xtask setup`", python.display());
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.expect("a free port").port();
        let mut child = Command::new(python)
            .arg(commands)
            .arg(port.to_string())
            .args(args)
            .env("PYTHONPATH", root.join("python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let url = format!("http://127.0.0.1:{port}");
        let (id, secret) = (String::new(), String::new());
        let mut this = Self { _child: child, stdin, stdout, url, id, secret };
        let key = this.answer("the start");
        let text = |name: &str| key[name].as_str().expect("text").to_owned();
        (this.id, this.secret) = (text("id"), text("key"));
        this
    }

    /// Has AWS's client do something.
    ///
    /// # Panics
    /// If it cannot.
    pub fn ask(&mut self, command: &str, arguments: &Value) -> Value {
        writeln!(self.stdin, "{}", json!([command, arguments])).expect("it listens");
        self.answer(command)
    }

    fn answer(&mut self, to: &str) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it answers");
        assert!(!line.is_empty(), "the local AWS ended at {to}; its words are above");
        serde_json::from_str(&line).expect("JSON")
    }
}
