//! whittle beside the programs that people use for the same, each run here and now.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::corpus::{self, Pair, Series, series_in, stem};
use super::peers_file::PeerSizes;
use super::print_table;
use super::ratio::Geomean;
use crate::{setup, shell};

/// A way to call another program.
struct Peer {
    name: &'static str,
    program: &'static str,
    /// Separated by spaces. `{base}`, `{target}` and `{out}` stand for files, `{script}` for [`PYTHON`].
    args: &'static str,
}

const fn peer(name: &'static str, program: &'static str, args: &'static str) -> Peer {
    Peer { name, program, args }
}

/// Programs that make deltas, at the settings that make them smallest.
const DELTAS: [Peer; 13] = [
    peer("bsdiff", "bsdiff", "{base} {target} {out}"),
    // Without names and checksum, and one window for the whole image.
    peer(
        "xdelta3",
        "xdelta3",
        "-e -f -A -n -9 -S none -B 67108864 -W 16777216 -s {base} {target} {out}",
    ),
    peer(
        "xdelta3-lzma",
        "xdelta3",
        "-e -f -A -n -9 -S lzma -B 67108864 -W 16777216 -s {base} {target} {out}",
    ),
    peer(
        "zstd",
        "zstd",
        "-q -f --single-thread -22 --ultra --long=27 --patch-from={base} {target} -o {out}",
    ),
    peer("detools-lzma", "detools", "create_patch -c lzma {base} {target} {out}"),
    peer("detools-heatshrink", "detools", "create_patch -c heatshrink {base} {target} {out}"),
    peer(
        "detools-hdiff",
        "detools",
        "create_patch -c lzma -t hdiffpatch -a hdiffpatch {base} {target} {out}",
    ),
    peer(
        "detools-m4",
        "detools",
        "create_patch -c lzma --data-format arm-cortex-m4 {base} {target} {out}",
    ),
    peer(
        "detools-xtensa",
        "detools",
        "create_patch -c lzma --data-format xtensa-lx106 {base} {target} {out}",
    ),
    peer(
        "detools-aarch64",
        "detools",
        "create_patch -c lzma --data-format aarch64 {base} {target} {out}",
    ),
    peer("hdiff-lzma", "python", "-c {script} hdiff-lzma {base} {target} {out}"),
    peer("hdiff-lite-lzma", "python", "-c {script} hdiff-lite-lzma {base} {target} {out}"),
    peer("hdiff-lite-tuz", "python", "-c {script} hdiff-lite-tuz {base} {target} {out}"),
];

/// Programs that compress an image alone; the latter three decode in the RAM of a microcontroller.
const FULLS: [Peer; 6] = [
    peer("xz", "xz", "-9e --stdout {target}"),
    peer("xz-thumb", "xz", "--armthumb --lzma2=preset=9e --stdout {target}"),
    peer("zstd-22", "zstd", "-q -f --single-thread -22 --ultra --long=27 --stdout {target}"),
    peer("zstd-19-w14", "zstd", "-q -f --single-thread -19 --zstd=wlog=14 --stdout {target}"),
    peer("heatshrink-w11", "python", "-c {script} heatshrink-11-4 {target} {target} {out}"),
    peer("heatshrink-w8", "python", "-c {script} heatshrink-8-4 {target} {target} {out}"),
];

/// For the packages that are libraries only.
const PYTHON: &str = include_str!("peers.py");

pub(crate) fn run(corpus: &Path, json: Option<&Path>) -> Result<()> {
    let series = series_in(corpus)?;
    let bench = Bench { programs: setup::peers()?, directory: tempfile::tempdir()? };
    let mut report = Report::default();
    for series in &series {
        eprintln!("measuring {} …", series.name);
        report
            .measure(series, &bench)
            .with_context(|| format!("cannot measure `{}`", series.name))?;
    }
    report.print();
    if let Some(path) = json {
        std::fs::write(path, report.file.to_json()?)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

/// Where peers run.
struct Bench {
    /// Holds the programs from PyPI.
    programs: PathBuf,
    directory: tempfile::TempDir,
}

impl Bench {
    /// The size of what a peer makes of a pair, or why it makes nothing.
    fn run(&self, peer: &Peer, base: &Path, target: &Path) -> Result<u64, String> {
        let out = self.directory.path().join("out");
        let _ = std::fs::remove_file(&out);
        let own = self.programs.join(peer.program);
        let program = if own.is_file() { own } else { PathBuf::from(peer.program) };
        let fill = |arg: &str| {
            arg.replace("{base}", &base.to_string_lossy())
                .replace("{target}", &target.to_string_lossy())
                .replace("{out}", &out.to_string_lossy())
                .replace("{script}", PYTHON)
        };
        let output = Command::new(program)
            .args(peer.args.split(' ').map(fill))
            .current_dir(shell::root())
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout);
            let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            return Err(format!("{}: {}", output.status, last.trim()));
        }
        if peer.args.contains("{out}") {
            return std::fs::metadata(&out)
                .map(|file| file.len())
                .map_err(|error| error.to_string());
        }
        Ok(output.stdout.len() as u64)
    }
}

/// One line of a table: what each peer and whittle take.
struct Line {
    /// Series, and the versions.
    what: [String; 3],
    peers: Vec<Option<u64>>,
    ours: u64,
}

impl Line {
    fn best(&self) -> Option<u64> {
        self.peers.iter().copied().flatten().min()
    }
}

#[derive(Default)]
struct Report {
    deltas: Vec<Line>,
    fulls: Vec<Line>,
    failures: Vec<String>,
    file: PeerSizes,
}

impl Report {
    fn measure(&mut self, series: &Series, bench: &Bench) -> Result<()> {
        let ours = corpus::release(series)?;
        let fulls = self.run_all(&FULLS, series.last_pair(), bench);
        let what = [series.name.clone(), "-".to_owned(), stem(series.target())];
        self.fulls.push(Line { what, peers: fulls, ours: ours.full });
        for (pair, download) in series.pairs().zip(&ours.downloads) {
            let peers = self.run_all(&DELTAS, pair, bench);
            let what = [series.name.clone(), stem(pair.base), stem(pair.target)];
            let line = Line { what, peers, ours: download.bytes };
            if let Some(best) = line.best() {
                let names = DELTAS.iter().map(|peer| peer.name);
                self.file.add(&pair, best, names.zip(line.peers.iter().copied()));
            }
            self.deltas.push(line);
        }
        Ok(())
    }

    fn run_all(&mut self, peers: &[Peer], pair: Pair<'_>, bench: &Bench) -> Vec<Option<u64>> {
        let mut run = |peer: &Peer| {
            let outcome = bench.run(peer, pair.base, pair.target);
            outcome
                .map_err(|why| self.failures.push(format!("{}, {}: {why}", peer.name, pair.key())))
                .ok()
        };
        peers.iter().map(&mut run).collect()
    }

    fn print(&self) {
        println!("Deltas, in bytes of the file that a device fetches:\n");
        print_lines(&DELTAS, &self.deltas);
        println!("\nFull images, in bytes:\n");
        print_lines(&FULLS, &self.fulls);
        println!("\nGeometric means of ours / best peer, by series:\n");
        let names = self.fulls.iter().map(|line| &line.what[0]);
        let by_series = names.map(|name| {
            let of_series = self.deltas.iter().filter(|line| line.what[0] == *name);
            vec![name.clone(), over_best(of_series).to_string()]
        });
        print_table(&by_series.collect::<Vec<_>>());
        for failure in &self.failures {
            println!("\"-\": {failure}");
        }
        let mut figures = vec![
            format!("pairs={}", self.deltas.len()),
            format!("failed_runs={}", self.failures.len()),
            format!("geomean_ours_over_best_peer={}", over_best(&self.deltas)),
            format!("geomean_full_ours_over_best_peer={}", over_best(&self.fulls)),
        ];
        for (kind, peers, lines) in
            [("", &DELTAS[..], &self.deltas), ("full_", &FULLS, &self.fulls)]
        {
            for (column, peer) in peers.iter().enumerate() {
                let name = peer.name.replace('-', "_");
                figures.push(format!("geomean_{kind}ours_over_{name}={}", over(lines, column)));
            }
        }
        println!("{}", figures.join(" "));
    }
}

fn over_best<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Geomean {
    let mut mean = Geomean::default();
    for line in lines {
        if let Some(best) = line.best() {
            mean.add(line.ours, best);
        }
    }
    mean
}

/// Over the pairs that the peer could take.
fn over(lines: &[Line], column: usize) -> Geomean {
    let mut mean = Geomean::default();
    for line in lines {
        if let Some(theirs) = line.peers.get(column).copied().flatten() {
            mean.add(line.ours, theirs);
        }
    }
    mean
}

fn print_lines(peers: &[Peer], lines: &[Line]) {
    let mut header = ["series", "base", "target"].map(str::to_owned).to_vec();
    header.extend(peers.iter().map(|peer| peer.name.to_owned()));
    header.extend(["best peer", "ours", "ours/best"].map(str::to_owned));
    let mut rows = vec![header];
    for line in lines {
        let mut row = line.what.to_vec();
        let number = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| bytes.to_string());
        row.extend(line.peers.iter().copied().map(number));
        let best = line.best();
        let name =
            peers.iter().zip(&line.peers).find(|(_, bytes)| bytes.is_some() && **bytes == best);
        row.push(name.map_or("-", |(peer, _)| peer.name).to_owned());
        row.push(line.ours.to_string());
        row.push(
            best.map_or("-".to_owned(), |best| format!("{:.3}", line.ours as f64 / best as f64)),
        );
        rows.push(row);
    }
    print_table(&rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(peers: &[Option<u64>], ours: u64) -> Line {
        Line { what: [const { String::new() }; 3], peers: peers.to_vec(), ours }
    }

    #[test]
    fn a_peer_that_could_not_run_counts_for_nothing() {
        let lines = [
            line(&[Some(100), None], 50),
            line(&[Some(400), Some(25)], 50),
            line(&[None, None], 50),
        ];
        assert_eq!(over_best(&lines).to_string(), "1.0000");
        assert_eq!(over(&lines, 0).to_string(), "0.2500");
        assert_eq!(over(&lines, 1).to_string(), "2.0000");
    }

    #[test]
    fn a_peer_that_fails_says_why() {
        let bench = Bench { programs: PathBuf::new(), directory: tempfile::tempdir().unwrap() };
        let [base, target] = [Path::new("/nowhere/base.bin"), Path::new("/nowhere/target.bin")];
        let why = bench.run(&peer("none", "no-such-program", "{base}"), base, target);
        assert!(why.unwrap_err().contains("No such file"));
        let why = bench.run(&peer("cargo", "cargo", "no-such-command"), base, target);
        assert!(why.unwrap_err().contains("no-such-command"));
    }
}
