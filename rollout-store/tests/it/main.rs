//! Stores of rollouts: laws that hold for each, and what only a file or a server can do.

mod busy;
mod laws;
mod postgres;
mod processes;
mod proxy;
mod server;
mod sqlite;
#[path = "../../../rollout/tests/world/mod.rs"]
mod world;

use whittle_rollout_store::RolloutName;

fn name(text: &str) -> RolloutName {
    text.parse().expect("a name")
}
