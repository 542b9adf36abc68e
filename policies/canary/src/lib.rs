//! The canary policy: 1, 5, 25 and 100 % of the fleet, paused by four triggers.
//!
//! | stage | watched for | why |
//! |---|---|---|
//! | 1 % | 2 hours | catastrophic faults |
//! | 5 % | 12 hours | common faults |
//! | 25 % | 24 hours | edge cases |
//! | 100 % | 7 days | long-term stability |
//!
//! It pauses if crashes double, if five in a hundred devices fewer than before check in, if batteries drain 20 % faster, or
//! if one device in ten goes back to the old firmware. Sensor drift and support tickets are watched if their limits are set.
//! A trigger with the limit 0 is off, and its metric is not needed.
//!
//! "Twice the baseline" alone is a poor rule: where 10 crashes are expected, 20 come by chance once in 280 looks, and with few
//! crashes expected a single one is "twice" already. So a trigger counts from `min-events` on, and new firmware is compared
//! with devices that still run the old one where there are any. `significance` is the policy for those who look often.

use whittle_policy::prelude::*;

/// 1, 5, 25 and 100 % of the fleet, paused by four triggers.
pub struct Canary;

export_policy!(Canary);

const SHARES: Numbers = Numbers {
    key: "shares",
    help: "Share of the fleet that each stage reaches; cumulative.",
    unit: "fraction",
    default: &[0.01, 0.05, 0.25, 1.0],
    min: 0.000_001,
    max: 1.0,
};

const WATCH_HOURS: Numbers = Numbers {
    key: "watch-hours",
    help: "How long each stage is watched once it is full.",
    unit: "hours",
    default: &[2.0, 12.0, 24.0, 168.0],
    min: 0.0,
    max: 2_160.0,
};

const CRASHES: Number = Number {
    key: "crash-limit",
    help: "Pause if the crash rate is above this; 0 turns it off.",
    unit: "x reference",
    default: 2.0,
    min: 0.0,
    max: 100.0,
};

const CONNECTED: Number = Number {
    key: "connected-drop",
    help: "Pause if the share of devices that check in falls by more than this; 0 turns it off.",
    unit: "fraction",
    default: 0.05,
    min: 0.0,
    max: 1.0,
};

const BATTERY: Number = Number {
    key: "battery-limit",
    help: "Pause if the battery drain is above this; 0 turns it off.",
    unit: "x reference",
    default: 1.2,
    min: 0.0,
    max: 100.0,
};

const ROLLED_BACK: Number = Number {
    key: "rolled-back-limit",
    help: "Pause if more than this share of the updated devices went back by themselves; 0 turns it off.",
    unit: "fraction",
    default: 0.1,
    min: 0.0,
    max: 1.0,
};

const DRIFT: Number = Number {
    key: "drift-limit",
    help: "Pause if the drift of calibrated sensors is above this; 0 turns it off.",
    unit: "x reference",
    default: 0.0,
    min: 0.0,
    max: 100.0,
};

const TICKETS: Number = Number {
    key: "ticket-limit",
    help: "Pause if the rate of support tickets is above this; 0 turns it off.",
    unit: "x reference",
    default: 0.0,
    min: 0.0,
    max: 100.0,
};

const SPLIT_BY: Text = Text {
    key: "split-by",
    help: "Attributes of devices whose values are judged apart, such as `hw, region`; empty for the fleet as a whole.",
    default: "",
    max_bytes: 256,
};

impl Policy for Canary {
    fn describe(settings: &[Setting]) -> PolicyInfo {
        let summary = "1, 5, 25 and 100 % of the fleet, paused by four triggers.";
        let is_on = |limit: &Number| limit.of(settings).is_ok_and(|limit| limit > 0.0);
        let metrics = [
            (&CRASHES, "crashes", MetricKind::Rate, "devices with a crash per device-hour"),
            (&CONNECTED, "connected", MetricKind::Proportion, "devices that check in"),
            (&BATTERY, "battery-drain", MetricKind::Mean, "drain per hour"),
            (&DRIFT, "sensor-drift", MetricKind::Mean, "drift"),
            (&TICKETS, "tickets", MetricKind::Rate, "tickets per device-hour"),
        ];
        let needed = metrics.into_iter().filter(|(limit, ..)| is_on(limit));
        PolicyInfo::new("canary", env!("CARGO_PKG_VERSION"), summary)
            .settings(&[&SHARES, &WATCH_HOURS])
            .settings(&PlanSettings::SPECS)
            .settings(&[&CRASHES, &CONNECTED, &BATTERY, &ROLLED_BACK, &DRIFT, &TICKETS, &SPLIT_BY])
            .settings(&Watch::SPECS)
            .metrics(
                needed
                    .map(|(limit, name, kind, unit)| MetricNeed::new(name, kind, unit, limit.help)),
            )
            .split_by(SPLIT_BY.of(settings).unwrap_or_default())
    }

    fn plan(input: PlanInput) -> Result<RolloutPlan, String> {
        let settings = &input.settings;
        PlanSettings::of(settings)?.plan_of(&SHARES.of(settings)?, &WATCH_HOURS.of(settings)?)
    }

    fn evaluate(now: Snapshot) -> Result<Verdict, String> {
        let watch = Watch::of(&now.settings)?;
        watch.decide(&now, &triggers(&now.settings, &watch)?)
    }
}

fn triggers(settings: &[Setting], watch: &Watch) -> Result<Vec<Trigger>, String> {
    let times = |limit| Limit::TimesReference(limit, watch.against);
    let drop = |limit| Limit::BelowReference(limit, watch.against);
    let all: [(&Number, Source, &dyn Fn(f64) -> Limit); 6] = [
        (&CRASHES, Source::metric("crashes"), &times),
        (&CONNECTED, Source::metric("connected"), &drop),
        (&BATTERY, Source::metric("battery-drain"), &times),
        (&ROLLED_BACK, Source::RolledBack, &Limit::Above),
        (&DRIFT, Source::metric("sensor-drift"), &times),
        (&TICKETS, Source::metric("tickets"), &times),
    ];
    let mut triggers = Vec::new();
    for (setting, source, limit) in all {
        let number = setting.of(settings)?;
        if number > 0.0 {
            triggers.push(Trigger::new(source, limit(number), watch.pause()));
        }
    }
    Ok(triggers)
}
