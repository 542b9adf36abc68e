//! The thermostat of `examples/device` under embassy: one task controls the room, and another one makes updates.
//!
//! Both share one executor, so the control loop runs wherever an update awaits the flash.
#![no_std]
#![no_main]

mod background;
#[path = "../../device/src/board.rs"]
mod board;
#[allow(dead_code, reason = "who waits for the flash uses the rest")]
#[path = "../../device/src/device.rs"]
mod device;
#[path = "../../device/src/flash.rs"]
mod flash;
#[path = "../../device/src/handoff.rs"]
mod handoff;
#[path = "../../device/src/key.rs"]
mod key;
#[allow(dead_code, reason = "the linker and the boot loader use the rest")]
#[path = "../../device/src/layout.rs"]
mod layout;
#[path = "../../device/src/power.rs"]
mod power;
#[path = "../../device/src/server.rs"]
mod server;
#[path = "../../device/src/stack.rs"]
mod stack;
#[path = "../../device/src/thermostat.rs"]
mod thermostat;
#[allow(dead_code, unused_imports, reason = "embassy has a clock of its own")]
#[path = "../../device/src/time.rs"]
mod time;
mod time_driver;
mod update;

use core::cell::RefCell;

use embassy_executor::Spawner;
use embassy_time::{Duration, Ticker};
use semihosting::println;
use static_cell::StaticCell;
use whittle_mps2::Pace;

use layout::Stop;
use thermostat::{Thermostat, VERSION};

const PERIOD_US: u32 = 1000;

/// What both tasks look at; neither awaits anything meanwhile.
struct Room {
    thermostat: Thermostat,
    pace: Pace,
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    time::start();
    time_driver::start();
    println!("thermostat: version={VERSION}");
    thermostat::fail_as_told();
    static ROOM: StaticCell<RefCell<Room>> = StaticCell::new();
    let pace = Pace::from_now(PERIOD_US);
    let room: &RefCell<Room> =
        ROOM.init(RefCell::new(Room { thermostat: Thermostat::new(), pace }));
    spawner.spawn(control(room).expect("it is spawned once"));
    let stop = update::day(room).await.unwrap_or_else(|error| {
        println!("update: error={error}");
        Stop::Over
    });
    let room = room.borrow();
    room.thermostat.report();
    println!("thermostat: rounds={} latest_us={}", room.pace.rounds(), room.pace.latest_us());
    power::stop(stop)
}

/// Feeds the watchdog, since a task that hangs keeps all others from running.
#[embassy_executor::task]
async fn control(room: &'static RefCell<Room>) {
    let mut ticker = Ticker::every(Duration::from_micros(PERIOD_US.into()));
    loop {
        ticker.next().await;
        time::feed();
        let mut room = room.borrow_mut();
        room.pace.round();
        room.thermostat.control();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("thermostat: panics: {}", info.message());
    power::stop(Stop::Software)
}
