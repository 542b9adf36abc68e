//! The thermostat of `examples/device` under RTIC: a hardware task controls the room, and updates are made by `idle`.
//!
//! Whatever an update does, the control loop preempts it, so the blocking updater will do: nothing of it knows of RTIC.
#![no_std]
#![no_main]

#[path = "../../device/src/board.rs"]
mod board;
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
#[path = "../../device/src/time.rs"]
mod time;
#[path = "../../device/src/update.rs"]
mod update;

use semihosting::println;

#[rtic::app(device = whittle_mps2, peripherals = false)]
mod app {
    use semihosting::println;
    use whittle_mps2::{Pace, SECOND_TIMER, TICKS_PER_US};

    use crate::layout::Stop;
    use crate::thermostat::{self, Thermostat, VERSION};
    use crate::{power, time, update};

    const PERIOD_US: u32 = 1000;

    #[shared]
    struct Shared {
        thermostat: Thermostat,
        pace: Pace,
    }

    #[local]
    struct Local {}

    #[init]
    fn init(_: init::Context<'_>) -> (Shared, Local) {
        time::start();
        println!("thermostat: version={VERSION}");
        SECOND_TIMER.every(PERIOD_US * TICKS_PER_US);
        let shared = Shared { thermostat: Thermostat::new(), pace: Pace::from_now(PERIOD_US) };
        (shared, Local {})
    }

    /// Feeds the watchdog, since whatever hangs keeps it from running; not in `init`, where interrupts are off.
    #[idle(shared = [thermostat, pace])]
    fn idle(cx: idle::Context<'_>) -> ! {
        let idle::SharedResources { mut thermostat, mut pace, .. } = cx.shared;
        thermostat::fail_as_told();
        let mut look = || {
            // Until the control loop has run again.
            cortex_m::asm::wfi();
            thermostat.lock(|thermostat| thermostat.health())
        };
        let stop = update::day(&mut look).unwrap_or_else(|error| {
            println!("update: error={error}");
            Stop::Over
        });
        thermostat.lock(|thermostat| thermostat.report());
        let (rounds, latest_us) = pace.lock(|pace| (pace.rounds(), pace.latest_us()));
        println!("thermostat: rounds={rounds} latest_us={latest_us}");
        power::stop(stop)
    }

    #[task(binds = TIMER1, priority = 2, shared = [thermostat, pace])]
    fn control(cx: control::Context<'_>) {
        SECOND_TIMER.acknowledge();
        (cx.shared.thermostat, cx.shared.pace).lock(|thermostat, pace| {
            pace.round();
            thermostat.control();
        });
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("thermostat: panics: {}", info.message());
    power::stop(layout::Stop::Software)
}
