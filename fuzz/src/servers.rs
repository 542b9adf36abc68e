//! What the servers of a fleet answer.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use whittle_fleet::{Campaign, DriverConfig, DriverError, Report, Ring, Surroundings};
use whittle_rollout::{Cell, Orders};
use whittle_test_servers::{Reply, Request};

/// Kinds of servers; the first byte of an input chooses.
const SERVERS: [&str; 3] = [
    "kind = 'hawkbit'\nuser = 'rollouts'\npassword = { env = 'SECRET' }\ndistribution-set = 42\nway-back = 41",
    "kind = 'mender'\ntoken = { env = 'SECRET' }\nartifact = 'thermostat-2.4.1'\nway-back = 'thermostat-2.4.0'",
    "kind = 'aws-iot-jobs'\nregion = 'eu-central-1'\naccess-key-id = { env = 'SECRET' }\n\
     secret-access-key = { env = 'SECRET' }\ndocument = { source = 'https://a.s3.amazonaws.com/b' }",
];

/// Most answers that are given; then nobody is there any more.
const MAX_ANSWERS: usize = 40;

/// A secret that no error may tell.
const SECRET: &str = "hunter2-very-secret";

struct World;

impl Surroundings for World {
    fn variable(&self, _: &str) -> Option<String> {
        Some(SECRET.to_owned())
    }
    fn now_s(&self) -> u64 {
        1_795_694_400
    }
    fn seed(&self) -> u64 {
        1
    }
    fn sleep(&self, _: Duration) {}
}

/// Answers of a server, a line each: a status and a body, such as `200 {"content": [], "total": 0}`.
///
/// # Panics
/// If an error tells the secret.
pub fn fleet_answers(data: &[u8]) {
    let Some((which, answers)) = data.split_first() else { return };
    if let Err(error) = drive(SERVERS[usize::from(*which) % SERVERS.len()], answers).0 {
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
}

/// What a driver makes of the answers, and what it asked for.
fn drive(server: &str, answers: &[u8]) -> (Result<Report, DriverError>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let key = if server.contains("aws") { "endpoint" } else { "url" };
    let retry = "[retry]\ntries = 2\nfirst-wait-ms = 1\nlongest-wait-ms = 1\ntimeout-ms = 2000";
    let toml = format!("{server}\n{key} = 'http://{address}'\n{retry}");
    let config: DriverConfig = toml::from_str(&toml).expect("a configuration");
    let mut driver = config.open(&World).expect("it is a good configuration");
    let lines = answers.split(|byte| *byte == b'\n').take(MAX_ANSWERS);
    let lines: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    std::thread::scope(|scope| {
        let server = scope.spawn(move || serve(&listener, &lines));
        let outcome = driver.apply(&orders(), &campaign());
        // Nobody else connects: this ends the server, if it has answers left.
        drop(TcpStream::connect(address));
        (outcome, server.join().expect("it does not panic"))
    })
}

/// Gives the answers one after the other; returns what was asked for.
fn serve(listener: &TcpListener, answers: &[Vec<u8>]) -> Vec<String> {
    let mut asked = vec![];
    let mut answers = answers.iter();
    for stream in listener.incoming().flatten() {
        let Some(request) = Request::read(&stream) else { break };
        asked.push(format!("{} {}", request.method, request.target));
        let Some(answer) = answers.next() else { break };
        let (status, body) = answer.split_at(answer.len().min(3));
        let status = std::str::from_utf8(status).ok().and_then(|digits| digits.parse().ok());
        let status = status.filter(|status| (200..600).contains(status)).unwrap_or(200);
        Reply::new(status, body).send(&stream);
    }
    asked
}

fn campaign() -> Campaign {
    let cell = Cell {
        attributes: BTreeMap::from([("hw".to_owned(), "A".to_owned())]),
        devices: 10,
        baselines: BTreeMap::new(),
    };
    Campaign {
        name: "spring".to_owned(),
        version: "2.4.1".to_owned(),
        build: "ab".repeat(32),
        cells: vec![cell],
        split_by: vec![],
        hold_back: 0.0,
        rings: vec![Ring { among: None, devices: 10 }],
        stage: 0,
        offered: 0,
        is_over: false,
    }
}

/// Orders to go on with half of the devices.
fn orders() -> Orders {
    Orders {
        closed: None,
        share: 0.5,
        devices: 5,
        start_now: 5,
        among: None,
        closed_cells: vec![],
        taken_back_cells: vec![],
        take_back: vec![],
        way_back: None,
        more_telemetry: false,
        release_held_back: false,
        feature_flags: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the seeds lead anywhere.
    #[test]
    fn good_answers_are_taken() {
        for (which, name) in ["hawkbit", "mender", "aws"].into_iter().enumerate() {
            let seed = crate::seed("fleet_answers", name);
            let (outcome, asked) = drive(SERVERS[which], &seed[1..]);
            let changed = outcome.as_ref().is_ok_and(|report| !report.changed.is_empty());
            assert!(changed, "{name}: {outcome:?} {asked:#?}");
        }
    }
}
