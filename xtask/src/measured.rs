//! The table of everything measured, `docs/measured.md`: made from what each `measure` prints last, and held against it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::shell;

/// Make `docs/measured.md` anew, or hold what it says against what is measured.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only what this command measures, as `footprint`; may be given several times.
    #[arg(long = "only", value_name = "NAME")]
    only: Vec<String>,
    /// Directory with one subdirectory for each series of images, for what is measured of a corpus.
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Measure what is the same on every machine, and fail if the page says something else.
    #[arg(long, conflicts_with_all = ["only", "corpus"])]
    check: bool,
}

/// What one command measures.
struct Section {
    /// The arguments of `cargo xtask measure`; a corpus goes last.
    command: &'static str,
    /// What is measured on which images or machine, in a sentence or two.
    about: &'static str,
    of: Of,
}

/// What the figures depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// On the tree alone: checked, within [`TOLERANCE`].
    Tree,
    /// On a corpus that is not part of the tree.
    Corpus,
    /// On the machine.
    Machine,
}

/// How far a figure may be from the page, as a fraction: compilers' patch releases move code by a few bytes.
const TOLERANCE: f64 = 0.01;

const PAGE: &str = "docs/measured.md";

const SECTIONS: &[Section] = &[
    Section {
        command: "footprint",
        about: "Flash and static RAM: of the example firmware and of the device that updates itself as they are, of what two slots need with and \
                without cryptography, and of the `compact` decoder alone.",
        of: Of::Tree,
    },
    Section {
        command: "decode",
        about: "Instructions for each byte of the target, and stack, of the `compact` decoder under QEMU, on the fixtures; built for size.",
        of: Of::Tree,
    },
    Section {
        command: "sizes",
        about: "Downloads of the fixtures, every header and signature counted, against `bsdiff`; the full image against `xz -9e`.",
        of: Of::Tree,
    },
    Section {
        command: "in-place",
        about: "Payloads for a target that takes the room of its base, against ordinary ones, on the fixtures.",
        of: Of::Tree,
    },
    Section {
        command: "sizes --corpus",
        about: "Downloads of public firmware against the best peer; each pair stands in [sizes.md](sizes.md).",
        of: Of::Corpus,
    },
    Section {
        command: "in-place --corpus",
        about: "Payloads in place against ordinary ones, on public firmware.",
        of: Of::Corpus,
    },
    Section {
        command: "encode --corpus",
        about: "User seconds and peak memory for each MB (10^6 bytes) of base and target, one thread, on public firmware.",
        of: Of::Corpus,
    },
    Section {
        command: "power-cuts",
        about: "Power cuts of simulated devices, all layouts, and the devices that did not come back. A part of them is an ordinary test: \
                [power-cuts.md](power-cuts.md).",
        of: Of::Machine,
    },
    Section {
        command: "policy",
        about: "The shipped policies: largest component, loading with and without a cache, one answer to a bare and to a full snapshot.",
        of: Of::Machine,
    },
    Section {
        command: "simulate",
        about: "A thousand rollouts to a million devices, the slowest of the shipped scenarios and policies.",
        of: Of::Machine,
    },
];

/// Names and values, in the order of names.
type Figures = BTreeMap<String, String>;

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check {
        return check();
    }
    let path = shell::root().join(PAGE);
    let mut known = parse(&std::fs::read_to_string(&path).unwrap_or_default());
    for name in &args.only {
        ensure!(
            SECTIONS.iter().any(|section| section.is_named(name)),
            "nothing is called `{name}`"
        );
    }
    for section in SECTIONS {
        let is_wanted = args.only.is_empty() || args.only.iter().any(|name| section.is_named(name));
        if is_wanted && (section.of != Of::Corpus || args.corpus.is_some()) {
            known.insert(section.command.to_owned(), section.measure(args.corpus.as_deref())?);
            // What takes hours is not lost if the next section fails.
            std::fs::write(&path, emit(&known))?;
        }
    }
    Ok(())
}

/// Measures what depends on the tree alone.
pub(crate) fn check() -> Result<()> {
    let known = parse(&std::fs::read_to_string(shell::root().join(PAGE))?);
    let mut wrong = Vec::new();
    for section in SECTIONS.iter().filter(|section| section.of == Of::Tree) {
        let written = known.get(section.command);
        let written = written.with_context(|| format!("{PAGE} lacks `{}`", section.command))?;
        wrong.extend(differences(written, &section.measure(None)?));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "{PAGE} says something else; `cargo xtask measured --only …` makes it anew:\n{}",
        wrong.join("\n")
    )
}

/// Where figures are not as they are written.
fn differences(written: &Figures, measured: &Figures) -> Vec<String> {
    let mut all = Vec::new();
    for (name, value) in measured {
        match written.get(name) {
            Some(known) if is_near(known, value) => {}
            Some(known) => all.push(format!("{name}: {value}, written is {known}")),
            None => all.push(format!("{name}: {value}, not written")),
        }
    }
    let gone = written.keys().filter(|name| !measured.contains_key(*name));
    all.extend(gone.map(|name| format!("{name}: written, not measured")));
    all
}

fn is_near(one: &str, other: &str) -> bool {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()),
        _ => one == other,
    }
}

impl Section {
    fn is_named(&self, name: &str) -> bool {
        self.command == name || self.command.split(' ').next() == Some(name)
    }

    /// Runs the command, whose last line says it all.
    fn measure(&self, corpus: Option<&Path>) -> Result<Figures> {
        let myself = std::env::current_exe()?.to_string_lossy().into_owned();
        let mut args = vec!["measure"];
        args.extend(self.command.split(' '));
        let corpus = corpus.map(Path::to_string_lossy);
        args.extend(corpus.as_deref().filter(|_| self.of == Of::Corpus));
        eprintln!("$ cargo xtask {}", args.join(" "));
        let printed = String::from_utf8(shell::output(&myself, &args)?)?;
        pairs(printed.lines().last().unwrap_or_default())
            .with_context(|| format!("`measure {}` ends without figures", self.command))
    }
}

/// The figures of a line such as `one=1 two=2`.
fn pairs(line: &str) -> Option<Figures> {
    let pair = |word: &str| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    line.split_whitespace().map(pair).collect::<Option<Figures>>().filter(|found| !found.is_empty())
}

const HEAD: &str = "# Measured

Every figure, with the command that makes it. `cargo xtask measured` makes this page; [benchmarks.md](benchmarks.md) tells how each is
measured. What depends on the tree alone is held against it in CI, within 1 %.
";

/// How a section begins.
const HEADING: &str = "## `cargo xtask measure ";

/// The page of these figures, by command.
fn emit(known: &BTreeMap<String, Figures>) -> String {
    let mut page = HEAD.to_owned();
    for Section { command, about, of } in SECTIONS {
        let Some(figures) = known.get(*command) else { continue };
        let depends = match of {
            Of::Tree => "Checked in CI.",
            Of::Corpus => "",
            Of::Machine => "On a virtual machine of two processors.",
        };
        let (corpus, end) = if *of == Of::Corpus { (" CORPUS", "") } else { ("", " ") };
        page += &format!(
            "\n{HEADING}{command}{corpus}`\n\n{about}{end}{depends}\n\n| figure | value |\n|---|---|\n"
        );
        for (name, value) in figures {
            page += &format!("| {name} | {value} |\n");
        }
    }
    page
}

/// The figures of a page, by command.
fn parse(page: &str) -> BTreeMap<String, Figures> {
    let mut known: BTreeMap<String, Figures> = BTreeMap::new();
    let mut command = None;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix(HEADING) {
            command = Some(heading.trim_end_matches('`').trim_end_matches(" CORPUS").to_owned());
        } else if let (Some(command), ["", name, value, ""]) =
            (&command, &line.split('|').map(str::trim).collect::<Vec<_>>()[..])
            && *name != "figure"
            && !name.starts_with('-')
        {
            let figures = known.entry(command.clone()).or_default();
            figures.insert((*name).to_owned(), (*value).to_owned());
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(line: &str) -> Figures {
        pairs(line).expect("pairs")
    }

    #[test]
    fn a_page_is_read_as_it_was_written() {
        let known: BTreeMap<_, _> = SECTIONS
            .iter()
            .map(|section| (section.command.to_owned(), figures("a_bytes=12 b=0.5000 c=- ")))
            .collect();
        assert_eq!(parse(&emit(&known)), known);
        assert_eq!(pairs("no figures"), None);
        assert_eq!(pairs(""), None);
    }

    #[test]
    fn what_is_not_as_it_is_written_is_told() {
        let written = figures("same=1000 near=1000 far=1000 gone=1 text=-");
        let measured = figures("same=1000 near=1010 far=1011 new=1 text=-");
        assert_eq!(
            differences(&written, &measured),
            ["far: 1011, written is 1000", "new: 1, not written", "gone: written, not measured"]
        );
    }
}
