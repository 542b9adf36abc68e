use std::path::Path;

use anyhow::Result;

use super::corpus::{self, Pair, series_in, stem};
use super::ratio::Geomean;
use super::{print_table, row};
use crate::shell;

pub(crate) fn run(corpus: &Path) -> Result<()> {
    let mut rows = vec![row([
        &"series",
        &"base",
        &"target",
        &"ours",
        &"kind",
        &"bsdiff",
        &"full",
        &"xz -9e",
        &"ours/bsdiff",
    ])];
    let mut against_bsdiff = Geomean::default();
    for series in series_in(corpus)? {
        let sizes = corpus::release(&series)?;
        let xz = shell::output("xz", &["-9e", "--stdout", &series.target().to_string_lossy()])?;
        for (pair, ours) in series.pairs().zip(&sizes.downloads) {
            let bsdiff = bsdiff_len(&pair)?;
            against_bsdiff.add(ours.bytes, bsdiff);
            rows.push(row([
                &series.name,
                &stem(pair.base),
                &stem(pair.target),
                &ours.bytes,
                &ours.kind,
                &bsdiff,
                &sizes.full,
                &xz.len(),
                &format!("{:.3}", ours.bytes as f64 / bsdiff as f64),
            ]));
        }
    }
    print_table(&rows);
    println!("pairs={} geomean_ours_over_bsdiff={against_bsdiff}", against_bsdiff.count());
    Ok(())
}

fn bsdiff_len(pair: &Pair<'_>) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let patch = directory.path().join("patch.bsdiff");
    let paths = [pair.base, pair.target, &patch].map(Path::to_string_lossy);
    shell::output("bsdiff", &paths.each_ref().map(AsRef::as_ref))?;
    Ok(std::fs::metadata(&patch)?.len())
}
