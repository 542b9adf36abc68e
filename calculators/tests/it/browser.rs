//! A Chromium without a window, driven by the DevTools protocol over two pipes: messages in JSON, each ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long any answer may take before the browser is held to be dead.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub(crate) struct Browser {
    program: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    /// What the browser told besides answers, in order.
    pub(crate) events: Vec<Value>,
    last_id: u64,
    session: Option<String>,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = TempDir::new().expect("there is room");
        // The protocol wants the pipes as descriptors 3 and 4. Only our own page is opened, so that no sandbox is missed, which
        // Chromium refuses to do without for some users.
        let mut program = Command::new("sh")
            .args([
                "-c",
                "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
                "sh",
                "chromium",
                "--headless",
            ])
            .args([
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args(["--no-first-run", "--disable-background-networking", "--disable-extensions"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let commands = program.stdin.take().expect("it is a pipe");
        let mut answers = BufReader::new(program.stdout.take().expect("it is a pipe"));
        let (told, messages) = channel();
        thread::spawn(move || {
            let mut message = vec![];
            while answers.read_until(0, &mut message).is_ok_and(|bytes| bytes > 0) {
                message.pop();
                let Ok(read) = serde_json::from_slice(&message) else { break };
                if told.send(read).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            program,
            commands,
            messages,
            events: vec![],
            last_id: 0,
            session: None,
            _profile: profile,
        };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = self.call(
            "Target.attachToTarget",
            &json!({"targetId": target["targetId"], "flatten": true}),
        );
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
        let size = json!({"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Opens a file, at a place in it, and waits until the page says that it is ready.
    pub(crate) fn open(&mut self, file: &Path, hash: &str) {
        // A change of the hash alone would load nothing.
        self.navigate("about:blank");
        self.navigate(&format!("file://{}{hash}", file.display()));
        let ready = "new Promise(ready => { const look = () => document.body.dataset.ready ? ready(true) : setTimeout(look, 5); look(); })";
        assert_eq!(self.evaluate(ready), true);
    }

    fn navigate(&mut self, url: &str) {
        let before = self.loads();
        self.call("Page.navigate", &json!({"url": url}));
        while self.loads() == before {
            self.receive();
        }
    }

    fn loads(&self) -> usize {
        self.told("Page.loadEventFired").count()
    }

    /// What the browser told of one kind.
    pub(crate) fn told<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events
            .iter()
            .filter(move |event| event["method"] == method)
            .map(|event| &event["params"])
    }

    /// The value of an expression, or of the promise that it is.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let found = self.call("Runtime.evaluate", &params);
        assert!(found["exceptionDetails"].is_null(), "{expression}: {found}");
        found["result"]["value"].clone()
    }

    /// Presses the mouse on one place of an element, moves it to another, and lets go; both as fractions of its width.
    pub(crate) fn drag(&mut self, selector: &str, from: f64, to: f64) {
        let places = format!(
            "(() => {{ const element = document.querySelector({selector:?}); element.scrollIntoView({{block: 'center'}}); \
             const {{x, y, width, height}} = element.getBoundingClientRect(); return [x, y + height / 2, width]; }})()"
        );
        let found = self.evaluate(&places);
        let [x, y, width] = [0, 1, 2].map(|at| found[at].as_f64().expect("it has a place"));
        let mouse = |kind: &str, at: f64| json!({"type": kind, "x": x + width * at, "y": y, "button": "left", "buttons": 1, "clickCount": 1});
        self.call("Input.dispatchMouseEvent", &mouse("mousePressed", from));
        for step in 1..=4 {
            let at = from + (to - from) * f64::from(step) / 4.0;
            self.call("Input.dispatchMouseEvent", &mouse("mouseMoved", at));
        }
        self.call("Input.dispatchMouseEvent", &mouse("mouseReleased", to));
    }

    /// Clicks on the middle of an element.
    pub(crate) fn click(&mut self, selector: &str) {
        self.drag(selector, 0.5, 0.5);
    }

    /// Presses a key, `times` times, on an element.
    pub(crate) fn press(&mut self, selector: &str, key: &str, times: u32) {
        self.evaluate(&format!("document.querySelector({selector:?}).focus()"));
        let code = match key {
            "ArrowRight" => 39,
            "ArrowLeft" => 37,
            other => panic!("{other}"),
        };
        for _ in 0..times {
            for kind in ["rawKeyDown", "keyUp"] {
                let event =
                    json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
                self.call("Input.dispatchKeyEvent", &event);
            }
        }
    }

    /// Writes text in the place of what stands in a box.
    pub(crate) fn write(&mut self, selector: &str, text: &str) {
        self.evaluate(&format!(
            "{{ const box = document.querySelector({selector:?}); box.focus(); box.select(); }}"
        ));
        self.call("Input.insertText", &json!({"text": text}));
    }

    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        let text = format!("{command}\0");
        let sent = self.commands.write_all(text.as_bytes());
        sent.expect("chromium runs; `cargo xtask setup` installs it");
        loop {
            if let Some(answer) = self.receive().filter(|answer| answer["id"] == id) {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Takes a message: keeps it if it is an event, and returns it if it is an answer.
    fn receive(&mut self) -> Option<Value> {
        let message = self.messages.recv_timeout(PATIENCE);
        let message = message.expect("chromium answers; `cargo xtask setup` installs it");
        if message["id"].is_null() {
            self.events.push(message);
            return None;
        }
        Some(message)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
