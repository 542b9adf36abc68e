//! What the device is for: it keeps a room warm. The second release also lets it cool down at night.

use core::ffi::CStr;
use core::hint::black_box;

use semihosting::println;

/// Which release this is.
pub const VERSION: &str = if cfg!(feature = "two") { "2.0.0" } else { "1.0.0" };

/// What the server calls the delta for those who run this release, and the full image.
pub const DELTA: &CStr = if cfg!(feature = "two") { c"from-2.0.0.pkg" } else { c"from-1.0.0.pkg" };
pub const FULL: &CStr = c"full.pkg";

/// In tenths of a degree, as all temperatures here.
const WANTED_BY_DAY: i32 = 210;
const WANTED_BY_NIGHT: i32 = 170;
const HYSTERESIS: i32 = 3;

/// What the health check of an image on trial finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Good,
    Bad,
    /// It cannot tell yet.
    Unknown,
}

/// The faults that the features stand for; the compiler must not know what comes, or it would leave out what is behind it.
pub fn fail_as_told() {
    assert!(!black_box(cfg!(feature = "crashes")), "a bad release");
    while black_box(cfg!(feature = "hangs")) {}
}

/// A room with a heater and a sensor.
pub struct Thermostat {
    room: i32,
    is_heating: bool,
    readings: u32,
    heated: u32,
}

impl Thermostat {
    pub fn new() -> Self {
        Self { room: 198, is_heating: false, readings: 0, heated: 0 }
    }

    /// Reads the temperature and switches the heater.
    pub fn control(&mut self) {
        self.room += if self.is_heating { 4 } else { -2 };
        self.readings += 1;
        let (read, wanted) = (self.sensor(), self.wanted());
        if read < wanted - HYSTERESIS {
            self.is_heating = true;
        } else if read > wanted + HYSTERESIS {
            self.is_heating = false;
        }
        self.heated += u32::from(self.is_heating);
    }

    /// Tells what it has read, and done.
    pub fn report(&self) {
        let read = self.sensor();
        let (degrees, tenths) = (read / 10, read % 10);
        let heater = if self.is_heating { "on" } else { "off" };
        if cfg!(feature = "two") {
            let duty = self.heated * 100 / self.readings.max(1);
            println!("thermostat: room={degrees}.{tenths} heater={heater} duty={duty}%");
        } else {
            println!("thermostat: room={degrees}.{tenths} heater={heater}");
        }
    }

    /// Whether an image on trial does its work: its sensor reads what a room can have.
    pub fn health(&self) -> Health {
        if cfg!(feature = "slow") || self.readings < 5 {
            Health::Unknown
        } else if (50..400).contains(&self.sensor()) {
            Health::Good
        } else {
            Health::Bad
        }
    }

    fn sensor(&self) -> i32 {
        // In Fahrenheit.
        if cfg!(feature = "ill") { self.room * 9 / 5 + 320 } else { self.room }
    }

    fn wanted(&self) -> i32 {
        let is_night = self.readings % 24 < 6;
        if cfg!(feature = "two") && is_night { WANTED_BY_NIGHT } else { WANTED_BY_DAY }
    }
}
