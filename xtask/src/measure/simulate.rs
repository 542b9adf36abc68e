//! Time of rehearsing rollouts, by the program as it is shipped.

use std::time::Instant;

use anyhow::Result;

use crate::shell;

/// Scenarios, and the policies that their metrics suffice for.
const MEASURED: [(&[&str], &[&str]); 2] = [
    (
        &["boot-loop", "bricks", "double-crashes", "healthy", "one-revision"],
        &["significance", "thermostat"],
    ),
    (
        &["empty-batteries", "sensors"],
        &["adaptive", "canary", "decision-tree", "declarative", "rings", "significance"],
    ),
];

const RUNS: &str = "1000";

pub(crate) fn run() -> Result<()> {
    shell::run("cargo", &["build", "--profile", "dist", "--locked", "--package", "whittle-cli"])?;
    let whittle = shell::root().join("target/dist/whittle").to_string_lossy().into_owned();
    let simulate = |args: &[&str]| -> Result<serde_json::Value> {
        let printed = shell::output(&whittle, &[&["--format", "json", "simulate"], args].concat())?;
        Ok(serde_json::from_slice(&printed)?)
    };
    let mut rows =
        vec![super::row([&"scenario", &"policy", &"seconds", &"paused or taken back", &"done"])];
    let mut slowest: f64 = 0.0;
    let pairs = MEASURED.iter().flat_map(|(scenarios, policies)| {
        scenarios.iter().flat_map(|scenario| policies.iter().map(move |policy| (scenario, policy)))
    });
    for (name, policy) in pairs {
        // The first one may have to compile the policy.
        simulate(&["--example", name, "--policy", policy, "--runs", "1"])?;
        let start = Instant::now();
        let found = simulate(&["--example", name, "--policy", policy, "--runs", RUNS])?;
        let seconds = start.elapsed().as_secs_f64();
        slowest = slowest.max(seconds);
        let found = &found["policies"][0];
        let share = |what: &str| {
            format!("{:.1} %", found[what]["share"].as_f64().unwrap_or(f64::NAN) * 100.0)
        };
        let seconds = format!("{seconds:.1}");
        rows.push(super::row([&name, &policy, &seconds, &share("detected"), &share("completed")]));
    }
    println!(
        "{RUNS} rollouts to 1,000,000 devices each, on {} processors",
        std::thread::available_parallelism()?
    );
    super::print_table(&rows);
    println!("simulate_slowest_s={slowest:.1}");
    Ok(())
}
