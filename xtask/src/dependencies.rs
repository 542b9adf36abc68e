//! Crates by others: where they come from, what their licences ask for, and that each has been thought about.
//!
//! `deny.toml` says what may be, and cargo-deny asks more by it; what is here needs no tool that takes minutes to build.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::shell::{self, root};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks all crates that are built with any features, for any platform.
pub(crate) fn check() -> Result<()> {
    let args = ["metadata", "--locked", "--all-features", "--format-version", "1"];
    let metadata: Value = serde_json::from_slice(&shell::output("cargo", &args)?)?;
    let crates = Crates::of(&metadata)?;
    let rules = std::fs::read_to_string(root().join("deny.toml"))?;
    let mut wrong = Rules::parse(&rules)?.broken_by(&crates);
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    wrong.extend(differences(&table(&page), &crates.direct()));
    ensure!(wrong.is_empty(), "dependencies:\n{}", wrong.join("\n"));
    Ok(())
}

/// A crate by others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    source: String,
    is_direct: bool,
}

struct Crates(Vec<Crate>);

impl Crates {
    fn of(metadata: &Value) -> Result<Self> {
        let list = |value: &Value| value.as_array().cloned().context("cargo metadata has lists");
        let members: Vec<Value> = list(&metadata["workspace_members"])?;
        let (ours, others): (Vec<Value>, Vec<Value>) = list(&metadata["packages"])?
            .into_iter()
            .partition(|package| members.contains(&package["id"]));
        let nodes = list(&metadata["resolve"]["nodes"])?;
        let is_ours = |node: &&Value| ours.iter().any(|package| package["id"] == node["id"]);
        let used = nodes.iter().filter(is_ours).map(|node| list(&node["dependencies"]));
        let direct: Vec<Value> = used.collect::<Result<Vec<_>>>()?.concat();
        let text = |package: &Value, key: &str| package[key].as_str().unwrap_or("none").to_owned();
        let other = |package: &Value| Crate {
            name: text(package, "name"),
            version: text(package, "version"),
            licence: text(package, "license"),
            source: text(package, "source"),
            is_direct: direct.contains(&package["id"]),
        };
        Ok(Self(others.iter().map(other).collect()))
    }

    fn direct(&self) -> Vec<Crate> {
        self.0.iter().filter(|found| found.is_direct).cloned().collect()
    }
}

/// What `deny.toml` allows.
struct Rules {
    licences: BTreeSet<String>,
    /// Further licences, by crate.
    exceptions: BTreeMap<String, BTreeSet<String>>,
    /// Names and versions of what may be there besides a newer one.
    twice: Vec<(String, String)>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let rules: toml::Table = text.parse().context("`deny.toml`")?;
        let texts = |value: &toml::Value| -> BTreeSet<String> {
            let texts = value.as_array().into_iter().flatten();
            texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let tables = |section: &str, key: &str| -> Vec<toml::Value> {
            rules[section].get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default()
        };
        let name = |entry: &toml::Value| entry["crate"].as_str().unwrap_or_default().to_owned();
        let exceptions = tables("licenses", "exceptions");
        let twice = tables("bans", "skip").into_iter().filter_map(|entry| {
            name(&entry).split_once('@').map(|(name, version)| (name.into(), version.into()))
        });
        Ok(Self {
            licences: texts(&rules["licenses"]["allow"]),
            exceptions: exceptions.iter().map(|e| (name(e), texts(&e["allow"]))).collect(),
            twice: twice.collect(),
        })
    }

    fn broken_by(&self, crates: &Crates) -> Vec<String> {
        let mut wrong = Vec::new();
        for Crate { name, version, licence, source, .. } in &crates.0 {
            if source != REGISTRY {
                wrong.push(format!("`{name}` {version} comes from {source}"));
            }
            let more = self.exceptions.get(name);
            let may =
                |id: &str| self.licences.contains(id) || more.is_some_and(|more| more.contains(id));
            if !is_satisfied(licence, &may) {
                wrong.push(format!("`{name}` {version} is under {licence}"));
            }
        }
        wrong.extend(self.unstated(crates));
        wrong
    }

    /// Versions of the same crate besides the newest one that nobody has given a reason for.
    fn unstated(&self, crates: &Crates) -> Vec<String> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for found in &crates.0 {
            versions.entry(&found.name).or_default().push(&found.version);
        }
        let mut wrong = Vec::new();
        for (name, versions) in versions {
            let is_stated = |version: &&&str| {
                self.twice.iter().any(|(of, from)| of == name && is_of(version, from))
            };
            let left = versions.len() - versions.iter().filter(is_stated).count();
            if left > 1 {
                wrong.push(format!("`{name}` is there as {}", versions.join(", ")));
            }
        }
        wrong
    }
}

/// Whether a version begins with these numbers.
fn is_of(version: &str, numbers: &str) -> bool {
    version
        .strip_prefix(numbers)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '+']))
}

/// Whether what may be satisfies an SPDX expression; a slash is an old way to write `OR`.
fn is_satisfied(licence: &str, may: &impl Fn(&str) -> bool) -> bool {
    let spaced = licence.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    either(&mut rest, may) == Some(true) && rest.is_empty()
}

/// `None` where the words are no expression.
fn either(words: &mut &[&str], may: &impl Fn(&str) -> bool) -> Option<bool> {
    let mut holds = both(words, may)?;
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        holds |= both(words, may)?;
    }
    Some(holds)
}

fn both(words: &mut &[&str], may: &impl Fn(&str) -> bool) -> Option<bool> {
    let mut holds = one(words, may)?;
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        holds &= one(words, may)?;
    }
    Some(holds)
}

fn one(words: &mut &[&str], may: &impl Fn(&str) -> bool) -> Option<bool> {
    let (&word, rest) = words.split_first()?;
    *words = rest;
    if word == "(" {
        let holds = either(words, may)?;
        let (&close, rest) = words.split_first()?;
        *words = rest;
        return (close == ")").then_some(holds);
    }
    match words {
        ["WITH", exception, rest @ ..] => {
            let id = format!("{word} WITH {exception}");
            *words = rest;
            Some(may(&id))
        }
        _ => Some(may(word)),
    }
}

/// A row of the table in `ARCHITECTURE.md`: name, version and licence.
type Row = (String, String, String);

/// The rows below the heading `Dependencies`.
fn table(page: &str) -> Vec<Row> {
    let section = page.split("\n## Dependencies\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.filter_map(|row| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (name, version) = cells.next()?.split_once(' ')?;
        Some((name.to_owned(), version.to_owned(), cells.next()?.to_owned()))
    })
    .collect()
}

/// What the table and the crates that ours depend on disagree about.
fn differences(table: &[Row], used: &[Crate]) -> Vec<String> {
    let mut wrong = Vec::new();
    for Crate { name, version, licence, .. } in used {
        let mut rows = table.iter().filter(|(of, ..)| of == name);
        match (rows.next(), rows.next()) {
            (Some((_, stated, under)), None) if is_of(version, stated) && under == licence => {}
            (Some((_, stated, under)), None) => wrong.push(format!(
                "`{name}` is {version} under {licence}, the table says {stated} under {under}"
            )),
            (None, _) => wrong.push(format!("the table has no row for `{name}`")),
            (Some(_), Some(_)) => wrong.push(format!("the table has two rows for `{name}`")),
        }
    }
    let is_used = |name: &String| used.iter().any(|found| found.name == *name);
    let idle = table.iter().filter(|(name, ..)| !is_used(name));
    wrong.extend(idle.map(|(name, ..)| format!("nothing depends on `{name}` of the table")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, version: &str, licence: &str) -> Crate {
        let [name, version, licence] = [name, version, licence].map(str::to_owned);
        Crate { name, version, licence, source: REGISTRY.to_owned(), is_direct: true }
    }

    #[test]
    fn a_table_is_held_against_what_is_used() {
        let page = "## Dependencies\n\n| crate | licence | why |\n|---|---|---|\n| a 1 | MIT | x |\n\
                    | b 0.2 | MIT | y |\n| b 0.3 | MIT | y |\n| idle 1 | MIT | z |\n\n## Glossary\n| c 1 | MIT | x |\n";
        let rows = table(&format!("\n{page}"));
        assert_eq!(rows.len(), 4);
        let used =
            [found("a", "1.2.3", "MIT"), found("b", "0.2.1", "MIT"), found("c", "1.0.0", "MIT")];
        let wanted = [
            "the table has two rows for `b`",
            "the table has no row for `c`",
            "nothing depends on `idle` of the table",
        ];
        assert_eq!(differences(&rows, &used), wanted);
        let other = [found("a", "10.0.0", "MIT OR Apache-2.0")];
        let wanted = "`a` is 10.0.0 under MIT OR Apache-2.0, the table says 1 under MIT";
        assert_eq!(differences(&rows[..1], &other), [wanted]);
    }

    #[test]
    fn licences_are_expressions() {
        let may = |id: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&id);
        for good in [
            "MIT",
            "GPL-3.0 OR MIT",
            "Unlicense/MIT",
            "(GPL-3.0 OR MIT) AND ISC",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(is_satisfied(good, &may), "{good}");
        }
        for bad in
            ["none", "", "GPL-3.0", "MIT AND GPL-3.0", "MIT OR", "(MIT", "MIT ISC", "Apache-2.0"]
        {
            assert!(!is_satisfied(bad, &may), "{bad}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        let rules = Rules::parse(
            "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ crate = \"tool\", allow = [\"MPL-2.0\"] }]\n\
             [bans]\nskip = [{ crate = \"old@0.1\", reason = \"others\" }]\n",
        );
        let elsewhere = Crate { source: "git".to_owned(), ..found("far", "1.0.0", "MIT") };
        let crates = Crates(vec![
            found("tool", "1.0.0", "MPL-2.0"),
            found("lib", "1.0.0", "MPL-2.0"),
            elsewhere,
            found("old", "0.1.5", "MIT"),
            found("old", "0.2.0", "MIT"),
            found("twice", "1.0.0", "MIT"),
            found("twice", "2.0.0", "MIT"),
        ]);
        let wanted = [
            "`lib` 1.0.0 is under MPL-2.0",
            "`far` 1.0.0 comes from git",
            "`twice` is there as 1.0.0, 2.0.0",
        ];
        assert_eq!(rules.expect("rules").broken_by(&crates), wanted);
    }
}
