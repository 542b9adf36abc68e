//! The project's own tasks, run as `cargo xtask TASK`.

mod bare_device;
mod c_library;
mod calculators;
mod ci;
mod dependencies;
mod fuzz;
mod header;
mod measure;
mod measured;
mod mutants;
mod package;
mod policies;
mod setup;
mod shell;
mod threat_model;
mod tidy;

use clap::Parser;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Install what is missing and run every check and test; this is what CI runs.
    Ci,
    /// Install what the tests need: rustup targets, and tools from Debian's packages.
    Setup,
    /// Check what crates may depend on, licences, what the threat model names, and that device crates build alone.
    Tidy,
    /// Check that device code links without a panic, and keeps within its budget of flash.
    BareDevice,
    /// Write the header of the C interface anew from its sources.
    Header,
    /// Build the shipped policies and write their components to `policies/dist`.
    Policies(policies::Args),
    /// Build the static library for C firmware, and pack it with its header, for each target.
    CLibrary(c_library::Args),
    /// Build the formulas of the calculators' page, and write them to `calculators/page/dist`.
    Calculators(calculators::Args),
    /// Look for inputs that break what comes from outside, with libFuzzer and a nightly compiler; for the night.
    Fuzz(fuzz::Args),
    /// Check that the libraries can be packed, and those for firmware built from that.
    Package,
    /// Take the barriers that `tests/mutants` lists away, one at a time, and see that a test fails each time.
    Mutants {
        /// Only those with this in their name.
        only: Option<String>,
    },
    /// Measure and print a table, and as the last line the figures as `name=value` pairs.
    #[command(subcommand)]
    Measure(measure::Section),
    /// Make the table of everything measured, `docs/measured.md`, or check it.
    Measured(measured::Args),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Ci => ci::run(),
        Task::Setup => setup::run(),
        Task::Tidy => tidy::run(),
        Task::BareDevice => bare_device::check(),
        Task::Header => header::write(),
        Task::Policies(args) => policies::run(&args),
        Task::CLibrary(args) => c_library::run(&args),
        Task::Calculators(args) => calculators::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Package => package::check(),
        Task::Mutants { only } => mutants::run_all(only.as_deref()),
        Task::Measure(section) => measure::run(section),
        Task::Measured(args) => measured::run(&args),
    }
}
