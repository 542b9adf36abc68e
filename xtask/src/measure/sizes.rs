use std::path::Path;

use anyhow::{Context, Result};
use rayon::prelude::*;
use whittle_delta::compact::Class;
use whittle_release::build::MIN_SAVING_PERCENT;

use super::corpus::{self, Pair, Series, series_in, stem};
use super::peers_file::{self, PeerSizes};
use super::ratio::Geomean;
use super::{class, print_table};
use crate::shell;

pub(crate) fn run(corpus: &Path, classes: &[String]) -> Result<()> {
    let mut report = Report {
        classes: class::named(classes)?,
        peers: PeerSizes::of_corpus(corpus)?,
        ..Report::default()
    };
    for series in series_in(corpus)? {
        eprintln!("measuring {} …", series.name);
        report.measure(&series).with_context(|| format!("cannot measure `{}`", series.name))?;
    }
    report.print();
    Ok(())
}

/// What one way to encode takes, against others.
#[derive(Clone, Copy, Default)]
struct Ratios {
    over_bsdiff: Geomean,
    over_best_peer: Geomean,
}

impl Ratios {
    fn add(&mut self, bytes: u64, bsdiff: u64, best: Option<u64>) {
        self.over_bsdiff.add(bytes, bsdiff);
        if let Some(best) = best {
            self.over_best_peer.add(bytes, best);
        }
    }
}

#[derive(Default)]
struct Report {
    /// Classes that are measured on top of what a release chooses by itself.
    classes: Vec<Class>,
    peers: Option<PeerSizes>,
    rows: Vec<Vec<String>>,
    full_rows: Vec<Vec<String>>,
    series_rows: Vec<Vec<String>>,
    /// Pairs of which the file of peers' sizes knows nothing.
    unknown: Vec<String>,
    /// Of whole releases, then of each class.
    ours: Ratios,
    by_class: Vec<Ratios>,
    full_over_xz: Geomean,
    full_by_class: Vec<Geomean>,
}

impl Report {
    fn measure(&mut self, series: &Series) -> Result<()> {
        self.by_class.resize(self.classes.len(), Ratios::default());
        self.full_by_class.resize(self.classes.len(), Geomean::default());
        let ours = corpus::release(series)?;
        let xz = shell::output("xz", &["-9e", "--stdout", &series.target().to_string_lossy()])?;
        let xz = xz.len() as u64;
        let full_by_class = self.by_class(None, series.target())?;
        let mut of_series = Ratios::default();
        for (pair, download) in series.pairs().zip(&ours.downloads) {
            let deltas = self.by_class(Some(pair.base), pair.target)?;
            let by_class: Vec<u64> = deltas
                .into_iter()
                .zip(&full_by_class)
                .map(|(delta, full)| if pays(delta, *full) { delta } else { *full })
                .collect();
            let bsdiff = bsdiff_bytes(&pair)?;
            let best = self.peers.as_ref().and_then(|peers| peers.best(&pair));
            if best.is_none() && self.peers.is_some() {
                self.unknown.push(pair.key());
            }
            for ratios in [&mut self.ours, &mut of_series] {
                ratios.add(download.bytes, bsdiff, best);
            }
            for (ratios, bytes) in self.by_class.iter_mut().zip(&by_class) {
                ratios.add(*bytes, bsdiff, best);
            }
            let mut row = vec![series.name.clone(), stem(pair.base), stem(pair.target)];
            row.extend([download.bytes.to_string(), download.kind.to_owned(), bsdiff.to_string()]);
            row.extend([ours.full, xz].map(|bytes| bytes.to_string()));
            row.push(quotient(download.bytes, Some(bsdiff)));
            if self.peers.is_some() {
                row.push(best.map_or("-".to_owned(), |best| best.to_string()));
                row.push(quotient(download.bytes, best));
            }
            row.extend(by_class.iter().map(u64::to_string));
            self.rows.push(row);
        }
        self.full_over_xz.add(ours.full, xz);
        for (mean, bytes) in self.full_by_class.iter_mut().zip(&full_by_class) {
            mean.add(*bytes, xz);
        }
        let mut row = vec![series.name.clone(), stem(series.target())];
        row.extend([ours.full, xz].iter().chain(&full_by_class).map(u64::to_string));
        self.full_rows.push(row);
        let mut row = vec![series.name.clone(), of_series.over_bsdiff.to_string()];
        row.extend(self.peers.as_ref().map(|_| of_series.over_best_peer.to_string()));
        self.series_rows.push(row);
        Ok(())
    }

    fn by_class(&self, base: Option<&Path>, target: &Path) -> Result<Vec<u64>> {
        let bytes = |class: &Class| class::package_bytes(base, target, *class);
        self.classes.par_iter().map(bytes).collect()
    }

    fn print(&self) {
        let names: Vec<String> = self.classes.iter().map(|class| class::name(*class)).collect();
        let print = |header: &[&str], more: &[String], rows: &[Vec<String>]| {
            let header = header.iter().map(|cell| (*cell).to_owned()).chain(more.iter().cloned());
            print_table(&[&[header.collect()], rows].concat());
        };
        let mut header = vec![
            "series",
            "base",
            "target",
            "ours",
            "kind",
            "bsdiff",
            "full",
            "xz -9e",
            "ours/bsdiff",
        ];
        let mut series_header = vec!["series", "ours/bsdiff"];
        if self.peers.is_some() {
            header.extend(["best peer", "ours/best"]);
            series_header.push("ours/best peer");
        }
        print(&header, &names, &self.rows);
        println!("\nGeometric means by series:\n");
        print(&series_header, &[], &self.series_rows);
        if !names.is_empty() {
            println!("\nFull images:\n");
            print(&["series", "target", "ours", "xz -9e"], &names, &self.full_rows);
        }
        for pair in &self.unknown {
            println!("\"-\": `{}` says nothing of {pair}", peers_file::NAME);
        }
        println!("{}", self.figures(&names).join(" "));
    }

    fn figures(&self, names: &[String]) -> Vec<String> {
        let mut figures = vec![
            format!("pairs={}", self.ours.over_bsdiff.count()),
            format!("geomean_ours_over_bsdiff={}", self.ours.over_bsdiff),
            format!("geomean_full_ours_over_xz={}", self.full_over_xz),
        ];
        if self.peers.is_some() {
            figures.push(format!("pairs_with_peers={}", self.ours.over_best_peer.count()));
            figures.push(format!("geomean_ours_over_best_peer={}", self.ours.over_best_peer));
        }
        for ((name, ratios), full) in names.iter().zip(&self.by_class).zip(&self.full_by_class) {
            figures.push(format!("geomean_{name}_over_bsdiff={}", ratios.over_bsdiff));
            if self.peers.is_some() {
                figures.push(format!("geomean_{name}_over_best_peer={}", ratios.over_best_peer));
            }
            figures.push(format!("geomean_full_{name}_over_xz={full}"));
        }
        figures
    }
}

/// Whether a release would hold this delta.
fn pays(delta: u64, full: u64) -> bool {
    delta * 100 <= full * (100 - MIN_SAVING_PERCENT)
}

fn quotient(ours: u64, theirs: Option<u64>) -> String {
    theirs.map_or("-".to_owned(), |theirs| format!("{:.3}", ours as f64 / theirs as f64))
}

fn bsdiff_bytes(pair: &Pair<'_>) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let patch = directory.path().join("patch.bsdiff");
    let paths = [pair.base, pair.target, &patch].map(Path::to_string_lossy);
    shell::output("bsdiff", &paths.each_ref().map(AsRef::as_ref))?;
    Ok(std::fs::metadata(&patch)?.len())
}
