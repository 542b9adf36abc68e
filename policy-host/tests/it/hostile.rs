//! Policies that mean no good: each ends in a clear error, and the host goes on.

use std::time::Duration;

use whittle_policy_host::{CallError, Fault, Limits, LoadError};

use crate::support::{
    chain, contract, harmless, host, hostile, hostile_under, plan_input, snapshot,
};

/// What is refused before anything runs.
const NOT_LOADED: [(&str, &str); 5] = [
    ("core-module", "a core module, wanted a component"),
    (
        "wasi",
        "imports `wasi:clocks/wall-clock@0.2.0`, `wasi:random/random@0.2.0`, but a policy imports nothing",
    ),
    (
        "another-world",
        "does not export `whittle:rollout-policy/policy@0.1.0` as it is defined; it exports `run`",
    ),
    (
        "later-version",
        "does not export `whittle:rollout-policy/policy@0.1.0` as it is defined; it exports `whittle:rollout-policy/policy@0.2.0`",
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
fn without_fuel_the_processors_time_ends_a_loop() {
    let cpu_time = Duration::from_millis(100);
    let host = host(Limits { fuel: u64::MAX, cpu_time, ..Limits::default() });
    let policy = host.load(&hostile("endless-loop")).expect("it describes itself");
    let error = policy.evaluate(&snapshot()).expect_err("it never ends");
    assert!(matches!(error.fault, Fault::TooSlow { limit } if limit == cpu_time), "{error:?}");
    assert!(error.to_string().ends_with("failed in `evaluate`"), "fuel is not known: {error}");
}

/// Also of the functions that are not called then.
#[test]
fn functions_of_another_type_are_found_when_a_policy_is_loaded() {
    let (host, contract) = (host(Limits::default()), contract());
    for (answer, other, wanted) in [
        ("policy-info;", "result<policy-info>;", "expected `record` found `result`"),
        (
            "result<rollout-plan, string>;",
            "result<rollout-plan, u32>;",
            "expected `string` found `u32`",
        ),
        ("result<verdict, string>;", "verdict;", "expected `result` found `record`"),
    ] {
        let declared = |answer: &str| format!("-> {answer}");
        assert_eq!(contract.matches(&declared(answer)).count(), 1, "{answer}");
        let other = contract.replace(&declared(answer), &declared(other));
        let error = host.load(&hostile_under(&other, "none")).err().expect("another type");
        assert!(matches!(error, LoadError::WrongWorld { .. }), "{error:?}");
        assert!(chain(&error).ends_with(wanted), "{}", chain(&error));
    }
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

/// What would take minutes to compile, or all memory to instantiate, is refused at once.
#[test]
fn what_is_too_much_is_not_compiled() {
    let host = host(Limits {
        functions: 10,
        code_bytes: 4000,
        function_bytes: 1000,
        weight: 3000,
        function_weight: 1000,
        ..Limits::default()
    });
    let refused = |text: String, wanted: &str| {
        let error = host.load(&wat::parse_str(&text).expect("valid")).err().expect("too much");
        assert_eq!(chain(&error), wanted);
    };
    let module = |within: &str| format!("(component (core module {within}))");
    refused(module(&"(func)".repeat(11)), "11 functions, at most 10 are accepted");
    let long = |drops| format!("(func (param i32) {})", "local.get 0 drop ".repeat(drops));
    refused(module(&long(400)), "1202 bytes of a function, at most 1000 are accepted");
    refused(module(&long(300).repeat(5)), "4510 bytes of functions, at most 4000 are accepted");
    let branchy = |branches| {
        let locals = "i32 ".repeat(49);
        format!("(func (local {locals}) {})", "(block)".repeat(branches))
    };
    refused(
        module(&branchy(20)),
        "1050 branches times locals of a function, at most 1000 are accepted",
    );
    refused(
        module(&branchy(18).repeat(4)),
        "3800 branches times locals of all functions, at most 3000 are accepted",
    );
    refused(
        module(&"(global i32 (i32.const 0))".repeat(20_001)),
        "20001 globals, at most 20000 are accepted",
    );
    let many = "(core instance (instantiate 0))".repeat(256);
    refused(
        format!("(component (core module) {many})"),
        "257 instances of modules and components, at most 256 are accepted",
    );
    refused(
        format!(
            "(component (core module {}) (core instance (instantiate 0)))",
            "(table 1 funcref)".repeat(9)
        ),
        "9 tables, at most 8 are accepted",
    );
    refused(
        format!(
            "(component (core module (memory 1)) {})",
            "(core instance (instantiate 0))".repeat(9)
        ),
        "9 memories, at most 8 are accepted",
    );
    refused(
        module("(memory 1025)"),
        "67174400 bytes of memory to begin with, at most 67108864 are accepted",
    );
    refused(
        module("(table 200001 funcref)"),
        "200001 elements of tables to begin with, at most 200000 are accepted",
    );
}

/// Each instantiates the one before it twice: two kilobytes, and 2^40 instances.
#[test]
fn components_within_components_do_not_multiply() {
    let host = host(Limits::default());
    let nested = |depth| {
        (1..depth).fold("(component)".to_owned(), |inner, _| {
            let inner = inner.replacen("(component", "(component $c", 1);
            format!("(component {inner} (instance (instantiate $c)) (instance (instantiate $c)))")
        })
    };
    let siblings = (1..40).map(|n| {
        let before = n - 1;
        format!(
            "(component $c{n} (alias outer $all $c{before} (component $c)) \
             (instance (instantiate $c)) (instance (instantiate $c)))"
        )
    });
    let siblings = siblings.collect::<String>();
    let siblings =
        format!("(component $all (component $c0) {siblings} (instance (instantiate $c39)))");
    let exported = "(component (component $a (component $b) (export \"b\" (component $b))) \
                    (instance $a (instantiate $a)) (alias export $a \"b\" (component $c)))";
    let handed =
        "(component (component $a (import \"b\" (component $b)) (instance (instantiate $b))))";
    let load = |text: &str| {
        let error = host.load(&wat::parse_str(text).expect("valid")).err().expect("refused");
        chain(&error)
    };
    let many = "511 instances of modules and components, at most 256 are accepted";
    assert_eq!((load(&nested(16)).as_str(), load(&siblings).as_str()), (many, many));
    let deep = "17 components within one another, at most 16 are accepted";
    assert_eq!(load(&nested(17)), deep);
    let passes =
        "a component within it takes or hands out modules or components, which is not accepted";
    assert_eq!((load(exported).as_str(), load(handed).as_str()), (passes, passes));
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
