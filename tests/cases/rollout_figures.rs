//! Figures of a rollout from a real Prometheus and from tables.

use std::fmt::Write as _;

use tempfile::TempDir;

use crate::real::Server;
use crate::support::{Run, root, whittle};

/// 2026-11-26 08:00 UTC.
const START_S: u64 = 1_795_680_000;
const HOUR_S: u64 = 3600;
/// Hardware, region, devices on the new firmware, devices on the old.
const CELLS: [(&str, &str, f64, f64); 3] =
    [("B", "eu", 1500.0, 148_500.0), ("C", "eu", 600.0, 59_400.0), ("C", "us", 400.0, 39_600.0)];

/// What each metric reads after so many minutes, for so many devices; of the new firmware or of each.
type Family = (&'static str, &'static str, fn(f64, f64) -> f64);

const OF_BOTH: [Family; 8] = [
    ("crashed_devices", "counter", |devices, minute| (devices * minute / 60.0 * 0.0002).floor()),
    ("device_hours", "counter", |devices, minute| devices * minute / 60.0),
    ("battery_drain_sum", "gauge", |devices, minute| devices * minute / 60.0 * 0.5),
    ("battery_drain_count", "gauge", |devices, minute| devices * minute / 60.0),
    ("battery_drain_squares", "gauge", |devices, minute| devices * minute / 60.0 * 0.3),
    ("connected_devices", "gauge", |devices, _| (devices * 0.98).floor()),
    ("asked_devices", "gauge", |devices, _| devices),
    ("fleet_devices", "gauge", |devices, _| devices),
];

const OF_ROLLOUT: [&str; 3] =
    ["rollout_offered_devices", "rollout_updated_devices", "rollout_committed_devices"];

/// Four hours of a fleet that does well, as OpenMetrics.
fn history() -> String {
    let mut text = String::new();
    let mut series = |name: &str, labels: &str, of: &dyn Fn(f64) -> f64| {
        for minute in 0..=240_u32 {
            let at_s = START_S + u64::from(minute) * 60;
            let value = of(f64::from(minute));
            writeln!(text, "{name}{{{labels}}} {value} {at_s}").expect("it is a text");
        }
    };
    for (name, kind, of) in OF_BOTH {
        let suffix = if kind == "counter" { "_total" } else { "" };
        for (hw, region, new, old) in CELLS {
            for (version, devices) in [("2.4.1", new), ("2.4.0", old)] {
                let labels = format!("hardware=\"{hw}\",region=\"{region}\",version=\"{version}\"");
                series(&format!("{name}{suffix}"), &labels, &|minute| of(devices, minute));
            }
        }
    }
    for name in OF_ROLLOUT {
        for (hw, region, new, _) in CELLS {
            let labels = format!("hardware=\"{hw}\",region=\"{region}\",target=\"2.4.1\"");
            series(name, &labels, &|_| new);
        }
    }
    text + "# EOF\n"
}

struct Desk(TempDir);

impl Desk {
    /// A rollout that has started, whose figures a Prometheus at this address has.
    fn new(url: &str) -> Self {
        let read = |name: &str| std::fs::read_to_string(root().join(name)).expect("an example");
        let source = read("metrics/examples/source.toml");
        let source = source.lines().filter(|line| !line.starts_with("auth = "));
        let source = source.collect::<Vec<_>>().join("\n");
        let source = source.replace("https://prometheus.example.com", url);
        let desk = Self(tempfile::tempdir().expect("there is room"));
        let file = read("examples/rollouts/thermostat.toml") + "\n" + &source;
        std::fs::write(desk.0.path().join("rollout.toml"), file).expect("written");
        desk.at(0, &["start", "t1", "rollout.toml"]).ok();
        desk
    }

    fn at(&self, after_s: u64, args: &[&str]) -> Run {
        let at = (START_S + after_s).to_string();
        let more = ["--at", &at, "--format", "json"];
        whittle(self.0.path(), &[&["rollout"], args, &more].concat())
    }
}

#[test]
fn a_tick_reads_its_figures_from_prometheus() {
    let server = Server::with_history(&history());
    let desk = Desk::new(&server.url);
    let early = desk.at(60, &["observe", "t1", "--source", "rollout.toml"]).ok();
    assert_eq!(early.json()["counted"], 0, "{early:?}");
    assert!(early.stderr.contains("there is nothing to read before 2026-11-26 08:07"), "{early:?}");

    let tick = ["tick", "t1", "rollout.toml"];
    let ticked = desk.at(HOUR_S, &tick).ok().json();
    assert_eq!(ticked["counts"]["updated"], 2500, "{ticked}");
    // Figures of the last two minutes may still be on their way.
    let log = whittle(desk.0.path(), &["rollout", "log", "t1", "--format", "json"]).ok();
    assert!(log.stdout.contains(&format!("\"until_s\":{}", START_S + HOUR_S - 120)), "{log:?}");
    let crashes = ticked["metrics"].as_array().expect("a list");
    let crashes = crashes.iter().find(|row| row["group"] == "fleet" && row["name"] == "crashes");
    let rate = crashes.expect("it is measured")["control"].as_f64().expect("a number");
    assert!((rate - 0.0002).abs() < 1e-5, "{rate}");
    let advanced = desk.at(3 * HOUR_S, &tick).ok().json();
    assert_eq!(advanced["last_decision"]["decision"]["advance"], 0.05, "{advanced}");

    drop(server);
    let alone = desk.at(4 * HOUR_S, &tick).ok();
    assert!(alone.stderr.contains("caution: no figures were read"), "{alone:?}");
    assert_eq!(alone.json()["last_decision"]["decision"], "hold", "{alone:?}");
    let unread = desk.at(4 * HOUR_S, &["observe", "t1", "--source", "rollout.toml"]);
    assert_eq!(unread.code, 3, "{unread:?}");
    whittle(desk.0.path(), &["rollout", "replay", "t1"]).ok();
}

#[test]
fn figures_come_as_a_table_and_as_a_whole() {
    let desk = Desk::new("http://127.0.0.1:9");
    let mut table =
        "from_s,until_s,rows,attribute.hw,attribute.region,devices.offered,devices.updated,\
        devices.committed,devices.rolled_back,devices.bricked,devices.silent,\
        metric.crashes.treated.count,metric.crashes.treated.exposure,\
        metric.crashes.control.count,metric.crashes.control.exposure\n"
            .to_owned();
    let until_s = START_S + HOUR_S;
    for (hw, region, new, old) in CELLS {
        let crashes = (old * 0.0002).floor();
        writeln!(
            table,
            "{START_S},{until_s},3,{hw},{region},{new},{new},{new},0,0,0,0,{new},{crashes},{old}"
        )
        .expect("it is a text");
    }
    let write = |text: &str| {
        std::fs::write(desk.0.path().join("figures.csv"), text).expect("written");
    };
    let observe = |after_s| desk.at(after_s, &["observe", "t1", "figures.csv"]);
    write(&table[..table.len() - 40]);
    let cut = observe(HOUR_S);
    assert!(cut.code == 4 && cut.stderr.contains("`figures.csv`"), "{cut:?}");
    write(&table);
    let taken = observe(HOUR_S).ok().json();
    assert_eq!((&taken["counted"], &taken["counts"]["updated"]), (&1.into(), &2500.into()));
    let twice = observe(HOUR_S + 60).ok().json();
    assert_eq!(twice["counts"]["updated"], 2500, "counted already, and not again");
    assert_eq!(desk.at(HOUR_S + 60, &["observe", "t1", "nothing.csv"]).code, 3);
    assert_eq!(
        desk.at(HOUR_S + 60, &["observe", "t1", "rollout.toml"]).code,
        4,
        "no form of figures"
    );
    assert_eq!(desk.at(HOUR_S, &["observe", "t1"]).code, 2, "nothing was given");
}
