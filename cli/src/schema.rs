//! JSON Schemas of what is printed under `--format json`, made of the very types that are serialised.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::error::Result;
use crate::printer;

/// Ids of keys: 8 bytes in hexadecimal digits.
pub(crate) const HEX_8_BYTES: &str = "^[0-9a-f]{16}$";

/// Seeds, and digests that are cut short: 16 bytes.
pub(crate) const HEX_16_BYTES: &str = "^[0-9a-f]{32}$";

/// SHA-256 digests, and public keys: 32 bytes.
pub(crate) const HEX_32_BYTES: &str = "^[0-9a-f]{64}$";

/// A result that may be printed: one of the table in `commands/documents.rs`, so that it has a published schema.
pub(crate) trait Printed: JsonSchema + Serialize {}

/// What stands on standard output under `--format json`.
pub(crate) struct Document {
    /// Its name.
    pub(crate) name: &'static str,
    /// Commands that print it; none for what any of them may print.
    pub(crate) commands: &'static [&'static str],
    make: fn() -> Schema,
}

impl Document {
    pub(crate) const fn of<T: Printed>(
        name: &'static str,
        commands: &'static [&'static str],
    ) -> Self {
        let make = || {
            let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
            generator.into_root_schema_for::<printer::Document<'_, T>>()
        };
        Self { name, commands, make }
    }

    /// Its schema, as JSON on several lines.
    ///
    /// Objects are open: whoever reads a document must pass over fields that are not known yet.
    pub(crate) fn schema(&self) -> Result<String> {
        let mut schema = (self.make)();
        Opened.transform(&mut schema);
        schema.insert("$id".into(), self.id().into());
        schema.insert("title".into(), self.name.into());
        Ok(serde_json::to_string_pretty(&schema)?)
    }

    /// What names it everywhere; nothing can be fetched there.
    fn id(&self) -> String {
        format!("urn:whittle:json:{}:{}", self.name, printer::SCHEMA)
    }
}

/// Takes away what is for readers of JSON or of Rust: that they refuse unknown fields, and links within the source.
struct Opened;

impl Transform for Opened {
    fn transform(&mut self, schema: &mut Schema) {
        for closed in ["additionalProperties", "unevaluatedProperties"] {
            if schema.get(closed).is_some_and(|others| others == false) {
                schema.remove(closed);
            }
        }
        if let Some(description) = schema.get("description").and_then(|text| text.as_str()) {
            let plain = description.replace('\n', " ").replace("[`", "`").replace("`]", "`");
            schema.insert("description".into(), plain.into());
        }
        transform_subschemas(self, schema);
    }
}
