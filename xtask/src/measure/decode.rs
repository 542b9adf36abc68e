//! Instructions and stack of decoding with `compact`, counted inside emulated microcontrollers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use whittle_delta::compact::{Class, Options};

use super::corpus::{Pair, Series, series_in, stem};
use super::ratio::Geomean;
use super::{class, firmware, print_table, row};
use crate::shell;

/// A machine of QEMU's and the target of its firmware.
struct Board {
    name: &'static str,
    qemu: &'static str,
    machine: &'static [&'static str],
    target: &'static str,
    inputs: u64,
}

const BOARDS: [Board; 2] = [
    Board {
        name: "cortex_m4",
        qemu: "qemu-system-arm",
        machine: &["-machine", "mps2-an386"],
        target: "thumbv7em-none-eabi",
        inputs: 0x2100_0000,
    },
    Board {
        name: "rv32",
        qemu: "qemu-system-riscv32",
        machine: &["-machine", "virt", "-bios", "none"],
        target: "riscv32imc-unknown-none-elf",
        inputs: 0x8100_0000,
    },
];

/// Where the firmware expects its inputs, from the parameter block on, and how long they may be.
const BASE: (u64, usize) = (0x1_0000, 0x5f_0000);
const PAYLOAD: (u64, usize) = (0x60_0000, 0x40_0000);
const TARGET: (u64, usize) = (0xa0_0000, 0x60_0000);

/// Instructions of the loop that the firmware counts to show that it can.
const LOOP: u64 = 2_000_000;
/// How far off the counting may be, besides its resolution: the calls around the loop.
const LOOP_SLACK: u64 = 200;

pub(crate) fn run(corpus: Option<&Path>, wanted: &[String]) -> Result<()> {
    let mut series = series_in(&shell::root().join("fixtures"))?;
    if let Some(corpus) = corpus {
        let found = series_in(corpus)?;
        series.extend(found.into_iter().filter(|s| wanted.is_empty() || wanted.contains(&s.name)));
    }
    let directory = tempfile::tempdir()?;
    let mut rows = vec![row([
        &"board",
        &"series",
        &"class",
        &"artifact",
        &"target",
        &"payload",
        &"instructions",
        &"per byte",
        &"stack",
    ])];
    let (mut figures, mut skipped) = (Vec::new(), Vec::new());
    for board in &BOARDS {
        let elfs = firmware::build("decode-bench", board.target, "semihosting")?;
        let bench = Bench { board, elf: elfs.join("decode-bench"), directory: directory.path() };
        for class in class::of_microcontrollers() {
            let mut summary = Summary::default();
            for series in &series {
                if !fits(series)? {
                    skipped.push(format!(
                        "{}, {}: larger than the machine's memory",
                        board.name, series.name
                    ));
                    continue;
                }
                measure(&bench, series, class, &mut summary, &mut rows)?;
            }
            figures.push(summary.named(&format!("{}_{}", board.name, class::name(class))));
        }
    }
    print_table(&rows);
    skipped.dedup();
    for line in skipped {
        println!("\"-\": {line}");
    }
    println!("{}", figures.join(" "));
    Ok(())
}

/// What a class takes on a board.
#[derive(Default)]
struct Summary {
    delta: Geomean,
    full: Geomean,
    stack_bytes: u64,
    loop_error: u64,
}

impl Summary {
    fn named(&self, name: &str) -> String {
        format!(
            "{name}_delta_instructions_per_byte={} {name}_full_instructions_per_byte={} {name}_stack_bytes={} \
             {name}_loop_error={}",
            rounded(self.delta),
            rounded(self.full),
            self.stack_bytes,
            self.loop_error
        )
    }
}

fn rounded(mean: Geomean) -> String {
    mean.value().map_or("-".to_owned(), |value| format!("{value:.1}"))
}

fn fits(series: &Series) -> Result<bool> {
    let Pair { base, target, .. } = series.last_pair();
    let len =
        |path: &Path| Ok::<_, anyhow::Error>(usize::try_from(std::fs::metadata(path)?.len())?);
    Ok(len(base)? <= BASE.1 && len(target)? <= TARGET.1)
}

fn measure(
    bench: &Bench<'_>,
    series: &Series,
    class: Class,
    summary: &mut Summary,
    rows: &mut Vec<Vec<String>>,
) -> Result<()> {
    let pair = series.last_pair();
    let (base, target) = (std::fs::read(pair.base)?, std::fs::read(pair.target)?);
    for (artifact, base) in [("delta", Some(&base)), ("full", None)] {
        let base = base.map(Vec::as_slice);
        let payload = class::encode(base, &target, Options::of_class(class))?.payload;
        let counted =
            bench.run(base.unwrap_or_default(), &payload, &target).with_context(|| {
                format!("{}, {}, {class:?}, {artifact}", bench.board.name, series.name)
            })?;
        let mean = if base.is_some() { &mut summary.delta } else { &mut summary.full };
        mean.add(counted.instructions, target.len() as u64);
        summary.stack_bytes = summary.stack_bytes.max(counted.stack_bytes);
        summary.loop_error = summary.loop_error.max(counted.loop_error);
        rows.push(row([
            &bench.board.name,
            &series.name,
            &class::name(class),
            &artifact,
            &format!("{} ({} bytes)", stem(pair.target), target.len()),
            &payload.len(),
            &counted.instructions,
            &format!("{:.1}", counted.instructions as f64 / target.len() as f64),
            &counted.stack_bytes,
        ]));
    }
    Ok(())
}

struct Bench<'a> {
    board: &'a Board,
    elf: PathBuf,
    directory: &'a Path,
}

/// What the firmware says.
#[derive(Debug, PartialEq)]
struct Counted {
    instructions: u64,
    stack_bytes: u64,
    /// By how much the loop of known length was miscounted.
    loop_error: u64,
}

impl Bench<'_> {
    fn run(&self, base: &[u8], payload: &[u8], target: &[u8]) -> Result<Counted> {
        ensure!(payload.len() <= PAYLOAD.1, "the payload is larger than the machine's memory");
        let mut parameters = Vec::new();
        for len in [base.len(), target.len(), payload.len()] {
            parameters.extend(u32::try_from(len)?.to_le_bytes());
        }
        let mut qemu = Command::new(self.board.qemu);
        qemu.args(self.board.machine).current_dir(self.directory).args([
            "-nographic",
            "-icount",
            "shift=0",
            "-semihosting-config",
            "enable=on,target=native",
        ]);
        let inputs = [
            ("parameters", &parameters[..], 0),
            ("base", base, BASE.0),
            ("payload", payload, PAYLOAD.0),
        ];
        for (name, bytes, offset) in inputs {
            std::fs::write(self.directory.join(name), bytes)?;
            if !bytes.is_empty() {
                let address = self.board.inputs + offset;
                qemu.args([
                    "-device",
                    &format!("loader,file={name},addr={address:#x},force-raw=on"),
                ]);
            }
        }
        let decoded = self.directory.join("decoded.bin");
        let _ = std::fs::remove_file(&decoded);
        let output = qemu.arg("-kernel").arg(&self.elf).output();
        let output = output.with_context(|| format!("cannot run `{}`", self.board.qemu))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the firmware says: {text}");
        ensure!(std::fs::read(&decoded)? == target, "the firmware decodes another image");
        parse(&text)
    }
}

/// Reads the firmware's figures, if its counter can be trusted.
fn parse(text: &str) -> Result<Counted> {
    let figure = |name: &str| {
        let found =
            text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let found = found.with_context(|| format!("no figure `{name}` in: {text}"))?;
        found.parse::<u64>().with_context(|| format!("`{name}={found}` is no number"))
    };
    let loop_error = figure("loop")?.abs_diff(LOOP);
    let slack = LOOP_SLACK + figure("resolution")?;
    ensure!(loop_error <= slack, "a loop of {LOOP} instructions is miscounted by {loop_error}");
    let (instructions, stack_bytes) = (figure("instructions")?, figure("stack_bytes")?);
    Ok(Counted { instructions, stack_bytes, loop_error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_if_the_loop_is_counted_right() {
        let text = "loop=2000040 resolution=40\ninstructions=7 stack_bytes=8\n";
        let counted = Counted { instructions: 7, stack_bytes: 8, loop_error: 40 };
        assert_eq!(parse(text).unwrap(), counted);
        assert!(parse(&text.replace("2000040", "2001000")).is_err());
        assert!(parse("loop=2000000 resolution=1").is_err());
    }
}
