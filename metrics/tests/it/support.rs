//! Terms and sources that the tests share.

use std::path::Path;

use whittle_metrics::Source;
use whittle_metrics::prometheus::{self, BadSource, Prometheus, Surroundings};
use whittle_rollout::Terms;

/// Terms with two cells, two stages and a metric of each kind.
pub(crate) fn terms() -> Terms {
    let metric = |name, kind, higher_is_worse| {
        serde_json::json!({
            "name": name, "kind": kind, "higher_is_worse": higher_is_worse, "required": true,
            "tolerated": 1.0, "tolerated_baseline": 1.25, "alarm": 2.0, "most": 5.0
        })
    };
    let cell = |hw, devices| serde_json::json!({ "attributes": { "hw": hw, "region": "eu" }, "devices": devices });
    let stage = |name, share| {
        serde_json::json!({
            "name": name, "share": share, "max_devices": null, "among": null, "min_time": 600,
            "max_time": null, "pace": null, "needs_approval": false
        })
    };
    let terms = serde_json::json!({
        "release": {
            "name": "thermostat 2.4.1", "change": "fix", "emergency": false, "safety_critical": false,
            "well_tested": true, "reversible": true, "full_bytes": 412000, "delta_bytes": 9100
        },
        "build": "b", "version": "2.4.1", "base_versions": ["2.4.0"], "policy": "p",
        "plan": { "stages": [stage("tenth", 0.1), stage("all", 1.0)], "hold_back": 0.1 },
        "cells": [cell("B", 1000), cell("C", 500)],
        "metrics": [
            metric("crashes", "rate", true),
            metric("connected", "proportion", false),
            metric("battery-drain", "mean", true)
        ],
        "limits": {},
        "way_back": "other-slot"
    });
    serde_json::from_value(terms).unwrap()
}

/// The source of the crate's documentation, at another address.
pub(crate) fn source(url: &str) -> prometheus::Source {
    #[derive(serde::Deserialize)]
    struct File {
        source: Source,
    }
    let file: File = toml::from_str(include_str!("../../examples/source.toml")).unwrap();
    let Source::Prometheus(mut source) = file.source;
    url.clone_into(&mut source.url);
    source.auth = None;
    source
}

pub(crate) fn reader(source: &prometheus::Source) -> Result<Prometheus, BadSource> {
    let variable = |name: &str| (name == "TOKEN").then(|| "s3cr3t-t0k3n".to_owned());
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let surroundings = Surroundings { directory: &directory, variable: &variable };
    Prometheus::new(source, &terms(), &surroundings)
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
