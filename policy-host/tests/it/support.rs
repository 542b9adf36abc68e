//! Components made of WAT, and what they are told.

use std::path::{Path, PathBuf};

use whittle_policy_host::types::{Clock, PlanInput, Snapshot};
use whittle_policy_host::{Host, Limits, Policy};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const INTERFACE: &str = "whittle:rollout-policy/policy@0.1.0";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn fixture(name: &str) -> String {
    let path = repository().join("fixtures/policies").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The contract.
pub(crate) fn contract() -> String {
    std::fs::read_to_string(repository().join("wit/policy.wit")).expect("it is there")
}

/// A component of `fixtures/policies/hostile`: a whole one, or a module, or a fragment that spoils a valid policy.
pub(crate) fn hostile(name: &str) -> Vec<u8> {
    hostile_under(&contract(), name)
}

/// The same under another contract.
pub(crate) fn hostile_under(contract: &str, name: &str) -> Vec<u8> {
    let text = fixture(&format!("hostile/{name}.wat"));
    let is_whole =
        text.lines().any(|line| line.starts_with("(component") || line.starts_with("(module"));
    if is_whole {
        return wat::parse_str(&text).expect("the fixture is WAT");
    }
    let functions = ["plan", "evaluate"].map(|name| format!("{INTERFACE}#{name}"));
    let missing = functions.iter().filter(|function| !text.contains(*function));
    let missing: String = missing
        .map(|function| {
            format!("(func (export {function:?}) (param i32) (result i32) unreachable)\n")
        })
        .collect();
    let common = fixture("hostile/common.wat");
    component(contract, &format!("(module\n{common}\n{text}\n{missing})"))
}

/// Makes a policy of a core module.
fn component(contract: &str, module: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).expect("the fragments make a module");
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", contract).expect("the contract is WIT");
    let world = resolve.select_world(&[package], None).expect("the contract has one world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("a module takes another section");
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .expect("the module exports what the contract says")
}

/// A host without a cache.
pub(crate) fn host(limits: Limits) -> Host {
    Host::new(limits, None)
}

/// The policy that is not spoilt.
pub(crate) fn harmless(host: &Host) -> Policy {
    host.load(&hostile("none")).expect("nothing is wrong with it")
}

/// A rollout in its first of two stages, with one group and one metric.
pub(crate) fn snapshot() -> Snapshot {
    serde_json::from_str(&fixture("snapshot-bare.json")).expect("the fixture is a snapshot")
}

/// What `plan` would have been told of that rollout.
pub(crate) fn plan_input() -> PlanInput {
    let snapshot = snapshot();
    PlanInput {
        clock: Clock { elapsed: 0, ..snapshot.clock },
        release: snapshot.release,
        groups: snapshot.groups,
        history: vec![],
        settings: vec![],
        extra: vec![],
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The component that was built when this version of the contract was released.
pub(crate) fn released(version: &str) -> Vec<u8> {
    let path = format!("fixtures/policies/released-{version}.wasm");
    std::fs::read(repository().join(path)).expect("it is kept")
}
