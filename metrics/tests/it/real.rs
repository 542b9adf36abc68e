//! Debian's Prometheus, on a free port.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A Prometheus, with the directory of its data.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
    pub(crate) directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// A server with a history, in OpenMetrics.
    pub(crate) fn with_history(history: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("history.om"), history).unwrap();
        let made = command("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([path("history.om"), path("data")])
            .output()
            .unwrap_or_else(|error| panic!("promtool: {error}; `cargo xtask setup` installs it"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self::start(directory, &[])
    }

    /// A server with its data in a directory.
    pub(crate) fn start(directory: tempfile::TempDir, args: &[String]) -> Self {
        fs::write(directory.path().join("prometheus.yml"), "").unwrap();
        let mut port = 0;
        // Between here and there somebody else may take the port.
        for _ in 0..5 {
            port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(process) = serve(directory.path(), port, args) {
                let url = format!("http://127.0.0.1:{port}");
                return Self { process, url, directory };
            }
        }
        panic!("prometheus does not listen on port {port}");
    }
}

pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// A server that is ready; none if it ends before.
fn serve(directory: &Path, port: u16, args: &[String]) -> Option<Child> {
    let log = fs::File::create(directory.join("log")).unwrap();
    let mut process = command("prometheus")
        .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        // The history lies where it lies, whatever the year.
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(args)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("prometheus: {error}; `cargo xtask setup` installs it"));
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(60) {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        if is_ready(port) {
            return Some(process);
        }
        thread::sleep(Duration::from_millis(50));
    }
    let _ = process.kill();
    let _ = process.wait();
    panic!("prometheus: {}", fs::read_to_string(directory.join("log")).unwrap());
}

fn is_ready(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = "GET /-/ready HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let mut line = String::new();
    std::io::Write::write_all(&mut stream, request.as_bytes()).is_ok()
        && BufReader::new(stream).read_line(&mut line).is_ok()
        // With TLS it answers that it wants that.
        && (line.contains(" 200 ") || line.contains(" 400 "))
}
