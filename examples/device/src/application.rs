//! The application: a thermostat that updates itself.
#![no_std]
#![no_main]

mod board;
mod device;
mod entry;
mod flash;
mod handoff;
mod key;
#[allow(dead_code, reason = "the linker and the boot loader use the rest")]
mod layout;
mod power;
mod server;
mod stack;
mod thermostat;
mod time;
mod update;

use semihosting::println;

use layout::Stop;
use thermostat::{Thermostat, VERSION};

/// Entered by the boards' start-up code.
fn run() -> ! {
    time::start();
    println!("thermostat: version={VERSION}");
    thermostat::fail_as_told();
    let mut thermostat = Thermostat::new();
    let mut control = || {
        thermostat.control();
        thermostat.report();
        thermostat.health()
    };
    for _ in 0..3 {
        control();
    }
    let stop = update::day(&mut control).unwrap_or_else(|error| {
        println!("update: error={error}");
        Stop::Over
    });
    power::stop(stop)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("thermostat: panics: {}", info.message());
    power::stop(Stop::Software)
}
