//! Rollout policy: rings of devices, from insiders to production
