//! The commands that the README and the book show, run as a reader would run them.
//!
//! Each block of a page that begins with "```console" is run by `bash`, command by command, in a directory that holds what the page
//! supposes. A command must succeed, or fail if the page shows an error; where the page shows what it prints, it must print that: `…` stands
//! for any characters of a line, and a line of it for any lines. A block after a comment "file: NAME" is written to that file. A block that begins with "```console,ignore" is not run, and the comment before it says why.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{command, root, test_key};

/// A page, and what its reader has.
struct Page {
    /// From the root of the tree.
    file: &'static str,
    /// What is run before the page, by `bash`. There `$TREE` is the root of the tree, and `block LANGUAGE N` prints the N-th block of
    /// that language on the page.
    before: &'static str,
    /// What stands for something that a test has not, such as a server or somebody who types.
    instead: &'static [(&'static str, &'static str)],
}

/// What a reader does.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Run(Shown),
    Write { file: String, text: String },
}

/// A command as a page shows it.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    /// Line of its prompt, from 1.
    line: usize,
    command: String,
    /// What it prints; nothing if the page doesn't tell.
    printed: Vec<String>,
}

#[test]
fn readme() {
    Page {
        file: "README.md",
        before: "firmware",
        // It is installed already.
        instead: &[("cargo install --locked --path cli", "whittle --version")],
    }
    .run();
}

#[test]
fn calculators() {
    Page {
        file: "docs/calculators.md",
        before: "firmware; whittle keygen --out keys",
        instead: &[("whittle build …", "whittle build $BUILD --out release")],
    }
    .run();
}

#[test]
fn configuration() {
    Page {
        file: "docs/configuration.md",
        before: "echo 'product = \"thermostat\"' > whittle.toml; export WHITTLE_DEVICE_RAM=32K",
        instead: &[],
    }
    .run();
}

#[test]
fn explanations() {
    Page {
        file: "docs/explain.md",
        before: "cp $TREE/fixtures/explain/[12].{bin,elf} .; firmware; whittle keygen --out keys",
        instead: &[("whittle build …", "whittle build $BUILD --out release --device-ram 16K")],
    }
    .run();
}

#[test]
fn exports() {
    Page {
        file: "docs/export.md",
        before: "firmware; whittle keygen --out keys; whittle build $BUILD --out release",
        instead: &[],
    }
    .run();
}

#[test]
fn flags_and_stages() {
    Page {
        file: "docs/flags.md",
        before: "firmware; block json 1 > flags.json; cp -r $ROOM/test-keys keys",
        // The same place each time.
        instead: &[("--share 1%", "--share 1% --seed 00112233445566778899aabbccddeeff")],
    }
    .run();
}

#[test]
fn keys() {
    Page {
        file: "docs/keys.md",
        before: "firmware
            export KEY_PASSPHRASE='correct horse'
            for who in anna bert cleo release flags; do
                whittle keygen --out of-$who
                cp of-$who/release.key.pem $who.key.pem
                cp of-$who/release.pub.pem $who.pub.pem
            done
            block json 1 | sed \"s/f1c5…/$(whittle pubkey flags.pub.pem --to hex)/\" > keys.json
            block sh 1 > sign-with-kms; chmod +x sign-with-kms
            whittle build $UNSIGNED --key release.key.pem --out release",
        instead: &[
            // Nobody types.
            ("--passphrase-prompt", "--passphrase-env KEY_PASSPHRASE"),
            ("-aes256 -out release.key.pem", "-aes256 -pass env:KEY_PASSPHRASE -out openssl.pem"),
            ("whittle build …", "whittle build $UNSIGNED"),
            // A release is never overwritten.
            ("release.pub.pem --out release/", "release.pub.pem --out signed/"),
            ("to-sign/ --out release/", "to-sign/ --out attached/"),
        ],
    }
    .run();
}

#[test]
fn policies() {
    Page {
        file: "docs/policies.md",
        before: "cp $TREE/fixtures/policies/snapshot-bare.json state.json
            export CARGO_TARGET_DIR=$TREE/target/policies",
        instead: &[],
    }
    .run();
}

#[test]
fn publishing() {
    Page {
        file: "docs/publishing.md",
        before: "firmware; whittle keygen --out keys; whittle build $BUILD --out release",
        // The tests of `publish` have a store that speaks S3, and one that speaks HTTP.
        instead: &[
            ("s3://firmware/prod", "$PWD/published"),
            ("https://updates.example.com", "$PWD/published"),
        ],
    }
    .run();
}

#[test]
fn rollouts() {
    Page {
        file: "docs/rollouts.md",
        before:
            "cp $TREE/examples/rollouts/thermostat.toml rollout.toml; block json 1 > figures.json
            cp -r $ROOM/test-keys keys; mkdir public
            printf '[fleet]\\nkind = \"published\"\\ndirectory = \"public\"\\n' >> rollout.toml
            printf 'product = \"thermostat\"\\nkey = \"keys/release.key.pem\"\\n' >> rollout.toml
            printf 'region = \"region\"\\n' >> rollout.toml",
        // The clock stands where the figures come from.
        instead: &[
            ("start t241 rollout.toml", "start t241 rollout.toml --at 1795680000"),
            ("observe t241 figures.json", "observe t241 figures.json --at 1795683600"),
            ("tick t241 rollout.toml", "tick t241 rollout.toml --at 1795683600"),
            ("status t241", "status t241 --at 1795683600"),
            ("--example healthy", "--example healthy --runs 2"),
        ],
    }
    .run();
}

#[test]
fn simulation() {
    Page {
        file: "docs/simulation.md",
        before: "cp $TREE/examples/scenarios/sensors.toml my.toml
            cp $TREE/examples/recordings/waved-through.json mine.json
            cp $TREE/policies/dist/canary.wasm policy.wasm",
        // A thousand rollouts take their time without optimisation.
        instead: &[
            ("--example one-revision", "--example one-revision --runs 2"),
            ("simulate my.toml", "simulate my.toml --runs 2"),
        ],
    }
    .run();
}

#[test]
fn firmware_in_c() {
    Page {
        file: "examples/c/README.md",
        // What the example's own test builds, too.
        before: "cp $TREE/examples/c/* .; mkdir -p build $TREE/target/c-example/cargo
            ln -s $TREE/target/c-example/cargo build/",
        instead: &[
            ("cargo install --locked --path ../../cli", "whittle --version"),
            ("images=../..", "images=$TREE"),
            ("make run", "make ROOT=$TREE run"),
        ],
    }
    .run();
}

#[test]
fn demo() {
    Page {
        file: "docs/demo.md",
        before: "",
        // The whole fleet takes its time without optimisation.
        instead: &[
            ("demo fleet  ", "demo fleet --devices 60  "),
            ("--devices 200", "--devices 60"),
            ("--out kept", "--devices 60 --out kept"),
            ("--format json", "--devices 60 --format json"),
        ],
    }
    .run();
}

#[test]
fn the_first_hour_of_who_writes_firmware() {
    Page {
        file: "docs/tutorial-firmware.md",
        // What is compiled for the examples' own tests is compiled, but their programs stay as they are.
        before: "export WHITTLE=$TREE CARGO_TARGET_DIR=$TREE/target/tutorial
            export CARGO_BUILD_BUILD_DIR=$TREE/target/device",
        instead: &[
            // The same versions each time.
            ("new thermostat", "new thermostat; cp $TREE/examples/device/Cargo.lock thermostat"),
            ("add whittle-patcher-nostd", "add --path $TREE/patcher-nostd"),
            ("firmware=target", "firmware=$CARGO_TARGET_DIR"),
            (
                "cd ../under-embassy",
                "cd ../under-embassy; CARGO_BUILD_BUILD_DIR=$TREE/target/embassy",
            ),
            ("cd ../under-rtic", "cd ../under-rtic; CARGO_BUILD_BUILD_DIR=$TREE/target/rtic"),
        ],
    }
    .run();
}

#[test]
fn json() {
    Page {
        file: "docs/json.md",
        before: "firmware; whittle keygen --out keys; cp keys/release.pub.pem .",
        instead: &[
            ("whittle build …", "whittle build $BUILD --quiet --out release"),
            // One program of many; the tests hold every document against its schema by themselves.
            (
                "check-jsonschema --schemafile verify.schema.json",
                "jq --slurpfile schema verify.schema.json .schema",
            ),
        ],
    }
    .run();
}

#[test]
fn the_first_hour_of_who_builds_releases() {
    Page {
        file: "docs/tutorial-pipeline.md",
        before: "cp $TREE/fixtures/explain/[12].elf .",
        instead: &[],
    }
    .run();
}

#[test]
fn the_first_hour_of_who_writes_a_policy() {
    Page {
        file: "docs/tutorial-policy.md",
        before: "export CARGO_TARGET_DIR=$TREE/target/policies
            export PATH=$TREE/target/policy-tools/bin:$TREE/target/policy-tools/node_modules/.bin:$PATH",
        // A thousand rollouts take their time without optimisation, and an interpreter takes longer.
        instead: &[
            ("simulate --example", "simulate --runs 2 --example"),
            ("--runs 2 --example sensors --policy batteries-js", "--runs 1 --example sensors --policy batteries-js"),
        ],
    }
    .run();
}

/// Pages without a test of their own have no command that could be wrong.
#[test]
fn every_page_with_commands_is_run() {
    let tests = fs::read_to_string(root().join("tests/cases/book.rs")).expect("this file");
    let docs = fs::read_dir(root().join("docs")).expect("lists");
    let mut pages: Vec<PathBuf> = docs.map(|entry| entry.expect("there").path()).collect();
    pages.push(root().join("README.md"));
    for page in pages.iter().filter(|page| page.extension().is_some_and(|kind| kind == "md")) {
        let text = fs::read_to_string(page).expect("reads");
        let name = page.strip_prefix(root()).expect("below the root").display().to_string();
        let is_run = tests.contains(&format!("file: \"{name}\""));
        assert!(steps(&text).is_empty() || is_run, "nobody runs the commands of {name}");
    }
}

#[test]
fn blocks_are_read_as_readers_read_them() {
    let page = "```console\n$ one \\\n  more\nsays\n\nanna$ two\n```\n$ not me\n\
                <!-- Not run: no rocket. -->\n```console,ignore\n$ fly\n```\n\
                <!-- file: a/b.toml -->\n```toml\nc = 1\n```\n";
    let shown = |line, command: &str, printed: &[&str]| {
        let printed = printed.iter().map(|&line| line.to_owned()).collect();
        Step::Run(Shown { line, command: command.to_owned(), printed })
    };
    let written = Step::Write { file: "a/b.toml".to_owned(), text: "c = 1\n".to_owned() };
    assert_eq!(
        steps(page),
        [shown(2, "one \\\n  more", &["says", ""]), shown(6, "two", &[]), written]
    );
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(is_as_shown(&lines("a … c\n…\nz"), &lines("a b c\nx\ny\nz")));
    assert!(!is_as_shown(&lines("a … c\nz"), &lines("a b c\nx\nz")));
    assert!(!is_as_shown(&lines("a"), &lines("b")));
}

impl Page {
    #[track_caller]
    fn run(&self) {
        let text = fs::read_to_string(root().join(self.file)).expect("the page is there");
        let steps = steps(&text);
        assert!(!steps.is_empty(), "{} shows no commands", self.file);
        let room = TempDir::new().expect("there is room");
        let reader = Reader::new(self, &room);
        reader.run(self.before).unwrap_or_else(|printed| panic!("before {}: {printed}", self.file));
        for step in &steps {
            match step {
                Step::Run(shown) => self.try_out(shown, &reader),
                Step::Write { file, text } => reader.write(file, text),
            }
        }
    }

    #[track_caller]
    fn try_out(&self, Shown { line, command, printed }: &Shown, reader: &Reader) {
        let place = format!("{}:{line}: `{command}`", self.file);
        let instead = |command: String, (shown, done): &(&str, &str)| command.replace(shown, done);
        let done = self.instead.iter().fold(command.clone(), instead);
        assert!(!done.contains('…'), "{place} leaves something out");
        let fails = printed.iter().any(|line| line.starts_with("error: "));
        let got = match reader.run(&done) {
            Ok(got) if !fails => got,
            Err(got) if fails => got,
            Ok(got) => panic!("{place} succeeds:\n{got}"),
            Err(got) => panic!("{place} fails:\n{got}"),
        };
        let got: Vec<_> = got.lines().map(|line| line.trim_end().to_owned()).collect();
        assert!(printed.is_empty() || is_as_shown(printed, &got), "{place} prints:\n{got:#?}");
    }
}

/// Somebody with a shell, whose directory and variables last from command to command.
struct Reader {
    room: PathBuf,
    page: PathBuf,
}

impl Reader {
    fn new(page: &Page, room: &TempDir) -> Self {
        let reader = Self { room: room.path().to_owned(), page: root().join(page.file) };
        fs::create_dir(reader.room.join("desk")).expect("creates");
        fs::create_dir(reader.room.join("bin")).expect("creates");
        test_key().write_pair(&reader.room.join("test-keys")).expect("writes");
        let whittle = PathBuf::from(command(room.path(), &[]).get_program());
        std::os::unix::fs::symlink(whittle, reader.room.join("bin/whittle")).expect("links");
        reader
    }

    /// Writes a file where the shell is.
    fn write(&self, file: &str, text: &str) {
        let place = fs::read_to_string(self.room.join("place")).expect("the shell has run");
        fs::write(PathBuf::from(place.trim_end()).join(file), text).expect("writes");
    }

    /// Runs commands; what they print, or `Err` with that if one fails.
    fn run(&self, commands: &str) -> Result<String, String> {
        let script = format!("{PRELUDE}\n{commands}\n{AFTERWARDS}");
        let path = std::env::var("PATH").unwrap_or_default();
        let as_usual = command(&self.room, &[]);
        let variables = as_usual.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).current_dir(self.room.join("desk")).envs(variables);
        bash.env("PATH", format!("{}:{path}", self.room.join("bin").display()));
        bash.env_remove("WHITTLE_UPDATE_GOLDENS");
        bash.env("ROOM", &self.room).env("PAGE", &self.page).env("TREE", root());
        let output = bash.stdin(std::process::Stdio::null()).output().expect("bash runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() { Ok(printed) } else { Err(printed) }
    }
}

/// The state of the shell before, and what pages' readers have.
const PRELUDE: &str = r#"
exec 2>&1
set -eo pipefail
[ -f "$ROOM/variables" ] && . "$ROOM/variables" && cd "$(cat "$ROOM/place")"
block() { awk -v kind="$1" -v n="$2" '/^```/ { if (p) exit; if ($0 == "```" kind && ++i == n) { p = 1; next } } p' "$PAGE"; }
firmware() {
    for pair in 1.1.1=b1 1.2.0=b2 1.2.1=b3 1.2.2=new; do
        cp "$TREE/fixtures/thermostat/images/${pair%=*}.bin" "${pair#*=}.bin"
    done
}
UNSIGNED="--product thermostat --target new.bin --target-version 2.4.1 --base b3.bin --base b2.bin --base b1.bin"
BUILD="$UNSIGNED --key keys/release.key.pem"
set -a
"#;

/// Keeps the state of the shell.
const AFTERWARDS: &str = r#"
pwd > "$ROOM/place"
export -p > "$ROOM/variables"
"#;

/// What the reader of a page does.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines().enumerate();
    let mut before = "";
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|(_, line)| *line != "```").collect();
            let comment =
                |what| before.strip_prefix("<!-- ")?.strip_suffix(" -->")?.strip_prefix(what);
            if let Some(file) = comment("file: ") {
                let text = block.iter().map(|(_, line)| format!("{line}\n")).collect();
                steps.push(Step::Write { file: file.to_owned(), text });
            } else if language == "console" {
                steps.extend(commands(&block).into_iter().map(Step::Run));
            } else if language.starts_with("console") {
                assert!(comment("Not run: ").is_some(), "line {number}: not run, but why?");
            }
        }
        before = line;
    }
    steps
}

/// The commands of a block.
fn commands(block: &[(usize, &str)]) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut goes_on = false;
    for &(number, line) in block {
        match (all.last_mut(), prompted(line)) {
            (Some(shown), _) if goes_on => shown.command += &format!("\n{line}"),
            (_, Some(command)) => all.push(Shown {
                line: number + 1,
                command: command.trim_start().to_owned(),
                printed: Vec::new(),
            }),
            (Some(shown), None) => shown.printed.push(line.trim_end().to_owned()),
            (None, None) => panic!("line {number}: a block begins with a command"),
        }
        // A line of output may end so, too, but none that is shown does.
        goes_on = line.ends_with('\\');
    }
    all
}

/// What stands after the prompt: `$`, or somebody's name and that.
fn prompted(line: &str) -> Option<&str> {
    let (who, command) = line.split_once("$ ")?;
    who.chars().all(|letter| letter.is_ascii_lowercase()).then_some(command)
}

fn is_as_shown(shown: &[String], got: &[String]) -> bool {
    match (shown, got) {
        ([], []) => true,
        ([any, rest @ ..], _) if any == "…" => {
            (0..=got.len()).any(|from| is_as_shown(rest, &got[from..]))
        }
        ([line, shown @ ..], [is, got @ ..]) => fits(line, is) && is_as_shown(shown, got),
        _ => false,
    }
}

/// Whether a line is the one that is shown, where `…` is anything.
fn fits(shown: &str, line: &str) -> bool {
    match shown.split_once('…') {
        None => shown == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|line| {
            let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
            ends.into_iter().any(|at| fits(rest, &line[at..]))
        }),
    }
}
