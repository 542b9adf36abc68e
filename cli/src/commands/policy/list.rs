use schemars::JsonSchema;
use serde::Serialize;
use whittle_policy_host::shipped::SHIPPED;

use crate::error::Result;
use crate::printer::{Printer, grouped, table};
use crate::schema;

/// List the policies that come with whittle.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Policies that come with whittle.
#[derive(JsonSchema, Serialize)]
pub(crate) struct List {
    /// The policies.
    policies: Vec<Listed>,
}

/// A policy that comes with whittle.
#[derive(JsonSchema, Serialize)]
struct Listed {
    /// Its name, by which commands take it.
    name: String,
    /// Its version.
    version: String,
    /// What it does, in one sentence.
    summary: String,
    /// Size of the component in bytes.
    bytes: usize,
    /// SHA-256 of the component.
    #[schemars(regex(pattern = schema::HEX_32_BYTES))]
    sha256: String,
}

pub(crate) fn run(_: &Args, printer: &Printer) -> Result {
    let host = super::host(printer);
    let policies = SHIPPED.iter().map(|shipped| {
        let policy = super::load(&host, shipped.name)?;
        let info = policy.info();
        Ok(Listed {
            name: info.name.clone(),
            version: info.version.clone(),
            summary: info.summary.clone(),
            bytes: shipped.component.len(),
            sha256: policy.digest().to_string(),
        })
    });
    let list = List { policies: policies.collect::<Result<_>>()? };
    printer.result(&list, |list| {
        let rows = list.policies.iter().map(|policy| {
            let bytes = grouped(policy.bytes as u64);
            vec![policy.name.clone(), policy.version.clone(), bytes, policy.summary.clone()]
        });
        table(&["policy", "version", "bytes", "what it does"], rows)
    })
}
