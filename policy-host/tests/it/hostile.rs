//! Policies that mean no good: each ends in a clear error, and the host goes on.

use std::time::Duration;

use whittle_policy_host::{CallError, Fault, Limits, LoadError};

use crate::support::{chain, harmless, host, hostile, plan_input, snapshot};

/// What is refused before anything runs.
const NOT_LOADED: [(&str, &str); 5] = [
    ("core-module", "a core module, wanted a component"),
    (
        "wasi",
        "imports `wasi:clocks/wall-clock@0.2.0`, `wasi:random/random@0.2.0`, but a policy imports nothing",
    ),
    (
        "another-world",
        "does not export `whittle:rollout-policy/policy@0.1.0` as it is defined; it exports `run`: no exported instance named `whittle:rollout-policy/policy@0.1.0`",
    ),
    (
        "later-version",
        "does not export `whittle:rollout-policy/policy@0.1.0` as it is defined; it exports `whittle:rollout-policy/policy@0.2.0`: no exported instance named `whittle:rollout-policy/policy@0.1.0`",
    ),
    (
        "another-type",
        "does not export `whittle:rollout-policy/policy@0.1.0` as it is defined; it exports `whittle:rollout-policy/policy@0.1.0`: instance export `whittle:rollout-policy/policy@0.1.0` does not have export `describe`",
    ),
];

/// What fails when it is asked for a plan.
const BAD_PLANS: [(&str, &str); 8] = [
    (
        "falling-shares",
        "answer outside the contract: stages[1].share is 0.05, wanted more than 0.1, the share of the stage before",
    ),
    (
        "nan-share",
        "answer outside the contract: stages[1].share is NaN, wanted more than 0 and at most 1",
    ),
    (
        "infinite-share",
        "answer outside the contract: stages[1].share is inf, wanted more than 0 and at most 1",
    ),
    (
        "negative-share",
        "answer outside the contract: stages[0].share is -0.5, wanted more than 0 and at most 1",
    ),
    (
        "share-over-one",
        "answer outside the contract: stages[1].share is 1.5, wanted more than 0 and at most 1",
    ),
    (
        "billion-stages",
        "answered with bytes that make no sense: list pointer/length out of bounds of memory",
    ),
    ("many-stages", "answer outside the contract: stages is a list of 65, wanted 1 to 64"),
    ("refusal", "refused: hostile"),
];

/// What fails when it is asked for a verdict.
const BAD_VERDICTS: [(&str, &str); 15] = [
    ("endless-loop", "out of fuel: at most 1000000000 are allowed"),
    ("memory-hog", "memory of 67174400 bytes, at most 67108864 are allowed"),
    ("deep-recursion", "wasm trap: call stack exhausted"),
    ("trap", "wasm trap: wasm `unreachable` instruction executed"),
    ("outside-of-memory", "wasm trap: out of bounds memory access"),
    ("long-reason", "answer of more than 1048576 bytes"),
    ("one-reason-often", "answer of more than 1048576 bytes"),
    (
        "reason-beyond-memory",
        "answered with bytes that make no sense: string pointer/length out of bounds of memory",
    ),
    (
        "wordy-reason",
        "answer outside the contract: reasons[0].text is 1025 bytes long, wanted 0 to 1024",
    ),
    ("not-utf8", "answered with text that is not UTF-8"),
    ("long-memo", "answer outside the contract: memo is 65537 bytes long, wanted 0 to 65536"),
    (
        "unknown-group",
        "answer outside the contract: roll_back.groups is `hostile`, wanted the label of a group that was in the input",
    ),
    ("unknown-decision", "answered with bytes that make no sense: unexpected discriminant: 7"),
    (
        "late-pause",
        "answer outside the contract: pause.decide_within is 259201, wanted 1 to 259200",
    ),
    ("leap", "answer outside the contract: advance is 1, wanted more than 0 and at most 0.1"),
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
fn what_cannot_say_what_it_is_is_not_loaded() {
    let host = host(Limits::default());
    let fault = |name| match host.load(&hostile(name)) {
        Err(LoadError::Describe(error)) => fault(&error),
        other => panic!("{name}: {:?}", other.err()),
    };
    assert_eq!(fault("endless-start"), "out of fuel: at most 1000000000 are allowed");
    let wanted =
        "answer outside the contract: version is \"one.0\", wanted three numbers, as in 1.0.0";
    assert_eq!(fault("nonsense-version"), wanted);
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

/// What would take minutes to compile is refused at once.
#[test]
fn code_that_takes_long_to_compile_is_not_compiled() {
    let host = host(Limits::default());
    let load = |functions: &str| {
        let text = format!("(component (core module {functions}))");
        host.load(&wat::parse_str(text).expect("valid")).err().expect("it is too much")
    };
    let additions = "local.get 0 i32.const 7 i32.add local.set 0 ".repeat(200_000);
    let error = load(&format!("(func (param i32) (result i32) {additions} local.get 0)"));
    assert!(matches!(error, LoadError::FunctionTooLarge { limit: 0x10_0000, .. }), "{error:?}");
    let error = load(&"(func)".repeat(100_001));
    let is_expected = matches!(error, LoadError::TooManyFunctions { got: 100_001, limit: 100_000 });
    assert!(is_expected, "{error:?}");
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
