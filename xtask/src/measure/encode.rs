//! Time and memory of encoding with `compact`, each in a process of its own so that nothing else is counted.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use whittle_delta::compact::{self, Options};
use whittle_release::DeviceProfile;

use super::corpus::{Pair, series_in, stem};
use super::ratio::Geomean;
use super::{class, print_table, row};
use crate::shell;

/// A megabyte, as sizes of images are given.
const MB: f64 = 1e6;

pub(crate) fn run(corpus: &Path) -> Result<()> {
    let mut rows = vec![row([
        &"series",
        &"base",
        &"target",
        &"MB",
        &"effort",
        &"payload",
        &"user s",
        &"s/MB",
        &"peak MB",
        &"peak MB/MB",
    ])];
    let mut default_effort = Figures::default();
    let mut by_effort = class::EFFORTS.map(|_| Figures::default());
    for series in series_in(corpus)? {
        let pair = series.last_pair();
        let bytes = |path: &Path| Ok::<_, anyhow::Error>(std::fs::metadata(path)?.len());
        let mb = (bytes(pair.base)? + bytes(pair.target)?) as f64 / MB;
        for ((name, effort), figures) in class::EFFORTS.iter().zip(&mut by_effort) {
            eprintln!("encoding {} with effort {name} …", series.name);
            let cost = in_a_child(&pair, name)?;
            let is_default = Options::default().effort == *effort;
            figures.add(&cost, mb);
            if is_default {
                default_effort.add(&cost, mb);
            }
            rows.push(row([
                &series.name,
                &stem(pair.base),
                &stem(pair.target),
                &format!("{mb:.2}"),
                &if is_default { format!("{name} (default)") } else { (*name).to_owned() },
                &cost.payload,
                &or_dash(cost.user_s),
                &or_dash(cost.user_s.map(|seconds| seconds / mb)),
                &or_dash(cost.peak_bytes.map(|bytes| bytes / MB)),
                &or_dash(cost.peak_bytes.map(|bytes| bytes / MB / mb)),
            ]));
        }
    }
    print_table(&rows);
    if cfg!(not(target_os = "linux")) {
        println!(
            "\"-\": time and memory of a process are read from /proc, which this system does not have"
        );
    }
    let efforts = class::EFFORTS.iter().map(|(name, _)| *name).zip(&by_effort);
    let figures = efforts.map(|(name, figures)| figures.named(&format!("encode_{name}")));
    let figures: Vec<String> =
        [default_effort.named("encode")].into_iter().chain(figures).collect();
    println!("{}", figures.join(" "));
    Ok(())
}

/// What one encoding takes.
#[derive(Debug, PartialEq)]
struct Cost {
    payload: u64,
    /// Of the whole process; none where that is not known.
    user_s: Option<f64>,
    peak_bytes: Option<f64>,
}

#[derive(Default)]
struct Figures {
    s_per_mb: Geomean,
    mb_per_mb: Geomean,
    peak_mb: f64,
}

impl Figures {
    fn add(&mut self, cost: &Cost, mb: f64) {
        if let (Some(user_s), Some(peak_bytes)) = (cost.user_s, cost.peak_bytes) {
            self.s_per_mb.add_ratio(user_s / mb);
            self.mb_per_mb.add_ratio(peak_bytes / MB / mb);
            self.peak_mb = self.peak_mb.max(peak_bytes / MB);
        }
    }

    fn named(&self, name: &str) -> String {
        format!(
            "{name}_user_s_per_mb={} {name}_peak_mb_per_mb={} {name}_peak_mb={:.1}",
            self.s_per_mb, self.mb_per_mb, self.peak_mb
        )
    }
}

fn in_a_child(pair: &Pair<'_>, effort: &str) -> Result<Cost> {
    let own = std::env::current_exe()?;
    let paths = [&own, pair.base, pair.target].map(Path::to_string_lossy);
    let [own, base, target] = paths.each_ref().map(AsRef::as_ref);
    let text = shell::output(own, &["measure", "encode-once", base, target, effort])?;
    parse(&String::from_utf8_lossy(&text))
}

/// What the child does: encodes once, in this thread, and prints what it took.
pub(crate) fn once(base: &Path, target: &Path, effort: &str) -> Result<()> {
    let known = class::EFFORTS.into_iter().find(|(name, _)| *name == effort);
    let (_, effort) = known.with_context(|| format!("no effort `{effort}`"))?;
    let decoder_ram_bytes = DeviceProfile::default().decoder_ram_bytes;
    let options = Options { decoder_ram_bytes, effort, ..Options::default() };
    let (base, target) = (std::fs::read(base)?, std::fs::read(target)?);
    let payload = compact::encode(Some(&base), &target, options)?.payload.len();
    let proc_file = |name: &str| std::fs::read_to_string(Path::new("/proc/self").join(name)).ok();
    let user_s = proc_file("stat").and_then(|stat| user_s(&stat));
    let peak_bytes = proc_file("status").and_then(|status| peak_bytes(&status));
    println!("{payload} {} {}", or_dash(user_s), or_dash(peak_bytes));
    Ok(())
}

fn parse(text: &str) -> Result<Cost> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    ensure!(fields.len() == 3, "the child says `{text}`");
    Ok(Cost {
        payload: fields[0].parse()?,
        user_s: fields[1].parse().ok(),
        peak_bytes: fields[2].parse().ok(),
    })
}

/// From `/proc/self/stat`: the program's name in brackets, then fields of which the twelfth is the user time, in ticks of
/// 10 ms on every Linux that whittle is built on.
fn user_s(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks: f64 = after_name.split_whitespace().nth(11)?.parse().ok()?;
    Some(ticks / 100.0)
}

/// From `/proc/self/status`: the most memory that this process has had; the maximum that `getrusage` knows includes what
/// its parent had.
fn peak_bytes(status: &str) -> Option<f64> {
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn or_dash(number: Option<f64>) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "42 (a ) b) R 1 2 3 4 5 6 7 8 9 10 250 7 0 0 20";
        assert_eq!(user_s(stat), Some(2.5));
        assert_eq!(user_s("42"), None);
    }

    #[test]
    fn the_peak_is_told_in_bytes() {
        assert_eq!(peak_bytes("VmPeak:\t 99 kB\nVmHWM:\t     2 kB\n"), Some(2048.0));
        assert_eq!(peak_bytes("VmPeak:\t 99 kB\n"), None);
    }

    #[test]
    fn a_child_without_figures_is_understood() {
        let cost = Cost { payload: 7, user_s: None, peak_bytes: Some(4096.0) };
        assert_eq!(parse("7 - 4096.00\n").unwrap(), cost);
        assert!(parse("7").is_err());
    }
}
