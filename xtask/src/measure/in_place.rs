//! What it takes to make a target in the room of its base, against an ordinary delta.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use whittle_delta::compact::{self, Class, CompactDecoder, LargestTables, Options};
use whittle_delta::{Decoder, Images, InMemory, InPlace, Sizes, emit_seats};

use super::corpus::{Series, series_in, stem};
use super::ratio::Geomean;
use super::{class, print_table};

/// Bytes of a sector.
const SECTOR_BYTES: u32 = 4096;

/// Sectors to spare.
const SPARE_SECTORS: [u32; 4] = [1, 2, 4, 8];

pub(crate) fn run(corpus: &Path, class: &str, only: &[String]) -> Result<()> {
    let classes = class::named(&[class.to_owned()])?;
    let class = *classes.first().context("no class")?;
    let mut report = Report::default();
    for series in series_in(corpus)? {
        if only.is_empty() || only.contains(&series.name) {
            eprintln!("measuring {} …", series.name);
            report
                .measure(&series, class)
                .with_context(|| format!("cannot measure `{}`", series.name))?;
        }
    }
    report.print();
    Ok(())
}

/// Ratios of deltas in place to ordinary ones, by what is spare.
type Penalties = [Geomean; SPARE_SECTORS.len()];

#[derive(Default)]
struct Report {
    rows: Vec<Vec<String>>,
    by_group: BTreeMap<String, Penalties>,
}

impl Report {
    fn measure(&mut self, series: &Series, class: Class) -> Result<()> {
        for pair in series.pairs() {
            let (base, target) = (std::fs::read(pair.base)?, std::fs::read(pair.target)?);
            let options = Options::of_class(class);
            let ordinary = compact::encode(Some(&base), &target, options)?;
            let group = ordinary.instruction_set.map_or("none", |set| set.name());
            let bytes = ordinary.payload.len() as u64;
            let mut row = [&series.name, group, &stem(pair.base), &stem(pair.target)]
                .map(str::to_owned)
                .to_vec();
            row.extend([base.len(), target.len(), ordinary.payload.len()].map(|n| n.to_string()));
            for (index, spare) in SPARE_SECTORS.into_iter().enumerate() {
                let in_place = in_place_bytes(&base, &target, options, spare)?;
                for group in [group, "all"] {
                    let means = self.by_group.entry(group.to_owned()).or_default();
                    means[index].add(in_place, bytes);
                }
                row.push(in_place.to_string());
                row.push(format!("{:.3}", in_place as f64 / bytes as f64));
            }
            self.rows.push(row);
        }
        Ok(())
    }

    fn print(&self) {
        let text = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let mut header =
            text(&["series", "group", "base", "target", "base bytes", "target bytes", "delta"]);
        header.extend(SPARE_SECTORS.iter().flat_map(|n| [format!("{n} spare"), "x".to_owned()]));
        print_table(&[&[header], &self.rows[..]].concat());
        println!("\nGeometric means of deltas in place to ordinary ones:\n");
        let mut rows = vec![text(&["group", "pairs"])];
        rows[0].extend(SPARE_SECTORS.map(|n| format!("{n} spare")));
        for (group, means) in &self.by_group {
            let mut row = vec![group.clone(), means[0].count().to_string()];
            row.extend(means.iter().map(Geomean::to_string));
            rows.push(row);
        }
        print_table(&rows);
        let figures = self.by_group.iter().flat_map(|(group, means)| {
            let named = SPARE_SECTORS.iter().zip(means);
            named.map(move |(spare, mean)| {
                format!("in_place_{spare}_spare_over_delta_{group}={mean}")
            })
        });
        println!("{}", figures.collect::<Vec<_>>().join(" "));
    }
}

/// Bytes of the delta in place and of how the base is rearranged; decodes again from a base whose sectors go one after the
/// other.
fn in_place_bytes(base: &[u8], target: &[u8], options: Options, spare: u32) -> Result<u64> {
    let len = |bytes: &[u8]| u32::try_from(bytes.len());
    let sizes = Sizes { base: len(base)?, target: len(target)?, payload: 0 };
    let room = sizes.base.max(sizes.target).div_ceil(SECTOR_BYTES) + spare;
    let seats = compact::rearrange(base, target, options, SECTOR_BYTES, room)?;
    let seats = seats.context("no room")?;
    let in_place = InPlace::new(SECTOR_BYTES, &seats).context("no such sectors")?;
    let encoded = compact::encode_in_place(base, target, options, in_place)?;
    let mut images = Going { images: InMemory::new(base), in_place };
    let mut tables = Box::new(LargestTables::NEW);
    let mut decoder = CompactDecoder::in_place(sizes, tables.lend(), in_place);
    let wrong = |error| anyhow!("decoding fails: {error:?}");
    let _ = decoder.push(&mut &encoded.payload[..], &mut images).map_err(wrong)?;
    let _ = decoder.finish(&mut images).map_err(wrong)?;
    ensure!(images.images.target == target, "decoding gives another image");
    Ok((encoded.payload.len() + emit_seats(&seats).len()) as u64)
}

/// A base of which more and more cannot be read.
struct Going<'a> {
    images: InMemory<'a>,
    in_place: InPlace<'a>,
}

/// Bytes were asked for that are gone.
#[derive(Debug)]
struct Gone;

fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
    }
}

impl Images for Going<'_> {
    type Error = Gone;

    fn read_base(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Gone> {
        let written = u32::try_from(self.images.target.len()).map_err(|_| Gone)?;
        let end = offset.saturating_add(u32::try_from(into.len()).map_err(|_| Gone)?);
        if (offset..end).any(|offset| self.in_place.is_gone(offset, written)) {
            return Err(Gone);
        }
        infallible(self.images.read_base(offset, into));
        Ok(())
    }

    fn read_target(&mut self, offset: u32, into: &mut [u8]) -> Result<(), Gone> {
        infallible(self.images.read_target(offset, into));
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        infallible(self.images.append(bytes));
        Ok(())
    }
}
