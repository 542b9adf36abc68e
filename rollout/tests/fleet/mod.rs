//! Fleets that are made up, as counts: random numbers from a seed, and how often devices crash.

use whittle_rollout::statistics::{Count, RatioTest};

/// SplitMix64 (Steele, Lea, Flood, Fast splittable pseudorandom number generators, 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Seeds that follow each other begin far from each other.
        Self(Self(seed).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let bits = (self.next() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// A Poisson number, exactly: by counting small means, by rejection for others (Hörmann, The transformed rejection method
    /// for generating Poisson random variables, 1993, algorithm PTRS).
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        if mean < 10.0 {
            let (limit, mut product, mut number) = ((-mean).exp(), self.fraction(), 0.0);
            while product > limit {
                product *= self.fraction();
                number += 1.0;
            }
            return number;
        }
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.fraction() - 0.5;
            let v = self.fraction();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= v_r {
                return k;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let height = (v * inverse_alpha / (a / (us * us) + b)).ln();
            if height <= k * mean.ln() - mean - libm::lgamma(k + 1.0) {
                return k;
            }
        }
    }
}

/// How the rate of crashes goes up and down, for all devices alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scenario {
    Flat,
    /// By half around noon, and down by half at night.
    Daily,
    /// The same, and 60 hours in which everything crashes twice as often.
    ColdSnap,
    /// Flat, but a device that crashes does so three times on average.
    BootLoop,
}

pub(crate) const SCENARIOS: [Scenario; 4] =
    [Scenario::Flat, Scenario::Daily, Scenario::ColdSnap, Scenario::BootLoop];

/// Cumulative shares and hours of the stages, looked at every 15 minutes: 824 looks.
pub(crate) const STAGES: [(f64, f64); 4] = [(0.01, 2.0), (0.05, 12.0), (0.25, 24.0), (1.0, 168.0)];
pub(crate) const TICK_HOURS: f64 = 0.25;

pub(crate) struct Fleet {
    pub(crate) devices: f64,
    /// Crashes per device-hour.
    pub(crate) rate: f64,
    pub(crate) scenario: Scenario,
    /// New firmware crashes this many times as often.
    pub(crate) regression: f64,
    /// Share that stays on old firmware until the end.
    pub(crate) hold_back: f64,
    /// How unlike the strata are: the rate of the second one is this many times that of the first one.
    pub(crate) contrast: f64,
    /// Whether a device counts once a day, or every crash of it.
    pub(crate) distinct: bool,
}

/// What a tick brings: new and old firmware in each of two strata.
pub(crate) type Tick = [(Count, Count); 2];

impl Fleet {
    /// Runs a rollout, and calls with each of its ticks until the answer is true. Returns the hours until then.
    pub(crate) fn run(&self, seed: u64, mut stop: impl FnMut(Tick) -> bool) -> Option<f64> {
        let mut random = Random::new(seed);
        let mut counted = [[0.0; 2]; 2];
        let (mut hours, mut share_before) = (0.0, 0.0);
        for (share, length) in STAGES {
            let share = share * (1.0 - self.hold_back);
            // Devices that change sides take with them that they were counted today.
            let moved = (share - share_before) / (1.0 - share_before);
            share_before = share;
            for [treated, control] in &mut counted {
                *treated += moved * *control;
                *control -= moved * *control;
            }
            let end = hours + length;
            while hours + TICK_HOURS / 2.0 < end {
                if hours % 24.0 == 0.0 {
                    counted = [[0.0; 2]; 2];
                }
                let tick = self.tick(&mut random, share, hours, &mut counted);
                hours += TICK_HOURS;
                if stop(tick) {
                    return Some(hours);
                }
            }
        }
        None
    }

    /// Draws a tick. `counted` holds the devices that were counted today, of each stratum and side: those count no more.
    fn tick(
        &self,
        random: &mut Random,
        share: f64,
        hours: f64,
        counted: &mut [[f64; 2]; 2],
    ) -> Tick {
        let rate = self.rate * self.scenario.factor(hours);
        let mut tick = Tick::default();
        for (stratum, contrast) in [1.0, self.contrast].into_iter().enumerate() {
            let sides = [(share, self.regression), (1.0 - share, 1.0)];
            let mut counts = [Count::NONE; 2];
            for (side, (part, regression)) in sides.into_iter().enumerate() {
                let devices = self.devices / 2.0 * part;
                if devices <= 0.0 {
                    continue;
                }
                let today = &mut counted[stratum][side];
                let is_fresh = if self.distinct { 1.0 - (*today / devices).min(1.0) } else { 1.0 };
                let incidents =
                    random.poisson(devices * TICK_HOURS * rate * contrast * regression * is_fresh);
                *today += incidents;
                let events =
                    if self.distinct { incidents } else { self.scenario.events(incidents, random) };
                counts[side] = Count::new(events, devices * TICK_HOURS).unwrap();
            }
            tick[stratum] = (counts[0], counts[1]);
        }
        tick
    }

    /// Hours until the two-sample test pauses; none if it never does.
    pub(crate) fn paused_by_two_sample(&self, seed: u64, tolerated: f64) -> Option<f64> {
        let mut test = RatioTest::new(tolerated, 2.0 * tolerated);
        let bar = whittle_rollout::statistics::log_threshold(0.05);
        self.run(seed, |tick| {
            tick.into_iter().for_each(|(treated, control)| test.add(treated, control));
            test.log_e_worse() >= bar
        })
    }
}

impl Scenario {
    /// How many events so many incidents make.
    fn events(self, incidents: f64, random: &mut Random) -> f64 {
        let mut events = incidents;
        if self == Self::BootLoop {
            let mut left = incidents;
            // Each event leads to another one in two of three cases.
            while left > 0.0 {
                left -= 1.0;
                while random.fraction() < 2.0 / 3.0 {
                    events += 1.0;
                }
            }
        }
        events
    }

    fn factor(self, hours: f64) -> f64 {
        let day = 1.0 - 0.5 * (hours / 24.0 * std::f64::consts::TAU).cos();
        match self {
            Self::Flat | Self::BootLoop => 1.0,
            Self::Daily => day,
            Self::ColdSnap if (30.0..90.0).contains(&hours) => 2.0 * day,
            Self::ColdSnap => day,
        }
    }
}
