//! Adds up what was spent: by kind, section, symbol and place.

use std::collections::HashMap;
use std::ops::Range;

use whittle_delta::compact::{self, ByteCost, Class, Effort, Explained, InstructionSet, Told};

use crate::advice;
use crate::content::{self, Content};
use crate::kind::Kind;
use crate::program::Program;
use crate::report::{
    Change, How, KindCost, RegionCost, Report, RunCost, SectionCost, StampCost, SymbolCost,
};
use crate::stamp::{self, Stamp};
use crate::{Error, Result};

/// What is explained.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// The image that devices run now.
    pub base: &'a [u8],
    /// The new image.
    pub target: &'a [u8],
    /// What the base is made of, if it is known.
    pub base_program: Option<&'a Program>,
    /// What the target is made of, if it is known.
    pub target_program: Option<&'a Program>,
}

/// How it is explained.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What the encoder may use.
    pub encoder: compact::Options,
    /// Symbols and stretches that are listed at most.
    pub top: usize,
}

impl Default for Options {
    /// The builder's own defaults, and the 20 largest symbols.
    fn default() -> Self {
        let encoder = compact::Options {
            decoder_ram_bytes: 16 << 20,
            effort: Effort::Thorough,
            ..compact::Options::default()
        };
        Self { encoder, top: 20 }
    }
}

/// Stretches of the target at most; their length is a power of two.
const MAX_REGIONS: usize = 1024;

/// Shortest stretch, in bytes.
const MIN_REGION_BYTES: usize = 4096;

/// Explains the delta between two images. `report` is told how far it is, of 1000.
///
/// # Errors
/// [`Error::Encode`].
pub fn explain(images: &Images<'_>, options: &Options, report: &dyn Fn(u32)) -> Result<Report> {
    let Images { base, target, .. } = *images;
    let half = |done: u32| report(done / 2);
    let explained = compact::encode_explained(Some(base), target, options.encoder, &half);
    let explained = without_debts(explained.map_err(Error::Encode)?);
    report(500);
    let account = Account::new(images, &explained);
    let advice = advice::all(&account, options)?;
    report(1000);
    Ok(account.report(options, advice))
}

/// The same with an end that costs something or nothing.
///
/// A payload has whole bytes without the zeros at its end, so that it may be shorter than what was told; nothing can be said to have
/// cost less than nothing for that, and a small payload would show it. All costs are scaled to what there is.
fn without_debts(mut explained: Explained) -> Explained {
    let all = explained.total_bits();
    let told = all - explained.end_bits;
    if explained.end_bits >= 0.0 || told <= 0.0 {
        return explained;
    }
    let scale = all / told;
    explained.end_bits = 0.0;
    explained.header_bits *= scale;
    explained.moves.iter_mut().for_each(|entry| entry.bits *= scale);
    for cost in &mut explained.bytes {
        cost.start_bits = scaled(cost.start_bits, scale);
        cost.byte_bits = scaled(cost.byte_bits, scale);
    }
    explained
}

#[allow(clippy::cast_possible_truncation, reason = "as precise as before")]
fn scaled(bits: f32, scale: f64) -> f32 {
    (f64::from(bits) * scale) as f32
}

/// A stretch of the target that has a symbol, or none.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) range: Range<usize>,
    /// The number of its symbol in the target's program, and that of the base's symbol of the same name.
    pub(crate) symbol: Option<usize>,
    pub(crate) counterpart: Option<usize>,
    pub(crate) change: Change,
}

/// Everything that is known of a delta.
pub(crate) struct Account<'a> {
    pub(crate) images: Images<'a>,
    pub(crate) explained: &'a Explained,
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) parts: Vec<Part>,
    /// What each byte's bits are spent on: those for a start, and its own.
    pub(crate) kinds: Vec<[Kind; 2]>,
}

impl<'a> Account<'a> {
    pub(crate) fn new(images: &Images<'a>, explained: &'a Explained) -> Self {
        let target = images.target;
        let stamps = stamp::find(target);
        let program = images.target_program;
        let contents = content::of_target(target, explained, program, &stamps);
        let parts = parts(images, &explained.bytes, &contents);
        let mut account = Self { images: *images, explained, stamps, parts, kinds: Vec::new() };
        account.kinds = account.classify(&contents);
        account
    }

    fn classify(&self, contents: &[Content]) -> Vec<[Kind; 2]> {
        let mut kinds = Vec::with_capacity(contents.len());
        for part in &self.parts {
            let judged = match (part.symbol, part.change) {
                (None, _) => None,
                (Some(_), Change::Same) => Some(Kind::Unchanged),
                (Some(number), change) => {
                    let symbols = self.images.target_program.map(|program| &program.symbols);
                    let is_code = symbols
                        .and_then(|all| all.get(number))
                        .is_some_and(|symbol| symbol.is_code);
                    Some(match change {
                        Change::Moved => Kind::moved(is_code),
                        Change::New => Kind::new(is_code),
                        _ => Kind::changed(is_code),
                    })
                }
            };
            let mut near = Near::default();
            for at in part.range.clone() {
                let own = match contents.get(at).copied().unwrap_or_default() {
                    Content::Stamp => Some(Kind::BuildStamp),
                    Content::Filler => Some(Kind::Padding),
                    Content::Noise => Some(Kind::Noise),
                    Content::Pointers => Some(Kind::Pointers),
                    Content::Other => judged,
                };
                kinds.push(match own {
                    Some(kind) => [kind; 2],
                    None => near.judge(self, at),
                });
            }
        }
        kinds
    }

    pub(crate) fn cost(&self, at: usize) -> ByteCost {
        self.explained.bytes.get(at).copied().unwrap_or_default()
    }

    /// Bits of a stretch by kind.
    pub(crate) fn by_kind(&self, range: Range<usize>) -> [f64; Kind::ALL.len()] {
        let mut sums = [0.0; Kind::ALL.len()];
        for at in range {
            let (cost, Some([start, own])) = (self.cost(at), self.kinds.get(at)) else { continue };
            for (kind, bits) in [(start, cost.start_bits), (own, cost.byte_bits)] {
                if let Some(sum) = sums.get_mut(kind.index()) {
                    *sum += f64::from(bits);
                }
            }
        }
        sums
    }

    /// Bits of each kind in all of the payload.
    pub(crate) fn totals(&self) -> [f64; Kind::ALL.len()] {
        let mut sums = self.by_kind(0..self.images.target.len());
        let moves: f64 = self.explained.moves.iter().map(|entry| entry.bits).sum();
        let frame = self.explained.header_bits + self.explained.end_bits;
        for (kind, bits) in [(Kind::AddressMap, moves), (Kind::Frame, frame)] {
            if let Some(sum) = sums.get_mut(kind.index()) {
                *sum += bits;
            }
        }
        sums
    }

    /// Whether a byte without a symbol is taken for code: its section knows, or else it is no text where instructions are.
    fn is_code(&self, at: usize) -> bool {
        let offset = u32::try_from(at).unwrap_or(u32::MAX);
        if let Some(program) = self.images.target_program
            && let Some(section) = program.section_at(offset)
        {
            return program.sections.get(section).is_some_and(|section| section.is_code);
        }
        let pieces = &self.explained.target_pieces;
        let behind = pieces.partition_point(|piece| piece.start <= offset);
        let piece = behind.checked_sub(1).and_then(|number| pieces.get(number));
        piece.is_some_and(|piece| piece.is_code) && !content::is_text(self.images.target, at)
    }

    /// Whether a byte is the one that it is copied from.
    fn is_as_its_source(&self, at: usize) -> bool {
        let source = match self.cost(at).source {
            Some(compact::CopiedFrom::Base(offset)) => self.images.base.get(offset as usize),
            Some(compact::CopiedFrom::Target(offset)) => self.images.target.get(offset as usize),
            None => None,
        };
        source.is_some() && source == self.images.target.get(at)
    }
}

/// What has been seen in front of a byte that no symbol tells anything of.
#[derive(Default)]
struct Near {
    /// The last kind that was found, and how many bytes ago.
    last: Option<(Kind, usize)>,
}

impl Near {
    /// Behind a miss the coder is unsure for so many bytes, which the miss has to answer for.
    const UNSURE: usize = 16;
    /// Bytes on either side that tell what is new from what has changed.
    const AROUND: usize = 16;

    fn judge(&mut self, account: &Account<'_>, at: usize) -> [Kind; 2] {
        let cost = account.cost(at);
        let is_code = account.is_code(at);
        let is_reference = cost.is_reference && cost.told != Told::Literal;
        let own = match cost.told {
            Told::Hit if account.is_as_its_source(at) => {
                let last = self.last.filter(|(_, ago)| *ago < Self::UNSURE);
                last.map_or(Kind::Unchanged, |(kind, _)| kind)
            }
            Told::Hit => Kind::moved(is_code),
            _ if is_reference => Kind::moved(is_code),
            _ if Self::is_new(account, at) => Kind::new(is_code),
            _ => Kind::changed(is_code),
        };
        let is_found = cost.told != Told::Hit;
        self.last = match self.last {
            _ if is_found => Some((own, 0)),
            Some((kind, ago)) => Some((kind, ago + 1)),
            None => None,
        };
        let start = if is_found || own != Kind::Unchanged { own } else { Kind::moved(is_code) };
        [start, own]
    }

    /// Whether most bytes around are told rather than predicted.
    fn is_new(account: &Account<'_>, at: usize) -> bool {
        let around = at.saturating_sub(Self::AROUND)..at + Self::AROUND;
        let costs = account.explained.bytes.get(around.start..around.end);
        let costs =
            costs.or_else(|| account.explained.bytes.get(around.start..)).unwrap_or_default();
        let told = |cost: &&ByteCost| cost.told != Told::Hit && !cost.is_reference;
        costs.iter().filter(told).count() * 5 >= costs.len() * 2
    }
}

/// Cuts the target at its symbols, and says what has become of each.
fn parts(images: &Images<'_>, costs: &[ByteCost], contents: &[Content]) -> Vec<Part> {
    let symbols = images.target_program.map(|program| &program.symbols[..]).unwrap_or_default();
    let counterparts = counterparts(images);
    let referring = referring(images);
    let mut parts = Vec::with_capacity(2 * symbols.len() + 1);
    let gap = |range| Part { range, symbol: None, counterpart: None, change: Change::Same };
    let mut end = 0;
    for (number, symbol) in symbols.iter().enumerate() {
        let range = symbol.range.start as usize..(symbol.range.end as usize).min(costs.len());
        if range.is_empty() || range.start < end {
            continue;
        }
        if range.start > end {
            parts.push(gap(end..range.start));
        }
        end = range.end;
        let counterpart = counterparts.get(number).copied().flatten();
        let base_symbols = images.base_program.map(|program| &program.symbols[..]);
        let old = base_symbols.zip(counterpart).and_then(|(all, number)| all.get(number));
        let part = costs.get(range.clone()).unwrap_or_default();
        let old_bytes = old.map(|old| old.range.start as usize..old.range.end as usize);
        let old_bytes = old_bytes.and_then(|range| images.base.get(range));
        let bytes = images.target.get(range.clone()).unwrap_or_default();
        // What a table refers to has moved; a table that the base does not have is new.
        let is_reference = |at: usize| {
            let is_in_table = contents.get(range.start + at) == Some(&Content::Pointers);
            is_in_table || referring.get(range.start + at) == Some(&true)
        };
        let change = match old_bytes {
            Some(old) => change(part, old, bytes, &is_reference),
            None => change_of_other_name(part, images.base_program.is_some()),
        };
        parts.push(Part { range, symbol: Some(number), counterpart, change });
    }
    if end < costs.len() {
        parts.push(gap(end..costs.len()));
    }
    parts
}

/// Which bytes of the target are part of a reference that its ELF file tells.
fn referring(images: &Images<'_>) -> Vec<bool> {
    let mut referring = vec![false; images.target.len()];
    let references = images.target_program.and_then(|program| program.references.as_ref());
    for reference in references.into_iter().flatten() {
        let start = reference.offset as usize;
        let end = (start + 4).min(referring.len());
        referring.get_mut(start..end).unwrap_or_default().fill(true);
    }
    referring
}

/// What has become of a symbol that the base has.
fn change(
    costs: &[ByteCost],
    old: &[u8],
    new: &[u8],
    is_reference: &dyn Fn(usize) -> bool,
) -> Change {
    if old.len() != new.len() {
        return Change::Changed;
    }
    let is_quiet = |cost: &ByteCost| cost.start_bits == 0.0 && cost.told == Told::Hit;
    let differs = |at: &usize| old.get(*at) != new.get(*at);
    let moves = |at: usize| is_reference(at) || costs.get(at).is_some_and(|cost| cost.is_reference);
    let different: Vec<usize> = (0..new.len()).filter(differs).collect();
    if !different.into_iter().all(moves) {
        Change::Changed
    } else if old == new && costs.iter().all(is_quiet) {
        Change::Same
    } else {
        Change::Moved
    }
}

/// What has become of a symbol whose name the base does not have, or whose base is not known: it may have had another one.
fn change_of_other_name(costs: &[ByteCost], has_base: bool) -> Change {
    /// So many of 100 bytes must be those of the base.
    const RENAMED_PERCENT: usize = 90;
    let told = costs.iter().filter(|cost| cost.told != Told::Hit && !cost.is_reference).count();
    let is_quiet = |cost: &ByteCost| cost.start_bits == 0.0 && cost.told == Told::Hit;
    if told * 100 > costs.len() * (100 - RENAMED_PERCENT) {
        Change::New
    } else if told > 0 {
        Change::Changed
    } else if !has_base && costs.iter().all(is_quiet) {
        Change::Same
    } else {
        Change::Moved
    }
}

/// For each symbol of the target, the base's symbol with its name. Of several with one name, those of the same length belong
/// together, then the first to the first.
fn counterparts(images: &Images<'_>) -> Vec<Option<usize>> {
    let (Some(base), Some(target)) = (images.base_program, images.target_program) else {
        return Vec::new();
    };
    let mut by_key: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, symbol) in base.symbols.iter().enumerate().rev() {
        by_key.entry(&symbol.key).or_default().push(number);
    }
    let mut found = vec![None; target.symbols.len()];
    for same_length in [true, false] {
        for (symbol, slot) in
            target.symbols.iter().zip(&mut found).filter(|(_, slot)| slot.is_none())
        {
            let Some(left) = by_key.get_mut(symbol.key.as_str()) else { continue };
            let fits = |number: &usize| {
                let len = base.symbols.get(*number).map(|old| old.range.len());
                !same_length || len == Some(symbol.range.len())
            };
            if let Some(at) = left.iter().rposition(fits) {
                *slot = Some(left.remove(at));
            }
        }
    }
    found
}

impl Account<'_> {
    fn report(&self, options: &Options, advice: Vec<crate::Advice>) -> Report {
        let (symbols, more_symbols) = self.symbols(options.top);
        let encoded = &self.explained.encoded;
        let class = encoded.payload.first().and_then(|code| Class::from_code(*code));
        Report {
            base_bytes: self.images.base.len() as u64,
            target_bytes: self.images.target.len() as u64,
            payload_bytes: encoded.payload.len() as u64,
            memory_class: class.map(Class::name).unwrap_or_default().to_owned(),
            instruction_set: encoded
                .instruction_set
                .map(|set| InstructionSet::name(set).to_owned()),
            encoder: encoded.encoder,
            how: self.how(),
            kinds: self.kind_costs(),
            sections: self.sections(),
            symbols,
            more_symbols,
            regions: self.regions(),
            runs: self.runs(options.top),
            stamps: self.stamp_costs(),
            advice,
        }
    }

    /// A number of bits in bytes, and in percent of the payload.
    fn shares(&self, bits: f64) -> (f64, f64) {
        let whole = bytes_of(self.explained.encoded.payload.len());
        let bytes = bits / 8.0;
        (rounded(bytes), if whole > 0.0 { rounded(100.0 * bytes / whole) } else { 0.0 })
    }

    fn how(&self) -> How {
        let mut how = How {
            header: rounded(self.explained.header_bits / 8.0),
            address_map: rounded(
                self.explained.moves.iter().map(|entry| entry.bits).sum::<f64>() / 8.0,
            ),
            end: rounded(self.explained.end_bits / 8.0),
            ..How::default()
        };
        for cost in &self.explained.bytes {
            how.starts += f64::from(cost.start_bits) / 8.0;
            let sum = match cost.told {
                Told::Hit => &mut how.hits,
                Told::Missed => &mut how.misses,
                Told::Literal => &mut how.literals,
            };
            *sum += f64::from(cost.byte_bits) / 8.0;
        }
        for sum in [&mut how.starts, &mut how.hits, &mut how.misses, &mut how.literals] {
            *sum = rounded(*sum);
        }
        how
    }

    fn kind_costs(&self) -> Vec<KindCost> {
        let sums = Kind::ALL.into_iter().zip(self.totals()).filter(|(_, bits)| *bits != 0.0);
        let mut costs: Vec<KindCost> = sums
            .map(|(kind, bits)| {
                let (bytes, percent) = self.shares(bits);
                KindCost { kind, bytes, percent }
            })
            .collect();
        costs.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
        costs
    }

    fn sections(&self) -> Vec<SectionCost> {
        let Some(program) = self.images.target_program else { return Vec::new() };
        let mut costs = Vec::new();
        let mut outside = [0.0; Kind::ALL.len()];
        let (mut end, mut outside_bytes) = (0, 0);
        for section in &program.sections {
            let range = section.range.start as usize..section.range.end as usize;
            add(&mut outside, self.by_kind(end..range.start));
            outside_bytes += range.start - end;
            end = range.end;
            let old = self
                .images
                .base_program
                .and_then(|program| program.sections.iter().find(|old| old.name == section.name));
            let sums = self.by_kind(range.clone());
            let (bytes, percent) = self.shares(sums.iter().sum());
            costs.push(SectionCost {
                name: Some(section.name.clone()),
                size: range.len() as u64,
                base_size: old.map(|old| old.range.len() as u64),
                moved_by: old.map(|old| i64::from(section.address) - i64::from(old.address)),
                bytes,
                percent,
                kind: largest(&sums),
            });
        }
        add(&mut outside, self.by_kind(end..self.images.target.len()));
        outside_bytes += self.images.target.len() - end;
        let (bytes, percent) = self.shares(outside.iter().sum());
        if outside_bytes > 0 {
            let (size, kind) = (outside_bytes as u64, largest(&outside));
            let (name, base_size, moved_by) = (None, None, None);
            costs.push(SectionCost { name, size, base_size, moved_by, bytes, percent, kind });
        }
        costs.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
        costs
    }

    /// The largest symbols; how many others cost something, and how much.
    fn symbols(&self, top: usize) -> (Vec<SymbolCost>, (usize, f64)) {
        let Some(program) = self.images.target_program else { return (Vec::new(), (0, 0.0)) };
        let mut costs: Vec<SymbolCost> = Vec::new();
        for part in &self.parts {
            let Some(symbol) = part.symbol.and_then(|number| program.symbols.get(number)) else {
                continue;
            };
            let old = self.images.base_program.zip(part.counterpart);
            let old = old.and_then(|(program, number)| program.symbols.get(number));
            let (mut starts, mut misses, mut all) = (0.0, 0.0, 0.0);
            for cost in self.explained.bytes.get(part.range.clone()).unwrap_or_default() {
                starts += f64::from(cost.start_bits);
                misses += if cost.told == Told::Hit { 0.0 } else { f64::from(cost.byte_bits) };
                all += cost.bits();
            }
            let (bytes, percent) = self.shares(all);
            let section = program.sections.get(symbol.section);
            costs.push(SymbolCost {
                name: symbol.name.clone(),
                section: section.map(|section| section.name.clone()).unwrap_or_default(),
                is_code: symbol.is_code,
                change: part.change,
                size: part.range.len() as u64,
                base_size: old.map(|old| old.range.len() as u64),
                moved_by: old.map(|old| i64::from(symbol.address) - i64::from(old.address)),
                bytes,
                percent,
                starts: rounded(starts / 8.0),
                misses: rounded(misses / 8.0),
            });
        }
        costs.sort_by(|a, b| b.bytes.total_cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        let rest = costs.split_off(costs.len().min(top));
        let rest: Vec<f64> =
            rest.iter().map(|cost| cost.bytes).filter(|bytes| *bytes > 0.0).collect();
        (costs, (rest.len(), rounded(rest.iter().sum())))
    }

    fn regions(&self) -> Vec<RegionCost> {
        let len = self.images.target.len();
        let mut step = MIN_REGION_BYTES;
        while len.div_ceil(step) > MAX_REGIONS {
            step *= 2;
        }
        let region = |start: usize| {
            let end = (start + step).min(len);
            let sums = self.by_kind(start..end);
            RegionCost {
                offset: start as u64,
                size: (end - start) as u64,
                bytes: self.shares(sums.iter().sum()).0,
                kind: largest(&sums),
            }
        };
        (0..len).step_by(step).map(region).collect()
    }

    fn runs(&self, top: usize) -> Vec<RunCost> {
        /// Bytes that cost less are not worth a word.
        const WORTH_BITS: f64 = 0.5;
        /// Bytes in between that do not end a run.
        const GAP: usize = 32;
        let worth = |at: &usize| self.cost(*at).bits() >= WORTH_BITS;
        let mut runs: Vec<Range<usize>> = Vec::new();
        for at in (0..self.images.target.len()).filter(worth) {
            match runs.last_mut() {
                Some(run) if at - run.end <= GAP => run.end = at + 1,
                _ => runs.push(at..at + 1),
            }
        }
        let mut costs: Vec<RunCost> = runs.into_iter().map(|run| self.run(run)).collect();
        costs.sort_by(|a, b| b.bytes.total_cmp(&a.bytes).then(a.offset.cmp(&b.offset)));
        costs.truncate(top);
        costs
    }

    fn run(&self, run: Range<usize>) -> RunCost {
        let sums = self.by_kind(run.clone());
        let (bytes, percent) = self.shares(sums.iter().sum());
        let offset = u32::try_from(run.start).unwrap_or(u32::MAX);
        let program = self.images.target_program;
        let section = program.and_then(|program| program.sections.get(program.section_at(offset)?));
        let symbol = program.and_then(|program| {
            let behind = program.symbols.partition_point(|symbol| symbol.range.start <= offset);
            let symbol = program.symbols.get(behind.checked_sub(1)?)?;
            symbol.range.contains(&offset).then_some(symbol)
        });
        let inside = symbol.map(|symbol| &symbol.name).or(section.map(|section| &section.name));
        let by_section =
            section.map(|section| section.address.wrapping_add(offset - section.range.start));
        let pieces = &self.explained.target_pieces;
        let behind = pieces.partition_point(|piece| piece.start <= offset);
        let piece = behind.checked_sub(1).and_then(|number| pieces.get(number));
        let by_piece = piece.map(|piece| piece.address.wrapping_add(offset - piece.start));
        RunCost {
            offset: offset.into(),
            size: run.len() as u64,
            address: by_section.or(by_piece).map(u64::from),
            inside: inside.cloned(),
            bytes,
            percent,
            kind: largest(&sums),
        }
    }

    fn stamp_costs(&self) -> Vec<StampCost> {
        let cost = |stamp: &Stamp| {
            let range = stamp.range.clone();
            let bits: f64 = range.clone().map(|at| self.cost(at).bits()).sum();
            let told = range.clone().any(|at| self.cost(at).told != Told::Hit);
            let value = self.images.target.get(range).map(shown).unwrap_or_default();
            let offset = stamp.range.start as u64;
            told.then(|| StampCost { kind: stamp.kind, offset, value, bytes: self.shares(bits).0 })
        };
        let mut costs: Vec<StampCost> = self.stamps.iter().filter_map(cost).collect();
        costs.sort_by(|a, b| b.bytes.total_cmp(&a.bytes).then(a.offset.cmp(&b.offset)));
        costs
    }
}

fn add(sums: &mut [f64], more: [f64; Kind::ALL.len()]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// The kind that most bits are spent on.
fn largest(sums: &[f64; Kind::ALL.len()]) -> Kind {
    let all = Kind::ALL.into_iter().zip(sums);
    let best = all.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.filter(|(_, bits)| **bits > 0.0).map_or(Kind::Unchanged, |(kind, _)| kind)
}

/// Bytes as text if they are, or as the first hexadecimal digits.
fn shown(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let digits: String = bytes.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 20 { format!("{digits}…") } else { digits }
}

/// Bytes with three decimals: more digits would be noise.
pub(crate) fn rounded(bytes: f64) -> f64 {
    let rounded = (bytes * 1000.0).round() / 1000.0;
    // No negative zero.
    rounded + 0.0
}

#[allow(clippy::cast_precision_loss, reason = "payloads are small")]
pub(crate) fn bytes_of(len: usize) -> f64 {
    len as f64
}
