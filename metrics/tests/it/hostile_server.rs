//! Servers that answer wrongly, late or not at all.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use whittle_metrics::prometheus::{Absence, Answer, AskError, ReadError, Source};

use crate::server::{B, C, HTML, JSON, Page, Server, vector};
use crate::support::{chain, reader, source};

const FROM_S: u64 = 1_795_680_000;
const UNTIL_S: u64 = FROM_S + 3600;
/// Figures settle for two minutes.
const NOW_S: u64 = UNTIL_S + 120;

fn error_of(server: &Server) -> ReadError {
    reader(&server.source()).unwrap().observe(FROM_S, NOW_S).unwrap_err()
}

/// What a server answers whose figures are right.
fn right(query: &str, at_s: u64) -> String {
    if query.contains("by (version)") {
        return vector(at_s, &[(r#""version":"2.4.1""#, "150"), (r#""version":"2.4.0""#, "1350")]);
    }
    let values = if query.starts_with("resets") {
        ["0", "0"]
    } else if query.contains("rolled_back") || query.contains("bricked") || query.contains("silent")
    {
        ["0", "1"]
    } else if at_s == FROM_S {
        ["100", "10.5"]
    } else {
        ["100", "50"]
    };
    vector(at_s, &[(B, values[0]), (C, values[1])])
}

/// A server of which one answer is another one.
fn with(part: &'static str, answer: impl Fn(u64) -> String + Send + Sync + 'static) -> Server {
    Server::start(move |query, at_s, _| {
        let is_other = query.contains(part) && !query.starts_with("resets");
        let body = if is_other { answer(at_s) } else { right(query, at_s) };
        (200, JSON, body)
    })
}

#[test]
fn right_answers_make_an_observation() {
    let server = Server::start(|query, at_s, _| (200, JSON, right(query, at_s)));
    let answer = reader(&server.source()).unwrap().observe(FROM_S, NOW_S).unwrap();
    let Answer::Figures(reading) = answer else { panic!("{answer:?}") };
    assert_eq!(reading.missing, []);
    let observation = reading.observation;
    assert_eq!((observation.from_s, observation.until_s), (FROM_S, UNTIL_S));
    assert_eq!(observation.versions["2.4.0"], 1350);
    let [b, c] = &*observation.cells else { panic!() };
    assert_eq!((b.devices.offered, c.devices.offered, c.devices.bricked), (100, 50, 1));
    let names: Vec<_> = c.metrics.iter().map(|metric| &*metric.name).collect();
    assert_eq!(names, ["battery-drain", "connected", "crashes"]);
    assert_eq!((c.metrics[2].treated.count, c.metrics[2].treated.exposure), (39.5, 39.5));
    assert_eq!((b.metrics[2].treated.count, b.metrics[1].control.exposure), (0.0, 100.0));
    // 6 numbers of devices, versions, 4 values, and 10 counters with both ends and their resets.
    assert_eq!(server.asked(), 6 + 1 + 4 + 10 * 3);

    // What stands there twice is asked for once.
    let server = Server::start(|query, at_s, _| (200, JSON, right(query, at_s)));
    let mut source = server.source();
    let connected = &mut source.metrics.get_mut("connected").unwrap().treated;
    connected.count = connected.exposure.clone();
    reader(&source).unwrap().observe(FROM_S, NOW_S).unwrap();
    assert_eq!(server.asked(), 6 + 1 + 3 + 10 * 3);
}

#[test]
fn answers_that_do_not_count_are_named() {
    let cases: [(Page, &str); 15] = [
        ((200, HTML, "<html>Log in</html>".into()), "the answer is no JSON of Prometheus: it says that it is Content"),
        ((200, JSON, "<html>Log in</html>".into()), "the answer is no JSON of Prometheus: expected value at line 1 column 1"),
        ((200, JSON, r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"va"#.into()), "the answer is no JSON of Prometheus: EOF while parsing a string at line 1 column 76"),
        ((200, JSON, r#"{"status":"success"}"#.into()), "the answer is no JSON of Prometheus: no `data`"),
        ((200, JSON, r#"{"status":"error","errorType":"execution","error":"too many samples"}"#.into()), "the query was refused (execution): too many samples"),
        ((400, JSON, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.into()), "the query was refused (bad_data): parse error"),
        ((200, JSON, r#"{"status":"success","warnings":["store is down"],"data":{"resultType":"vector","result":[]}}"#.into()), "the answer may not be whole: store is down"),
        ((200, JSON, r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.into()), "the query gives a matrix, wanted a vector of numbers"),
        ((200, JSON, r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#.into()), "the query gives a scalar, wanted a vector of numbers"),
        ((200, JSON, r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#.into()), "the answer is no JSON of Prometheus: missing field `value`"),
        ((302, ("location", "https://login.example.com/"), String::new()), "the server answers with a redirect (status 302) to `https://login.example.com/`"),
        ((401, HTML, "who are you".into()), "the server asks who this is, or does not let whittle in (status 401)"),
        ((404, HTML, "nothing here".into()), "the server answers with status 404: the answer is no JSON"),
        ((500, HTML, "oops".into()), "the server answers with status 500: the answer is no JSON"),
        ((503, JSON, r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#.into()), "the server answers with status 503: the query was refused (timeout): query timed out"),
    ];
    for (page, wanted) in cases {
        let wanted = format!(
            "cannot read offered devices: {}",
            wanted.replace("it is Content", "it is text/html")
        );
        let server = Server::start(move |_, _, _| page.clone());
        let error = chain(&error_of(&server));
        assert!(error.starts_with(&wanted), "{error}\nwanted {wanted}");
        assert_eq!(server.asked(), 1);
    }
}

#[test]
fn figures_that_cannot_be_are_named() {
    let b = |value: &'static str| move |at_s| vector(at_s, &[(B, value), (C, "1")]);
    let hours = r#"device_hours_total{version="2.4.1"}"#;
    let cases = [
        (
            with(hours, b("NaN")),
            r#"`crashes` treated exposure: the series {hardware="B", region="eu"} has NaN, wanted a number, 0 or more"#,
        ),
        (
            with(hours, b("+Inf")),
            r#"`crashes` treated exposure: the series {hardware="B", region="eu"} has inf, wanted a number, 0 or more"#,
        ),
        (
            with(hours, b("-1")),
            r#"`crashes` treated exposure: the series {hardware="B", region="eu"} has -1, wanted a number, 0 or more"#,
        ),
        (
            with(hours, b("many")),
            r#"cannot read `crashes` treated exposure: the series {hardware="B", region="eu"} has `many`, which is no number"#,
        ),
        (
            with("offered", b("1.5")),
            r#"offered devices: the series {hardware="B", region="eu"} has 1.5, wanted a whole number of devices"#,
        ),
        (
            with("offered", b("5e9")),
            r#"offered devices: the series {hardware="B", region="eu"} has 5000000000, wanted a whole number of devices"#,
        ),
        (
            with("offered", |at_s| {
                vector(at_s, &[(B, "1"), (C, "1"), (r#""hardware":"D","region":"eu""#, "1")])
            }),
            r#"offered devices: the series {hardware="D", region="eu"} belongs to no cell of the rollout"#,
        ),
        (
            with("offered", |at_s| vector(at_s, &[("", "1")])),
            r"offered devices: the series {} belongs to no cell of the rollout",
        ),
        (
            with("offered", |at_s| {
                vector(at_s, &[(B, "1"), (r#""hardware":"B","region":"eu","pod":"2""#, "1")])
            }),
            r#"offered devices: the series {hardware="B", pod="2", region="eu"} is the second one of its cell, wanted a sum"#,
        ),
        (
            with("offered", |at_s| vector(at_s, &[(B, "1"), (B, "1")])),
            r#"cannot read offered devices: the series {hardware="B", region="eu"} stands there twice"#,
        ),
        (
            with("offered", |at_s| vector(at_s, &[(B, "1")])),
            r#"offered devices: nothing about cell {hw="C", region="eu"}"#,
        ),
        (
            with("offered", |at_s| vector(at_s - 900, &[(B, "1"), (C, "1")])),
            "cannot read offered devices: the answer is about 1795682700, wanted 1795683600",
        ),
        (
            with("by (version)", |at_s| vector(at_s, &[("", "1")])),
            "versions: the series {} has no label `version`",
        ),
    ];
    for (server, wanted) in cases {
        assert_eq!(chain(&error_of(&server)), wanted);
    }
}

/// What is not in an answer is never zero, unless the source says so or nobody is on that side.
#[test]
fn nothing_is_missing_and_not_zero() {
    let server = with("device_hours_total", |at_s| vector(at_s, &[(B, &at_s.to_string())]));
    let answer = reader(&server.source()).unwrap().observe(FROM_S, NOW_S).unwrap();
    let Answer::Figures(reading) = answer else { panic!("{answer:?}") };
    let missing: Vec<_> = reading.missing.iter().map(ToString::to_string).collect();
    let wanted = [
        r#"no `crashes` of cell {hw="C", region="eu"}: the exposure, treated, is not in the answer"#,
        r#"no `crashes` of cell {hw="C", region="eu"}: the exposure, control, is not in the answer"#,
    ];
    assert_eq!(missing, wanted);
    let [b, c] = &*reading.observation.cells else { panic!() };
    assert_eq!((b.metrics.len(), c.metrics.len()), (3, 2));

    // Before the first update there is no series of new firmware.
    let server = Server::start(|query, at_s, _| {
        let nobody = query.contains("updated") || query.contains("committed");
        let body = match (query.contains(r#"version="2.4.1""#), nobody) {
            (true, _) => vector(at_s, &[]),
            (_, true) => vector(at_s, &[(B, "0"), (C, "0")]),
            _ => right(query, at_s),
        };
        (200, JSON, body)
    });
    let answer = reader(&server.source()).unwrap().observe(FROM_S, NOW_S).unwrap();
    let Answer::Figures(reading) = answer else { panic!("{answer:?}") };
    assert_eq!(reading.missing, []);
    assert_eq!(reading.observation.cells[0].metrics[2].treated.exposure, 0.0);

    // After the last update there is none of old firmware.
    let server = Server::start(|query, at_s, _| {
        let everybody = query.contains("updated") || query.contains("offered");
        let body = match (query.contains(r#"version!="2.4.1""#), everybody) {
            (true, _) => vector(at_s, &[]),
            (_, true) => vector(at_s, &[(B, "1000"), (C, "499")]),
            _ => right(query, at_s),
        };
        (200, JSON, body)
    });
    let answer = reader(&server.source()).unwrap().observe(FROM_S, NOW_S).unwrap();
    let Answer::Figures(reading) = answer else { panic!("{answer:?}") };
    let [b, c] = &*reading.observation.cells else { panic!() };
    assert_eq!((b.metrics.len(), b.metrics[1].control.exposure), (3, 0.0));
    assert!(c.metrics.is_empty());
    assert!(reading.missing.iter().all(|missing| missing.cell.contains("\"C\"")));
}

/// Counters that do not tell what was counted.
#[test]
fn counters_that_were_set_back_or_come_and_go_are_missing() {
    let hours = r#"device_hours_total{version="2.4.1"}"#;
    let why = |server: Server| {
        let answer = reader(&server.source()).unwrap().observe(FROM_S, NOW_S).unwrap();
        let Answer::Figures(reading) = answer else { panic!("{answer:?}") };
        assert!(reading.observation.cells[1].metrics.iter().all(|metric| metric.name != "crashes"));
        let [missing] = &*reading.missing else { panic!("{:?}", reading.missing) };
        missing.why.clone()
    };
    let series = || r#"{hardware="C", region="eu"}"#.to_owned();
    let at = |from: &'static str, until: &'static str| {
        move |at_s| {
            let value = if at_s == FROM_S { from } else { until };
            let c = (C, value);
            let all = [(B, "5"), c];
            let all = if value.is_empty() { &all[..1] } else { &all[..] };
            vector(at_s, all)
        }
    };
    let fell = Server::start(move |query, at_s, _| {
        let body = if query == hours { at("5", "4")(at_s) } else { right(query, at_s) };
        (200, JSON, body)
    });
    assert_eq!(why(fell), Absence::Restarted(series()));
    let new = Server::start(move |query, at_s, _| {
        let body = if query == hours { at("", "4")(at_s) } else { right(query, at_s) };
        (200, JSON, body)
    });
    assert_eq!(why(new), Absence::New(series()));
    let gone = Server::start(move |query, at_s, _| {
        let body = if query == hours { at("4", "")(at_s) } else { right(query, at_s) };
        (200, JSON, body)
    });
    assert_eq!(why(gone), Absence::Gone(series()));
    // One of several is enough, whichever comes first.
    for pods in [[("1", "2"), ("5", "4")], [("5", "4"), ("1", "2")]] {
        let some_fell = Server::start(move |query, at_s, _| {
            let [one, other] = pods.map(|(from, until)| if at_s == FROM_S { from } else { until });
            let pod = |number: u8| format!("{C},\"pod\":\"{number}\"");
            let all = [(B, "5"), (&*pod(1), one), (&*pod(2), other)];
            let body = if query == hours { vector(at_s, &all) } else { right(query, at_s) };
            (200, JSON, body)
        });
        assert!(matches!(why(some_fell), Absence::Restarted(_)));
    }
    // It has passed its old reading since.
    let reset = Server::start(move |query, at_s, _| {
        let is_resets = query == format!("resets({hours}[3900s])");
        let body = if is_resets { vector(at_s, &[(B, "0"), (C, "1")]) } else { right(query, at_s) };
        (200, JSON, body)
    });
    assert_eq!(why(reset), Absence::Restarted(series()));
}

#[test]
fn what_may_pass_is_asked_again() {
    let server = Server::start(|query, at_s, number| match number {
        0 => (500, HTML, "oops".into()),
        3 => (429, JSON, r#"{"status":"error","errorType":"busy","error":""}"#.into()),
        _ => (200, JSON, right(query, at_s)),
    });
    let reader = reader(&Source { retries: 2, ..server.source() }).unwrap();
    assert!(matches!(reader.observe(FROM_S, NOW_S), Ok(Answer::Figures(_))));

    // All queries of an observation share the retries.
    let server = Server::start(|_, _, _| (502, HTML, "bad gateway".into()));
    let source = Source { retries: 2, ..server.source() };
    let error = crate::support::reader(&source).unwrap().observe(FROM_S, NOW_S).unwrap_err();
    assert!(matches!(error, ReadError::Ask { source: AskError::Status { status: 502, .. }, .. }));
    assert_eq!(server.asked(), 3);
}

#[test]
fn who_is_slow_silent_or_endless_is_left() {
    let slow = Server::start(|_, _, _| {
        thread::sleep(Duration::from_secs(3));
        (200, JSON, String::new())
    });
    let hasty = Source { timeout_s: 1, ..slow.source() };
    let error = reader(&hasty).unwrap().observe(FROM_S, NOW_S).unwrap_err();
    assert_eq!(chain(&error), "cannot read offered devices: no whole answer within 1 s");

    let huge = Server::start(|_, _, _| (200, JSON, " ".repeat((32 << 20) + 1)));
    let wanted = "cannot read offered devices: the answer is larger than 33554432 bytes";
    assert_eq!(chain(&error_of(&huge)), wanted);

    // A port that nobody listens on any more.
    let url = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let nobody = Source { retries: 0, ..source(&url) };
    let error = reader(&nobody).unwrap().observe(FROM_S, NOW_S).unwrap_err();
    assert!(
        chain(&error).starts_with("cannot read offered devices: the server cannot be reached: ")
    );
}

#[test]
fn nothing_is_asked_before_figures_have_settled() {
    let server = Server::start(|_, _, _| panic!("nothing is asked"));
    let reader = reader(&server.source()).unwrap();
    let ready_s = FROM_S + 300 + 120;
    for now_s in [0, FROM_S, ready_s - 1] {
        assert_eq!(reader.observe(FROM_S, now_s).unwrap(), Answer::NotYet { ready_s });
    }
    assert!(matches!(reader.observe(u64::MAX, u64::MAX), Ok(Answer::NotYet { .. })));
    assert_eq!(server.asked(), 0);
}
