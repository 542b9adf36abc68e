//! Rollout policy: stages and rules written in TOML
