//! Policies that mean no good: each ends in a clear error, and the host goes on.

use std::time::Duration;

use whittle_policy_host::{CallError, Fault, Limits, LoadError};

use crate::support::{chain, harmless, host, hostile, plan_input, snapshot};

/// What is refused before anything runs.
const NOT_LOADED: [(&str, &str); 5] = [
    ("core-module", "a core module, wanted a component"),
    ("wasi", ""),
    ("another-world", ""),
    ("later-version", ""),
    ("another-type", ""),
];

/// What fails when it is asked for a plan.
const BAD_PLANS: [(&str, &str); 8] = [
    ("falling-shares", ""),
    ("nan-share", ""),
    ("infinite-share", ""),
    ("negative-share", ""),
    ("share-over-one", ""),
    ("billion-stages", ""),
    ("many-stages", ""),
    ("refusal", ""),
];

/// What fails when it is asked for a verdict.
const BAD_VERDICTS: [(&str, &str); 14] = [
    ("endless-loop", ""),
    ("memory-hog", ""),
    ("deep-recursion", ""),
    ("trap", ""),
    ("outside-of-memory", ""),
    ("long-reason", ""),
    ("reason-beyond-memory", ""),
    ("wordy-reason", ""),
    ("not-utf8", ""),
    ("long-memo", ""),
    ("unknown-group", ""),
    ("unknown-decision", ""),
    ("late-pause", ""),
    ("leap", ""),
];

#[test]
fn what_is_no_policy_is_not_loaded() {
    let host = host(Limits::default());
    let found = NOT_LOADED.map(|(name, _)| {
        let error = host.load(&hostile(name)).err().expect("it is refused");
        (name, chain(&error))
    });
    compare(&found, &NOT_LOADED);
    harmless(&host);
}

#[test]
fn plans_outside_the_contract_are_errors() {
    let host = host(Limits::default());
    let found = BAD_PLANS.map(|(name, _)| {
        let policy = host.load(&hostile(name)).expect("it describes itself");
        (name, fault(&policy.plan(&plan_input()).expect_err("the plan is refused")))
    });
    compare(&found, &BAD_PLANS);
    harmless(&host).plan(&plan_input()).expect("the host is unharmed");
}

#[test]
fn verdicts_outside_the_contract_are_errors() {
    let host = host(Limits::default());
    let found = BAD_VERDICTS.map(|(name, _)| {
        let policy = host.load(&hostile(name)).expect("it describes itself");
        (name, fault(&policy.evaluate(&snapshot()).expect_err("the verdict is refused")))
    });
    compare(&found, &BAD_VERDICTS);
    harmless(&host).evaluate(&snapshot()).expect("the host is unharmed");
}

#[test]
fn an_error_names_the_policy_the_function_and_the_fuel() {
    let host = host(Limits { fuel: 1_000_000, ..Limits::default() });
    let policy = host.load(&hostile("endless-loop")).expect("it describes itself");
    let error = policy.evaluate(&snapshot()).expect_err("it never ends");
    let digest = policy.digest().short();
    let text =
        format!("policy `hostile` ({digest}) failed in `evaluate`, having used 1000000 fuel");
    assert_eq!(error.to_string(), text);
}

#[test]
fn without_fuel_the_wall_clock_ends_a_loop() {
    let wall_clock = Duration::from_millis(100);
    let host = host(Limits { fuel: u64::MAX, wall_clock, ..Limits::default() });
    let policy = host.load(&hostile("endless-loop")).expect("it describes itself");
    let error = policy.evaluate(&snapshot()).expect_err("it never ends");
    assert!(matches!(error.fault, Fault::TooSlow { limit } if limit == wall_clock), "{error:?}");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let host = host(Limits::default());
    let whole = hostile("none");
    for length in (0..whole.len()).step_by(97) {
        let error = host.load(&whole[..length]).err().expect("part of a component is none");
        let expected = if length < 4 {
            matches!(error, LoadError::NotWasm)
        } else {
            matches!(error, LoadError::Invalid(_) | LoadError::WrongWorld { .. })
        };
        assert!(expected, "{length} bytes: {error:?}");
    }
}

#[test]
fn what_is_too_large_is_not_looked_at() {
    let limits = Limits { input_bytes: 100, component_bytes: 64 << 10, ..Limits::default() };
    let host = host(limits);
    let error = harmless(&host).evaluate(&snapshot()).expect_err("the snapshot has more bytes");
    assert!(matches!(error.fault, Fault::InputTooLarge { limit: 100, .. }), "{error:?}");
    let error = host.load(&vec![0; 65 << 10]).err().expect("the file has more bytes");
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error:?}");
}

fn fault(error: &CallError) -> String {
    chain(&error.fault)
}

/// Shows all that differ at once, as they would have to stand in the table.
fn compare(found: &[(&str, String)], wanted: &[(&str, &str)]) {
    let table = |name: &str, text: &str| format!("    ({name:?}, {text:?}),\n");
    let found: String = found.iter().map(|(name, text)| table(name, text)).collect();
    let wanted: String = wanted.iter().map(|(name, text)| table(name, text)).collect();
    assert!(found == wanted, "found:\n{found}wanted:\n{wanted}");
}
