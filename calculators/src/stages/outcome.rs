//! What comes out of stages.

use serde::Serialize;

use super::Inputs;
use super::fitting::fitting_device_hours;
use super::rollout::{
    delay_worth_devices, download_seconds, false_pause, hours_in_all, hours_with_one_pause,
    trigger_tickets_per_day,
};
use super::step::{Cohort, Step};
use crate::form::BadInput;
use crate::formula::Formula;
use crate::words::number;

/// The most events that may be expected in a stage.
pub(super) const MOST_EVENTS: f64 = 1e7;

/// What comes out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// What was asked.
    pub inputs: Inputs,
    /// Each stage.
    pub stages: Vec<StageOutcome>,
    /// How much of the fleet is updated in the end, as a fraction.
    pub updated_share: f64,
    /// How likely a healthy rollout pauses in any stage.
    pub false_pause: f64,
    /// Exposure that a stage needs for [`Inputs::pause_ratio`] at the wanted error rates, in device-hours; none if none with 100,000 events will do.
    pub fitting_device_hours: Option<f64>,
    /// Hours until the last stage has been watched, without a pause.
    pub hours: f64,
    /// The same with one pause.
    pub hours_with_one_pause: f64,
    /// What the tickets that pause would be in a day.
    pub trigger_tickets_per_day: f64,
    /// Whether that is more than support can take: it pauses too late then.
    pub trigger_above_capacity: bool,
    /// How long a device downloads, in seconds, if the link is known.
    pub download_seconds: Option<f64>,
    /// Devices with a bug that cost as much as the whole rollout's time.
    pub delay_worth_devices: f64,
    /// How each figure came about.
    pub formulas: Vec<Formula>,
}

/// What a stage shows and risks. Each figure of a formula is one of `formulas`, under the same name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StageOutcome {
    /// Its name.
    pub name: String,
    /// Devices that it adds.
    pub new_devices: f64,
    /// Devices that are updated when it is full: the worst blast radius.
    pub updated_devices: f64,
    /// The same as a fraction of the fleet.
    pub updated_share: f64,
    /// Devices whose events count.
    pub watched_devices: f64,
    /// When it begins, in hours from the start, without a pause.
    pub from_hour: f64,
    /// How long it is watched.
    pub hours: f64,
    /// Events that are expected on good firmware.
    pub expected_events: f64,
    /// The least number of events that pauses.
    pub pause_at_events: u32,
    /// How likely good firmware pauses.
    pub false_pause: f64,
    /// How likely firmware with twice as many events pauses.
    pub power_2x: f64,
    /// The same for three times as many.
    pub power_3x: f64,
    /// The same for five times as many.
    pub power_5x: f64,
    /// How long this stage had to be watched to tell [`Inputs::pause_ratio`] at the wanted error rates; none if no device is watched, or none will do.
    pub fitting_hours: Option<f64>,
    /// The least ratio that whittle's own test sees in four of five cases; none if it sees none: without devices on old firmware, say.
    pub test_sees_ratio: Option<f64>,
    /// A stage without any event excludes, at 95 %, only what hits this fraction of devices or more (the rule of three).
    pub silence_excludes_share: Option<f64>,
    /// Tickets if all of its devices are rolled back.
    pub tickets_if_all_roll_back: f64,
    /// Tickets if as many are as pause the rollout.
    pub tickets_at_trigger: f64,
    /// Whether the tickets of all are more than support can take in a day.
    pub above_capacity: bool,
    /// How likely the late bug has shown itself on enough devices by the end of the stage.
    pub late_bug_seen: f64,
    /// How each figure came about.
    pub formulas: Vec<Formula>,
}

/// Works out what the stages show and risk.
///
/// # Errors
/// If an input cannot be.
pub fn outcome(inputs: &Inputs) -> Result<Outcome, BadInput> {
    inputs.check()?;
    let fitting = fitting_device_hours(inputs);
    let fitting_device_hours = fitting.as_ref().map(|formula| formula.value);
    let stages = stages(inputs, fitting_device_hours)?;
    let false_pause = false_pause(&stages);
    let hours = hours_in_all(inputs);
    let with_pause = hours_with_one_pause(inputs, hours.value);
    let trigger = trigger_tickets_per_day(inputs);
    let delay = delay_worth_devices(inputs, hours.value);
    let download = download_seconds(inputs);
    Ok(Outcome {
        inputs: inputs.clone(),
        updated_share: stages.last().map_or(0.0, |stage| stage.updated_share),
        false_pause: false_pause.value,
        fitting_device_hours,
        hours: hours.value,
        hours_with_one_pause: with_pause.value,
        trigger_tickets_per_day: trigger.value,
        trigger_above_capacity: trigger.value > inputs.tickets_per_day,
        download_seconds: download.as_ref().map(|formula| formula.value),
        delay_worth_devices: delay.value,
        stages,
        formulas: fitting
            .into_iter()
            .chain([false_pause, hours, with_pause, trigger, delay])
            .chain(download)
            .collect(),
    })
}

fn stages(
    inputs: &Inputs,
    fitting_device_hours: Option<f64>,
) -> Result<Vec<StageOutcome>, BadInput> {
    let mut from_hour = 0.0;
    let mut before = 0.0;
    let (mut outcomes, mut cohorts) = (vec![], vec![]);
    for (place, stage) in inputs.stages.iter().enumerate() {
        let updated = inputs.updated_at(place);
        let new = updated - before;
        cohorts.push(Cohort { devices: new, from_hour });
        let step = Step { inputs, stage, new, updated, cohorts: &cohorts };
        if step.expected_events().value > MOST_EVENTS {
            return Err(BadInput(format!(
                "stage `{}`: more than {} events are expected",
                stage.name,
                number(MOST_EVENTS)
            )));
        }
        outcomes.push(step.outcome(from_hour, fitting_device_hours));
        from_hour += stage.hours + inputs.analysis_hours;
        before = updated;
    }
    Ok(outcomes)
}
