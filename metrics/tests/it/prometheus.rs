//! A real Prometheus, with a history that is made up: what is read is what it was made of.

use std::fmt::Write;

use whittle_metrics::prometheus::{Absence, Amount, AmountQuery, Answer, Reading, Source};
use whittle_rollout::policy::types::Tally;
use whittle_rollout::{CellObservation, DeviceCounts, MetricObservation, Observation, Side};

use crate::real::Server;
use crate::support::{chain, reader, source};

/// A moment at which blocks of two hours begin.
const START_S: u64 = 1_795_680_000;
/// How often devices are scraped.
const SCRAPE_S: u64 = 60;
/// Length of the history.
const SCRAPES: u64 = 240;

/// A cell, and what its devices do in a minute.
struct Made {
    hardware: &'static str,
    treated: f64,
    control: f64,
}

const CELLS: [Made; 2] = [
    Made { hardware: "B", treated: 150.0, control: 850.0 },
    Made { hardware: "C", treated: 75.0, control: 425.0 },
];

/// What a counter or gauge reads at a scrape; none if it is not scraped then.
type Reads = Box<dyn Fn(u64) -> Option<f64>>;

/// Crashes until a scrape: one now and then, never two alike.
fn crashes(rate: f64, scrape: u64) -> f64 {
    (rate * count(scrape) * 0.013 + 0.4 * (count(scrape) * 0.7).sin().abs()).floor()
}

#[allow(clippy::cast_precision_loss)]
fn count(scrape: u64) -> f64 {
    scrape as f64
}

/// A family of the history: name, type, and series with their labels.
type Family = (&'static str, &'static str, Vec<(String, Reads)>);

fn families() -> Vec<Family> {
    let per_side = |of: fn(f64) -> Reads| {
        let series = CELLS.iter().flat_map(|cell| {
            [("2.4.1", cell.treated), ("2.4.0", cell.control)].map(|(version, devices)| {
                let hardware = cell.hardware;
                (
                    format!("hardware=\"{hardware}\",region=\"eu\",version=\"{version}\""),
                    of(devices),
                )
            })
        });
        series.collect::<Vec<_>>()
    };
    let per_cell = |of: fn(f64) -> f64| {
        let series = CELLS.iter().map(|cell| {
            let labels = format!("hardware=\"{}\",region=\"eu\",target=\"2.4.1\"", cell.hardware);
            let devices = of(cell.treated);
            (labels, Box::new(move |_| Some(devices)) as Reads)
        });
        series.collect::<Vec<_>>()
    };
    let mut shy = per_side(|_| Box::new(|_| None));
    // A series that begins with its first event, one that is set back, and one that is not scraped for a while.
    shy[0].1 = Box::new(|scrape| (scrape >= 130).then_some(1.0));
    shy[1].1 = Box::new(|scrape| Some(count(if scrape < 150 { scrape } else { scrape - 150 })));
    shy[2].1 = Box::new(|scrape| (!(140..170).contains(&scrape)).then(|| count(scrape)));
    // One that is set back while it is not scraped, and then passes where it was.
    let mut away = per_side(|_| Box::new(|_| None));
    away[3].1 = Box::new(|scrape| {
        (!(140..170).contains(&scrape)).then(|| count(if scrape < 140 { 1 } else { scrape - 170 }))
    });
    vec![
        (
            "crashed_devices",
            "counter",
            per_side(|devices| Box::new(move |at| Some(crashes(devices, at)))),
        ),
        (
            "device_hours",
            "counter",
            per_side(|devices| Box::new(move |at| Some(devices * count(at) / 60.0))),
        ),
        (
            "battery_drain_sum",
            "gauge",
            per_side(|devices| Box::new(move |at| Some(devices * count(at) * 0.5))),
        ),
        (
            "battery_drain_count",
            "gauge",
            per_side(|devices| Box::new(move |at| Some(devices * count(at)))),
        ),
        (
            "battery_drain_squares",
            "gauge",
            per_side(|devices| Box::new(move |at| Some(devices * count(at) * 0.375))),
        ),
        (
            "connected_devices",
            "gauge",
            per_side(|devices| Box::new(move |at| Some(devices - count(at % 7)))),
        ),
        ("asked_devices", "gauge", per_side(|devices| Box::new(move |_| Some(devices)))),
        ("fleet_devices", "gauge", per_side(|devices| Box::new(move |_| Some(devices)))),
        ("rollout_offered_devices", "gauge", per_cell(|devices| devices + 10.0)),
        ("rollout_updated_devices", "gauge", per_cell(|devices| devices + 1.0)),
        ("rollout_committed_devices", "gauge", per_cell(|devices| devices - 5.0)),
        ("rollout_rolled_back_devices", "gauge", per_cell(|_| 1.0)),
        ("shy", "counter", shy),
        ("away", "counter", away),
    ]
}

/// The history as OpenMetrics.
fn history() -> String {
    let mut text = String::new();
    for (name, kind, series) in families() {
        writeln!(text, "# TYPE {name} {kind}").unwrap();
        let suffix = if kind == "counter" { "_total" } else { "" };
        for (labels, reads) in series {
            for scrape in 0..=SCRAPES {
                let Some(value) = reads(scrape) else { continue };
                let at_s = START_S + scrape * SCRAPE_S;
                writeln!(text, "{name}{suffix}{{{labels}}} {value} {at_s}").unwrap();
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

/// What was counted between two scrapes, as the history was made.
fn made(from: u64, until: u64) -> Observation {
    let cells = CELLS.iter().zip([150, 75]).map(|(cell, treated)| {
        let sides = |of: &dyn Fn(f64) -> Tally| (of(cell.treated), of(cell.control));
        let scrapes = count(until - from);
        let metric = |name: &str, (treated, control)| MetricObservation {
            name: name.to_owned(),
            treated,
            control,
        };
        let drain = sides(&|devices| {
            let exposure = devices * scrapes;
            Tally { count: exposure * 0.5, exposure, squares: exposure * 0.375 }
        });
        let connected = sides(&|devices| Tally {
            count: devices - count(until % 7),
            exposure: devices,
            squares: 0.0,
        });
        let crashes = sides(&|devices| Tally {
            count: crashes(devices, until) - crashes(devices, from),
            exposure: devices * count(until) / 60.0 - devices * count(from) / 60.0,
            squares: 0.0,
        });
        let attributes = [("hw", cell.hardware), ("region", "eu")];
        CellObservation {
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            devices: DeviceCounts {
                offered: treated + 10,
                updated: treated + 1,
                committed: treated - 5,
                rolled_back: 1,
                bricked: 0,
                silent: 0,
            },
            metrics: vec![
                metric("battery-drain", drain),
                metric("connected", connected),
                metric("crashes", crashes),
            ],
        }
    });
    let versions = [("2.4.1", 225), ("2.4.0", 1275)];
    Observation {
        from_s: START_S + from * SCRAPE_S,
        until_s: START_S + until * SCRAPE_S,
        cells: cells.collect(),
        versions: versions.map(|(version, devices)| (version.to_owned(), devices)).into(),
    }
}

fn read(source: &Source, from: u64, until: u64) -> Reading {
    let now_s = START_S + until * SCRAPE_S + source.settle_s;
    match reader(source).unwrap().observe(START_S + from * SCRAPE_S, now_s).unwrap() {
        Answer::Figures(reading) => reading,
        not_yet @ Answer::NotYet { .. } => panic!("{not_yet:?}"),
    }
}

/// One test, so that the server is started once.
#[test]
fn what_is_read_is_what_the_history_was_made_of() {
    let server = Server::with_history(&history());
    let source = source(&server.url);
    figures_are_exact(&source);
    between_scrapes_nothing_is_lost(&source);
    increases_are_not_whole(&source);
    odd_counters_are_missing_or_whole(&source);
    the_end_of_the_history_is_missing(&source);
    queries_that_make_no_sense_are_refused(&source);
}

fn figures_are_exact(source: &Source) {
    // In one block, from one to the next, and in the second one.
    for (from, until) in [(10, 25), (100, 130), (119, 121 + 15), (200, 239)] {
        let reading = read(source, from, until);
        assert_eq!(reading.missing, []);
        assert_eq!(reading.observation, made(from, until), "{from} to {until}");
    }
}

/// Stretches whose ends lie between scrapes have the same sum.
fn between_scrapes_nothing_is_lost(source: &Source) {
    let reader = reader(source).unwrap();
    let mut from_s = START_S + 10 * SCRAPE_S;
    let (mut counted, mut hours) = (0.0, 0.0);
    for step_s in [317, 901, 613, 1234, 300, 1435] {
        let until_s = from_s + step_s;
        let answer = reader.observe(from_s, until_s + source.settle_s).unwrap();
        let Answer::Figures(reading) = answer else { panic!("{answer:?}") };
        let crashes = &reading.observation.cells[0].metrics[2].control;
        assert_eq!(crashes.count.fract(), 0.0);
        counted += crashes.count;
        hours += crashes.exposure;
        from_s = until_s;
    }
    let whole = &made(10, 90).cells[0].metrics[2].control;
    assert_eq!(counted, whole.count);
    assert!((hours - whole.exposure).abs() < 1e-9);
}

/// Why counters are read at both ends: `increase` makes fractions of crashes, and loses those between two stretches.
fn increases_are_not_whole(source: &Source) {
    let mut source = source.clone();
    let crashes = &mut source.metrics.get_mut("crashes").unwrap().control;
    let query = r#"sum by (hardware, region) (increase(crashed_devices_total{version!="$version"}[$window]))"#;
    crashes.count = Amount { query: AmountQuery::Value(query.to_owned()), absent_is_zero: false };
    let reader = reader(&source).unwrap();
    // A quarter of an hour that begins between two scrapes.
    let from_s = START_S + 10 * SCRAPE_S + 30;
    let answer = reader.observe(from_s, from_s + 900 + source.settle_s).unwrap();
    let Answer::Figures(reading) = answer else { panic!("{answer:?}") };
    let increase = reading.observation.cells[0].metrics[2].control.count;
    assert_ne!(increase.fract(), 0.0, "{increase}");
}

fn odd_counters_are_missing_or_whole(source: &Source) {
    let counted = |name: &str, absent_is_zero| {
        let mut source = source.clone();
        let crashes = source.metrics.get_mut("crashes").unwrap();
        for (side, sign) in [(&mut crashes.treated, "="), (&mut crashes.control, "!=")] {
            let query = AmountQuery::Counter(format!("{name}_total{{version{sign}\"$version\"}}"));
            side.count = Amount { query, absent_is_zero };
        }
        source
    };
    let shy = |absent_is_zero| counted("shy", absent_is_zero);
    let why = |reading: &Reading, side: Side, hardware: &str| {
        let missing = reading
            .missing
            .iter()
            .find(|missing| missing.side == side && missing.cell.contains(hardware));
        missing.map(|missing| missing.why.clone())
    };
    let series = |hardware, version| {
        format!("shy_total{{hardware=\"{hardware}\", region=\"eu\", version=\"{version}\"}}")
    };
    // It begins with its first crash, which counts if the source says so.
    let reading = read(&shy(false), 125, 135);
    assert_eq!(why(&reading, Side::Treated, "B"), Some(Absence::New(series("B", "2.4.1"))));
    assert_eq!(why(&reading, Side::Control, "C"), Some(Absence::Absent));
    let reading = read(&shy(true), 125, 135);
    assert_eq!(reading.missing, []);
    let crashes = &reading.observation.cells[0].metrics[2];
    assert_eq!((crashes.treated.count, crashes.control.count), (1.0, 10.0));
    assert_eq!(reading.observation.cells[1].metrics[2].control.count, 0.0);
    // Set back to 0, and after a while past where it was.
    let reading = read(&shy(true), 145, 155);
    let version = r#"{hardware="B", region="eu", version="2.4.0"}"#;
    assert!(
        matches!(why(&reading, Side::Control, "B"), Some(Absence::Restarted(series)) if series.contains(version))
    );
    let reading = read(&shy(true), 10, 239);
    assert_eq!(why(&reading, Side::Control, "B"), Some(Absence::Restarted(version.to_owned())));
    // Nobody has seen it for longer than Prometheus looks back.
    let reading = read(&shy(true), 130, 150);
    let gone = why(&reading, Side::Treated, "C").unwrap();
    assert_eq!(gone, Absence::Gone(series("C", "2.4.1")));
    // Whoever waits gets all of it; who does not gets what came after it was last seen, and not all that it ever counted.
    let reading = read(&shy(true), 150, 180);
    assert_eq!(reading.observation.cells[1].metrics[2].treated.count, 41.0);
    let reading = read(&counted("away", true), 150, 180);
    let version = r#"{hardware="C", region="eu", version="2.4.0"}"#;
    assert_eq!(why(&reading, Side::Control, "C"), Some(Absence::Restarted(version.to_owned())));
    let reading = read(&shy(true), 130, 180);
    assert_eq!(reading.observation.cells[1].metrics[2].treated.count, 50.0);
}

/// No figures come any more: devices are not known, so there is nothing to tell the engine.
fn the_end_of_the_history_is_missing(source: &Source) {
    let now_s = START_S + (SCRAPES + 30) * SCRAPE_S;
    let error = reader(source).unwrap().observe(START_S, now_s).unwrap_err();
    let wanted = r#"offered devices: nothing about cell {hw="B", region="eu"}"#;
    assert_eq!(error.to_string(), wanted);
}

fn queries_that_make_no_sense_are_refused(source: &Source) {
    let cases = [
        (
            "sum(",
            "offered devices: the query was refused (bad_data): invalid parameter \"query\": ",
        ),
        (
            "rollout_offered_devices[5m]",
            "offered devices: the query gives a matrix, wanted a vector of numbers",
        ),
        ("1", "offered devices: the query gives a scalar, wanted a vector of numbers"),
        ("\"text\"", "offered devices: the query gives a string, wanted a vector of numbers"),
        (
            "rollout_offered_devices / 0",
            "offered devices: the series {hardware=\"B\", region=\"eu\", target=\"2.4.1\"} has inf",
        ),
        (
            "fleet_devices",
            "offered devices: the series fleet_devices{hardware=\"B\", region=\"eu\", version=\"2.4.1\"} is the second one",
        ),
        (
            "sum by (region) (fleet_devices)",
            "offered devices: the series {region=\"eu\"} belongs to no cell",
        ),
    ];
    for (query, wanted) in cases {
        let mut source = source.clone();
        query.clone_into(&mut source.devices.offered.value);
        let error = error(&source);
        assert!(error.contains(wanted), "{error}\nwanted {wanted}");
    }
    // What is summed up hides counters that were set back.
    let mut summed = source.clone();
    let crashes = &mut summed.metrics.get_mut("crashes").unwrap().control;
    let query = AmountQuery::Counter("sum by (hardware, region) (device_hours_total)".to_owned());
    crashes.count = Amount { query, absent_is_zero: false };
    let error = error(&summed);
    assert!(error.contains("`crashes` control count: the query was refused (bad_data)"), "{error}");
}

fn error(source: &Source) -> String {
    let now_s = START_S + 100 * SCRAPE_S + source.settle_s;
    chain(&reader(source).unwrap().observe(START_S + 10 * SCRAPE_S, now_s).unwrap_err())
}
