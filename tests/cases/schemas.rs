//! Published schemas: every JSON document that a test gets is held against the one of its command, with objects closed, so that a
//! field that the schema does not know is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use crate::golden::assert_file;
use crate::support::{Run, Workshop, root, whittle};

/// What takes the place of a result where a command fails.
const FAILURE: &str = "failure";

/// A document, as `whittle schema` lists it and `docs/schemas` describes it.
struct Published {
    name: String,
    /// Commands that print it, by their words.
    commands: Vec<Vec<String>>,
    validator: Validator,
}

static PUBLISHED: LazyLock<Vec<Published>> = LazyLock::new(|| {
    listed()
        .into_iter()
        .map(|(name, commands)| {
            let mut schema = on_disk(&name);
            close(&mut schema);
            let validator = jsonschema::validator_for(&schema).expect("a schema");
            Published { name, commands, validator }
        })
        .collect()
});

/// Names of all documents, with the commands that print them.
fn listed() -> BTreeMap<String, Vec<Vec<String>>> {
    let list = whittle(&root(), &["schema", "--format=json"]).ok();
    let list: Value = serde_json::from_str(&list.stdout).expect("JSON");
    let words = |command: &Value| text(command).split(' ').map(str::to_owned).collect();
    let documents = list["documents"].as_array().expect("a list").iter();
    documents
        .map(|document| {
            let commands = document["commands"].as_array().expect("a list");
            (text(&document["name"]).to_owned(), commands.iter().map(words).collect())
        })
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn file(name: &str) -> std::path::PathBuf {
    root().join(format!("docs/schemas/{name}.json"))
}

fn on_disk(name: &str) -> Value {
    let text = std::fs::read(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_slice(&text).expect("JSON")
}

/// Holds what a command has printed against the published schemas, if it was asked for JSON.
pub(crate) fn check(args: &[&str], run: &Run) {
    // What this module itself asks for is written with `=`.
    if !args.windows(2).any(|words| words == ["--format", "json"]) {
        return;
    }
    for line in run.stdout.lines() {
        let document: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{args:?} prints no JSON: {error}: {line}"));
        let is_failure = run.code != 0 && document.get("error").is_some();
        let candidates: Vec<_> = match is_failure {
            true => PUBLISHED.iter().filter(|published| published.name == FAILURE).collect(),
            false => printed_by(args),
        };
        assert!(!candidates.is_empty(), "no published schema is for {args:?}");
        let fits = |published: &&Published| published.validator.is_valid(&document);
        if !candidates.iter().any(fits) {
            let why = candidates.iter().map(|published| published.complaints(&document));
            panic!("{args:?} prints what its schema does not say: {}", why.collect::<String>());
        }
    }
}

/// Documents of the command that these words call.
fn printed_by(args: &[&str]) -> Vec<&'static Published> {
    // Flags may stand in front of the command, and `demo fleet` is not `demo`: the words of the longest one count.
    let words = |published: &Published, at: usize| {
        let called = published.commands.iter().filter(|command| begins_with(&args[at..], command));
        called.map(Vec::len).max().unwrap_or(0)
    };
    let longest = |at: &usize| PUBLISHED.iter().map(|one| words(one, *at)).max().unwrap_or(0);
    let Some(at) = (0..args.len()).find(|at| longest(at) > 0) else { return vec![] };
    PUBLISHED.iter().filter(|published| words(published, at) == longest(&at)).collect()
}

fn begins_with(args: &[&str], command: &[String]) -> bool {
    args.len() >= command.len() && args.iter().zip(command).all(|(arg, word)| arg == word)
}

impl Published {
    fn complaints(&self, document: &Value) -> String {
        let complaints = self.validator.iter_errors(document);
        let complaint = |error: jsonschema::ValidationError<'_>| {
            format!("\n  {}: at `{}`: {error}", self.name, error.instance_path())
        };
        complaints.map(complaint).collect()
    }
}

/// Where a part of a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It describes a value by itself.
    Alone,
    /// It describes a value together with others, which know of its other fields.
    Joined,
}

/// Adds the definitions that somewhere describe a value together with other fields, such as the tag of an enum.
fn find_joined(schema: &Value, joined: &mut BTreeSet<String>) {
    match schema {
        Value::Object(parts) => {
            let refers = parts.get("$ref").and_then(Value::as_str);
            if let Some(name) = refers.filter(|_| parts.contains_key("properties")) {
                joined.insert(name.trim_start_matches("#/$defs/").to_owned());
            }
            parts.values().for_each(|part| find_joined(part, joined));
        }
        Value::Array(parts) => parts.iter().for_each(|part| find_joined(part, joined)),
        _ => {}
    }
}

/// Closes the objects of a schema.
fn close(schema: &mut Value) {
    let mut joined = BTreeSet::new();
    find_joined(schema, &mut joined);
    close_at(schema, Place::Alone, &joined);
}

fn close_at(schema: &mut Value, place: Place, joined: &BTreeSet<String>) {
    let Value::Object(schema) = schema else { return };
    for (keyword, part) in schema.iter_mut() {
        match (keyword.as_str(), part) {
            ("$defs", Value::Object(parts)) => {
                for (name, part) in parts {
                    let place = if joined.contains(name) { Place::Joined } else { Place::Alone };
                    close_at(part, place, joined);
                }
            }
            ("properties" | "patternProperties", Value::Object(parts)) => {
                parts.values_mut().for_each(|part| close_at(part, Place::Alone, joined));
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                parts.iter_mut().for_each(|part| close_at(part, Place::Joined, joined));
            }
            ("prefixItems", Value::Array(parts)) => {
                parts.iter_mut().for_each(|part| close_at(part, Place::Alone, joined));
            }
            ("items" | "additionalProperties", part) => close_at(part, Place::Alone, joined),
            _ => {}
        }
    }
    let describes_fields =
        ["properties", "allOf", "anyOf", "oneOf"].iter().any(|key| schema.contains_key(*key));
    if place == Place::Alone && describes_fields && !schema.contains_key("additionalProperties") {
        schema.insert("unevaluatedProperties".to_owned(), false.into());
    }
}

/// `WHITTLE_UPDATE_GOLDENS=1` writes them anew after a deliberate change, which reviewers then see.
#[test]
fn published_schemas_are_what_the_types_say() {
    let listed = listed();
    let page = std::fs::read_to_string(root().join("docs/json.md")).expect("it is committed");
    for (name, commands) in &listed {
        let commands = commands.iter().map(|words| format!("`{}`", words.join(" ")));
        let commands = commands.collect::<Vec<_>>().join(", ");
        let row = format!("| [`{name}`](schemas/{name}.json) | {commands}");
        assert!(page.contains(&row), "`docs/json.md` wants: {row}");
        let printed = whittle(&root(), &["schema", name]).ok();
        assert_file(&file(name), printed.stdout.as_bytes());
        let schema = on_disk(name);
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
        assert_eq!(schema["$id"], format!("urn:whittle:json:{name}:1"));
        assert_eq!(schema["properties"]["schema"]["const"], 1, "{name}");
        assert_described(name, &schema);
    }
    let files = std::fs::read_dir(root().join("docs/schemas")).expect("they are committed");
    let name = |file: std::io::Result<std::fs::DirEntry>| {
        let name = file.expect("readable").file_name().into_string().expect("text");
        name.strip_suffix(".json").expect("a schema").to_owned()
    };
    let described: BTreeSet<_> = files.map(name).collect();
    assert!(described.iter().eq(listed.keys()), "files of no document: {described:?}");
}

/// Every field says what it is; where it is the name of an enum's variant, the variant says it.
fn assert_described(path: &str, part: &Value) {
    let Value::Object(part) = part else { return };
    for (keyword, part) in part {
        let path = format!("{path}/{keyword}");
        match (keyword.as_str(), part) {
            ("properties", Value::Object(fields)) => {
                for (name, field) in fields {
                    assert!(field["description"].is_string(), "{path}: `{name}` says nothing");
                    assert_described(&path, field);
                }
            }
            ("$defs", Value::Object(parts)) => {
                parts.values().for_each(|part| assert_described(&path, part));
            }
            ("oneOf", Value::Array(variants)) => {
                for variant in variants {
                    assert!(variant["description"].is_string(), "{path}: {variant} says nothing");
                    let fields = variant["properties"].as_object().into_iter().flatten();
                    fields.for_each(|(_, field)| assert_described(&path, field));
                }
            }
            ("allOf" | "anyOf" | "prefixItems", Value::Array(parts)) => {
                parts.iter().for_each(|part| assert_described(&path, part));
            }
            ("items" | "additionalProperties", part) => assert_described(&path, part),
            _ => {}
        }
    }
}

#[test]
fn documents_are_held_against_their_schemas() {
    let run = |stdout: &str| Run { code: 0, stdout: stdout.to_owned(), stderr: String::new() };
    let refused = |args: &[&str], stdout: &str| {
        let run = run(stdout);
        std::panic::catch_unwind(|| check(args, &run)).is_err()
    };
    let args = ["--format", "json", "keygen", "--out", "keys"];
    let good = r#"{"schema":1,"private_key":"a","public_key":"b","key_id":"0123456789abcdef","encrypted":false}"#;
    assert!(!refused(&args, good));
    assert!(refused(&args, &good.replace(r#""schema":1"#, r#""schema":2"#)), "another version");
    assert!(refused(&args, &good.replace("cdef", "cdeg")), "no hexadecimal digits");
    assert!(refused(&args, &good.replace("encrypted", "secret")), "an unknown field");
    assert!(refused(&["--format", "json", "completions", "bash"], good), "prints no document");
    assert!(refused(&args, "private key  a"), "no JSON");
}

/// What other tests ask for in words.
#[test]
fn commands_about_releases_print_what_their_schemas_say() {
    let shop = Workshop::new();
    let (package, _) = shop.delta();
    let inspect = format!("inspect release/{package}");
    for line in [
        "verify release --pubkey keys/release.pub.pem",
        "apply release --base 2.bin --pubkey keys/release.pub.pem --out new.bin",
        "diff --base 2.bin --target 3.bin --write-bsdiff bare.patch",
        "apply bare.patch --unsigned-bsdiff --base 2.bin --out bare.bin",
        &inspect,
        "base add 2.bin --product thermostat --version 2.4.0",
        "publish release --to public --pubkey keys/release.pub.pem",
        "pull --from public --product thermostat --pubkey keys/release.pub.pem --base 2.bin --out pulled.pkg",
        "gc public --pubkey keys/release.pub.pem --keep 1 --dry-run",
        "init project --product thermostat --ci github",
        "--config project/whittle.toml config show --origin",
        "policy show canary",
        "savings --differences",
        "savings --list",
        "schema",
    ] {
        said(&shop, line);
    }
}

#[test]
fn commands_about_rollouts_print_what_their_schemas_say() {
    let shop = Workshop::new();
    let file = root().join("examples/rollouts/thermostat.toml").display().to_string();
    for line in [
        "rollout start t1 FILE",
        "rollout status t1",
        "rollout tick t1 FILE",
        "rollout pause t1 --by alice",
        "rollout cause t1 found-minor --by alice",
        "rollout resume t1 --by alice",
        "rollout stop t1 --by alice",
        "rollout log t1",
        "rollout replay t1",
    ] {
        said(&shop, &line.replace("FILE", &file));
    }
}

/// Asks for JSON, which is held against its schema.
fn said(shop: &Workshop, line: &str) {
    let args: Vec<_> = line.split_whitespace().chain(["--format", "json"]).collect();
    let run = shop.whittle(&args);
    assert!(!run.stdout.is_empty() && run.json().get("error").is_none(), "{line}: {run:?}");
}
