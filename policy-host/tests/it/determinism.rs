//! The same input gives the same answer and uses the same fuel.

use whittle_policy_host::Limits;

use crate::support::{harmless, host, plan_input, snapshot};

#[test]
fn a_hundred_fresh_instances_agree() {
    let policy = harmless(&host(Limits::default()));
    let now = snapshot();
    let first = policy.evaluate(&now).expect("it answers");
    for _ in 1..100 {
        assert_eq!(policy.evaluate(&now).expect("it answers"), first);
    }
    let plan = policy.plan(&plan_input()).expect("it answers");
    for _ in 1..100 {
        assert_eq!(policy.plan(&plan_input()).expect("it answers"), plan);
    }
}

#[test]
fn two_hosts_agree() {
    let answer = || harmless(&host(Limits::default())).evaluate(&snapshot()).expect("it answers");
    assert_eq!(answer(), answer());
}

/// More calls at once than there is room for wait for each other.
#[test]
fn any_number_of_threads_agree() {
    let policy = harmless(&host(Limits::default()));
    let now = snapshot();
    let first = policy.evaluate(&now).expect("it answers");
    std::thread::scope(|scope| {
        for _ in 0..300 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(policy.evaluate(&now).expect("it answers"), first);
                }
            });
        }
    });
}
