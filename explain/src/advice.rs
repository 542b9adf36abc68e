//! What would make a delta smaller, and by how much.
//!
//! Where a target can be had without what an advice is about, it is encoded anew, and the difference is the saving. Functions can
//! be put back only where an ELF file tells all references; elsewhere the advice gives what is spent on moves, as an upper bound.

use std::collections::HashMap;

use rayon::prelude::*;
use whittle_delta::compact::{self, CopiedFrom, Told};

use crate::account::{Account, Options, bytes_of, rounded};
use crate::kind::Kind;
use crate::program::{Program, Variable};
use crate::relink;
use crate::report::{Advice, Basis};
use crate::stamp::{self, Stamp, StampKind};
use crate::{Error, Result};

/// Savings below this many bytes are not worth a word.
const MIN_SAVING_BYTES: f64 = 1.0;

/// All advice, the largest saving first.
pub(crate) fn all(account: &Account<'_>, options: &Options) -> Result<Vec<Advice>> {
    let experiments = [
        stamps(account, &DATES),
        stamps(account, &COMMITS),
        stamps(account, &SIGNATURES),
        padding(account),
        variables(account),
        order(account),
    ];
    let measured = experiments.into_par_iter().flatten().map(|experiment| {
        let saving = experiment.saving(account, options)?;
        Ok(Advice {
            id: experiment.id.to_owned(),
            title: experiment.title.to_owned(),
            detail: experiment.detail,
            saving_bytes: saving,
            basis: Basis::Measured,
        })
    });
    let mut advice = measured.collect::<Result<Vec<_>>>()?;
    advice.extend(
        [&DATES, &COMMITS, &SIGNATURES].iter().filter_map(|group| unpaired(account, group)),
    );
    let by_order = advice.iter().find(|advice| advice.id == PIN_ORDER);
    let by_order = by_order.map(|advice| advice.saving_bytes);
    advice.extend(moves(account, by_order));
    advice.extend(noise(account));
    advice.retain(|advice| advice.saving_bytes >= MIN_SAVING_BYTES);
    advice.sort_by(|a, b| b.saving_bytes.total_cmp(&a.saving_bytes).then_with(|| a.id.cmp(&b.id)));
    Ok(advice)
}

/// A target as it would be if an advice were followed.
struct Experiment {
    id: &'static str,
    title: &'static str,
    detail: String,
    target: Vec<u8>,
}

impl Experiment {
    fn saving(&self, account: &Account<'_>, options: &Options) -> Result<f64> {
        let base = Some(account.images.base);
        let made = compact::encode(base, &self.target, options.encoder).map_err(Error::Encode)?;
        let (before, after) = (account.explained.encoded.payload.len(), made.payload.len());
        Ok(bytes_of(before) - bytes_of(after))
    }
}

/// Stamps that one advice is about.
struct StampGroup {
    id: &'static str,
    title: &'static str,
    how: &'static str,
    kinds: &'static [StampKind],
}

const DATES: StampGroup = StampGroup {
    id: "drop-build-time",
    title: "leave date and time of the build out of the image",
    how: "drop `__DATE__` and `__TIME__`, or set `SOURCE_DATE_EPOCH` to the time of the commit",
    kinds: &[StampKind::Date, StampKind::Time],
};

const COMMITS: StampGroup = StampGroup {
    id: "drop-build-id",
    title: "leave commit and build id out of the image",
    how: "the signed manifest tells the version; `-Wl,--build-id=none` drops the linker's note",
    kinds: &[StampKind::Commit, StampKind::Uuid, StampKind::BuildId],
};

const SIGNATURES: StampGroup = StampGroup {
    id: "sign-on-device-side",
    title: "sign outside of the image",
    how: "hash and signature behind the image change with every bit of it, and the package's own signature covers it too",
    kinds: &[StampKind::Signature],
};

/// The target with the base's stamps, where it has such of the same length.
fn stamps(account: &Account<'_>, group: &StampGroup) -> Option<Experiment> {
    let pairs = pairs(account, group);
    let mut target = account.images.target.to_vec();
    let mut count = 0;
    for (new, old) in &pairs {
        let (Some(to), Some(from)) =
            (target.get_mut(new.clone()), account.images.base.get(old.clone()))
        else {
            continue;
        };
        if to != from {
            to.copy_from_slice(from);
            count += 1;
        }
    }
    let detail = format!("{}; tried with those of the base ({count})", group.how);
    (count > 0).then_some(Experiment { id: group.id, title: group.title, detail, target })
}

type Pair = (std::ops::Range<usize>, std::ops::Range<usize>);

/// Stamps of the target, each with the base's stamp in its place.
fn pairs(account: &Account<'_>, group: &StampGroup) -> Vec<Pair> {
    let of_group = |stamps: Vec<Stamp>| -> Vec<Stamp> {
        stamps.into_iter().filter(|stamp| group.kinds.contains(&stamp.kind)).collect()
    };
    let (old, new) = (of_group(stamp::find(account.images.base)), of_group(account.stamps.clone()));
    let by_order = old.len() == new.len();
    let pair = |(number, stamp): (usize, &Stamp)| {
        let place = place_in_base(account, stamp.range.start);
        let in_place =
            old.iter().find(|old| old.kind == stamp.kind && Some(old.range.start) == place);
        let in_order = old.get(number).filter(|old| by_order && old.kind == stamp.kind);
        [in_place, in_order].into_iter().flatten().find_map(|old| alike(account, stamp, old))
    };
    new.iter().enumerate().filter_map(pair).collect()
}

/// What of two stamps can take each other's place: all of them, or the digits at the end of descriptions of other lengths.
fn alike(account: &Account<'_>, new: &Stamp, old: &Stamp) -> Option<Pair> {
    if new.range.len() == old.range.len() {
        return Some((new.range.clone(), old.range.clone()));
    }
    let digits = |image: &[u8], stamp: &Stamp| {
        let text = image.get(stamp.range.clone()).unwrap_or_default();
        text.iter().rev().take_while(|byte| byte.is_ascii_hexdigit()).count()
    };
    let len = digits(account.images.target, new).min(digits(account.images.base, old));
    let end = |stamp: &Stamp| stamp.range.end - len..stamp.range.end;
    (new.kind == StampKind::Commit && len > 0).then(|| (end(new), end(old)))
}

/// Where in the base what stands at an offset would stand, told by the copy that reaches it or ends in front of it.
fn place_in_base(account: &Account<'_>, at: usize) -> Option<usize> {
    const AROUND: usize = 64;
    (at.saturating_sub(AROUND)..=at).rev().find_map(|near| match account.cost(near).source? {
        CopiedFrom::Base(offset) => Some(offset as usize + (at - near)),
        CopiedFrom::Target(_) => None,
    })
}

/// What is spent on stamps that the base has in another length, or not at all.
fn unpaired(account: &Account<'_>, group: &StampGroup) -> Option<Advice> {
    let paired = pairs(account, group);
    let left = account.stamps.iter().filter(|stamp| {
        let is_paired = paired.iter().any(|(new, _)| new.end == stamp.range.end);
        group.kinds.contains(&stamp.kind) && !is_paired
    });
    let bits: f64 =
        left.flat_map(|stamp| stamp.range.clone()).map(|at| account.cost(at).bits()).sum();
    (bits > 0.0).then(|| Advice {
        id: format!("{}-unpaired", group.id),
        title: group.title.to_owned(),
        detail: format!("{}; the base has none of the same length to try", group.how),
        saving_bytes: rounded(bits / 8.0),
        basis: Basis::UpperBound,
    })
}

/// The target with filler as it is predicted.
fn padding(account: &Account<'_>) -> Option<Experiment> {
    let mut target = account.images.target.to_vec();
    let mut count = 0;
    for (at, byte) in target.iter_mut().enumerate() {
        let is_padding = account.kinds.get(at).is_some_and(|[_, own]| *own == Kind::Padding);
        let cost = account.cost(at);
        if !is_padding || cost.told == Told::Hit {
            continue;
        }
        let old = match cost.source {
            Some(CopiedFrom::Base(offset)) => account.images.base.get(offset as usize),
            _ => None,
        };
        *byte = old.copied().unwrap_or(0xff);
        count += 1;
    }
    let detail = format!(
        "fill gaps with the same byte in every build (`objcopy --gap-fill 0xff`, `FILL(0xff)`), and do not pad with random bytes; \
         tried on {count} bytes of filler"
    );
    let title = "fill gaps alike in every build";
    (count > 0).then_some(Experiment { id: "pin-padding", title, detail, target })
}

/// The target with its variables at the base's addresses, as far as words refer to them.
fn variables(account: &Account<'_>) -> Option<Experiment> {
    let (old, new) = (account.images.base_program?, account.images.target_program?);
    let moved = moved_variables(old, new);
    if moved.is_empty() {
        return None;
    }
    let mut target = account.images.target.to_vec();
    let (words, _) = target.as_chunks_mut::<4>();
    let mut count = 0;
    for word in words {
        let address = u32::from_le_bytes(*word);
        let Some(variable) = new.variable_at(address) else { continue };
        if let Some(old) = moved.get(&variable.address) {
            *word = old.wrapping_add(address - variable.address).to_le_bytes();
            count += 1;
        }
    }
    let detail = format!(
        "{} variables have other addresses; give those that stay a section of their own in front of new ones, or sort them \
         (`-fdata-sections -Wl,--sort-section=name`); tried on {count} words that refer to them, not on addresses that \
         instructions make",
        moved.len()
    );
    let title = "keep variables where they were";
    (count > 0).then_some(Experiment { id: "pin-variables", title, detail, target })
}

/// For each variable whose address has changed, by its new address, the old one. Names that several have are left out.
fn moved_variables(old: &Program, new: &Program) -> HashMap<u32, u32> {
    fn unique(variables: &[Variable]) -> HashMap<&str, Option<&Variable>> {
        let mut unique = HashMap::new();
        for variable in variables {
            let known = unique.entry(variable.key.as_str()).or_insert(Some(variable));
            if known.is_some_and(|known| known != variable) {
                *known = None;
            }
        }
        unique
    }
    let (old, new) = (unique(&old.variables), unique(&new.variables));
    let moved = new.iter().filter_map(|(key, variable)| {
        let (new, old) = ((*variable)?, old.get(key).copied().flatten()?);
        (new.address != old.address).then_some((new.address, old.address))
    });
    moved.collect()
}

const PIN_ORDER: &str = "pin-order";

/// How functions are kept in order.
fn how_to_pin(account: &Account<'_>) -> &'static str {
    if account.images.target_program.is_some_and(|program| program.has_rust) {
        "pin the order: `codegen-units = 1`, the same `-C metadata` and `--remap-path-prefix` in every build, and a \
         `--symbol-ordering-file` (LLD) made from the last release"
    } else {
        "pin the order: `-ffunction-sections` with a `--symbol-ordering-file` (LLD) or `--section-ordering-file` (GNU ld) made \
         from the last release, or `-Wl,--sort-section=name`"
    }
}

/// The target with its functions in the order of the base.
fn order(account: &Account<'_>) -> Option<Experiment> {
    let (moved @ 1.., all) = reordered(account)? else { return None };
    let target = relink::in_base_order(account)?;
    let pin = how_to_pin(account);
    let detail = format!(
        "{moved} of {all} functions have changed places: {pin}; tried by relinking the target in the base's order"
    );
    let title = "link functions in the order of the base";
    Some(Experiment { id: PIN_ORDER, title, detail, target })
}

/// What is spent on moves, besides what their order has been measured to take.
fn moves(account: &Account<'_>, by_order: Option<f64>) -> Option<Advice> {
    const KINDS: [Kind; 4] = [Kind::MovedCode, Kind::MovedData, Kind::Pointers, Kind::AddressMap];
    let totals = account.totals();
    let bits: f64 = KINDS.iter().filter_map(|kind| totals.get(kind.index())).sum();
    let saving_bytes = rounded(bits / 8.0 - by_order.unwrap_or(0.0).max(0.0));
    let basis = Basis::UpperBound;
    let pin = how_to_pin(account);
    let pad =
        "leave room behind sections (`. = ALIGN(4K)`) so that what lies behind stays where it is";
    let (id, title, detail) = match (reordered(account), by_order) {
        (Some((0, all)), _) => (
            "pad-sections",
            "keep what has not changed where it is",
            format!("all {all} functions are in the order of the base, only shifted: {pad}"),
        ),
        (_, Some(_)) => (
            "pad-sections",
            "keep what has not changed where it is",
            format!("what moves still take once functions are in order: {pad}"),
        ),
        (Some((moved, all)), None) => (
            PIN_ORDER,
            "link functions in the order of the base",
            format!(
                "{moved} of {all} functions have changed places: {pin}; then {pad}; ELF files with relocations \
                 (`-Wl,--emit-relocs`) let it be measured"
            ),
        ),
        (None, None) => (
            PIN_ORDER,
            "keep what has not changed where it is",
            format!(
                "{pin}; {pad}; ELF files or maps of both images tell which functions have changed places"
            ),
        ),
    };
    (bits > 0.0).then(|| Advice {
        id: id.to_owned(),
        title: title.to_owned(),
        detail,
        saving_bytes,
        basis,
    })
}

/// How many functions are not in the order in which the base has them, and how many both have.
fn reordered(account: &Account<'_>) -> Option<(usize, usize)> {
    let (old, new) = (account.images.base_program?, account.images.target_program?);
    let places: Vec<u32> = account
        .parts
        .iter()
        .filter(|part| {
            let symbol = part.symbol.and_then(|number| new.symbols.get(number));
            symbol.is_some_and(|symbol| symbol.is_code)
        })
        .filter_map(|part| Some(old.symbols.get(part.counterpart?)?.range.start))
        .collect();
    (!places.is_empty()).then(|| (places.len() - longest_rise(&places), places.len()))
}

/// Length of the longest subsequence that rises.
fn longest_rise(places: &[u32]) -> usize {
    // The lowest end of a rising subsequence of each length.
    let mut ends: Vec<u32> = Vec::new();
    for place in places {
        let at = ends.partition_point(|end| end < place);
        match ends.get_mut(at) {
            Some(end) => *end = *place,
            None => ends.push(*place),
        }
    }
    ends.len()
}

/// What is spent on compressed or encrypted stretches.
fn noise(account: &Account<'_>) -> Option<Advice> {
    let bits = account.totals().get(Kind::Noise.index()).copied().unwrap_or(0.0);
    (bits > 0.0).then(|| Advice {
        id: "store-plain".to_owned(),
        title: "keep compressed and encrypted data out of the image, or store it plain".to_owned(),
        detail: "one changed byte changes all of a compressed or encrypted block: the delta compresses plain data itself, and the \
                 transport can encrypt"
            .to_owned(),
        saving_bytes: rounded(bits / 8.0),
        basis: Basis::UpperBound,
    })
}

#[cfg(test)]
mod tests {
    use super::longest_rise;

    #[test]
    fn what_has_changed_places_is_what_is_left_of_the_longest_rise() {
        assert_eq!(longest_rise(&[]), 0);
        assert_eq!(longest_rise(&[1, 2, 3]), 3);
        assert_eq!(longest_rise(&[3, 1, 2]), 2);
        assert_eq!(longest_rise(&[5, 4, 3]), 1);
        assert_eq!(longest_rise(&[1, 9, 2, 3, 8, 4]), 4);
    }
}
