//! Which devices a share of the fleet means.
//!
//! Every device has a place in every draw, from 0 to 999 999, and a share covers the places below it. So a device that
//! is in at 10 % stays in at 20 %, host and device agree without a word between them, and no server keeps a list.
//!
//! ```text
//! hash  = SHA-256( domain (16) | seed (16) | length of the flag's name (1) | flag's name | device id )
//! place = first 4 bytes of the hash, little-endian, × 1 000 000 / 2^32, rounded down
//! ```

use sha2::{Digest as _, Sha256};
use whittle_format::{Digest, Label, Seed, Share};

/// What is drawn for: each draw gives a device another place, as if independent of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw<'a> {
    /// The stages of a rollout.
    Rollout,
    /// The rules of the flag with this name.
    Flag(&'a Label),
}

impl Draw<'_> {
    fn domain(&self) -> &'static [u8; 16] {
        match self {
            Self::Rollout => b"whittle stage v1",
            Self::Flag(_) => b"whittle flags v1",
        }
    }

    fn name(&self) -> &[u8] {
        match self {
            Self::Rollout => &[],
            Self::Flag(name) => name.as_bytes(),
        }
    }
}

/// The place of a device in a draw, below [`Share::WHOLE_PPM`].
///
/// A device without an id takes the last place: if many forget theirs, they are not all canaries.
#[must_use]
pub fn place(draw: Draw<'_>, seed: &Seed, device_id: &[u8]) -> u32 {
    if device_id.is_empty() {
        return Share::WHOLE_PPM.saturating_sub(1);
    }
    let name = draw.name();
    let mut hasher = Sha256::new();
    hasher.update(draw.domain());
    hasher.update(seed);
    hasher.update([u8::try_from(name.len()).unwrap_or(u8::MAX)]);
    hasher.update(name);
    hasher.update(device_id);
    let hash: Digest = hasher.finalize().into();
    let number = u32::from_le_bytes(hash.first_chunk().copied().unwrap_or_default());
    // Below 2^32 × 10^6, which is below 2^52; the quotient is below 10^6.
    let scaled = u64::from(number).wrapping_mul(u64::from(Share::WHOLE_PPM)) >> u32::BITS;
    u32::try_from(scaled).unwrap_or(Share::WHOLE_PPM)
}

/// Whether a device is within the share of a rollout.
#[must_use]
pub fn eligible(seed: &Seed, device_id: &[u8], share: Share) -> bool {
    share.covers(place(Draw::Rollout, seed, device_id))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    const IDS: u32 = 100_000;

    /// Ids as fleets have them; those of one shape differ in a few characters only.
    const SHAPES: [fn(u32) -> Vec<u8>; 5] = [
        |n| format!("{n}").into_bytes(),
        |n| n.to_le_bytes().to_vec(),
        |n| format!("TH-2026-{n:08}").into_bytes(),
        |n| {
            let [a, b, c, d] = n.to_be_bytes();
            format!("24:6f:{a:02x}:{b:02x}:{c:02x}:{d:02x}").into_bytes()
        },
        |n| {
            let high = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{:08x}-{:04x}-4000-8000-{n:012x}", high >> 32, high & 0xffff).into_bytes()
        },
    ];

    fn seed(n: u8) -> Seed {
        let mut seed = [0; 16];
        seed[15] = n;
        seed
    }

    /// Sorts places into 100 bins and compares the chi-square statistic with its bounds for 99 degrees of freedom,
    /// which a uniform draw leaves once in a million times at either end.
    fn assert_uniform(what: &str, places: impl Iterator<Item = u32>) {
        let mut bins = [0u32; 100];
        let mut count = 0u32;
        for place in places {
            bins[(place / 10_000) as usize] += 1;
            count += 1;
        }
        let expected = f64::from(count) / 100.0;
        let chi_square: f64 =
            bins.iter().map(|bin| (f64::from(*bin) - expected).powi(2) / expected).sum();
        assert!((43.0..180.0).contains(&chi_square), "{what}: chi-square {chi_square}");
    }

    #[test]
    fn places_are_uniform_for_every_shape_of_id_and_over_seeds() {
        let flag: Label = "holiday-mode".parse().expect("a label");
        for (shape, id) in SHAPES.iter().enumerate() {
            for n in 0..4 {
                let rollout = (0..IDS).map(|i| place(Draw::Rollout, &seed(n), &id(i)));
                assert_uniform(&format!("shape {shape}, seed {n}"), rollout);
            }
            let flags = (0..IDS).map(|i| place(Draw::Flag(&flag), &seed(0), &id(i)));
            assert_uniform(&format!("shape {shape}, a flag"), flags);
        }
        let over_seeds = (0..IDS).map(|n| {
            let mut seed = [0; 16];
            seed[..4].copy_from_slice(&n.to_le_bytes());
            place(Draw::Rollout, &seed, b"24:6f:28:00:00:01")
        });
        assert_uniform("one device over seeds", over_seeds);
        let over_flags = (0..IDS).map(|n| {
            let flag: Label = format!("flag-{n}").parse().expect("a label");
            place(Draw::Flag(&flag), &seed(0), b"24:6f:28:00:00:01")
        });
        assert_uniform("one device over flags", over_flags);
    }

    /// Of the devices that are in a tenth of one draw, a tenth are in a tenth of the other.
    #[test]
    fn draws_do_not_know_each_other() {
        let [a, b]: [Label; 2] = ["a", "b"].map(|name| name.parse().expect("a label"));
        let pairs = [
            ((Draw::Flag(&a), 0), (Draw::Flag(&b), 0)),
            ((Draw::Flag(&a), 0), (Draw::Flag(&a), 1)),
            ((Draw::Flag(&a), 0), (Draw::Rollout, 0)),
            ((Draw::Rollout, 0), (Draw::Rollout, 1)),
        ];
        let tenth = Share::from_ppm(100_000).expect("in range");
        for ((one, one_seed), (other, other_seed)) in pairs {
            let is_in = |draw, n, i: u32| tenth.covers(place(draw, &seed(n), &SHAPES[3](i)));
            let in_one: Vec<u32> = (0..IDS).filter(|i| is_in(one, one_seed, *i)).collect();
            let in_both = in_one.iter().filter(|i| is_in(other, other_seed, **i)).count();
            let expected = in_one.len() as f64 / 10.0;
            let sigmas = (in_both as f64 - expected) / (expected * 0.9).sqrt();
            assert!(sigmas.abs() < 4.9, "{one:?} and {other:?}: {sigmas} sigmas");
        }
    }

    #[test]
    fn shares_are_exact_at_both_ends_and_grow() {
        let shares = [0, 1, 100, 10_000, 100_000, 200_000, 999_999, 1_000_000];
        let shares = shares.map(|ppm| Share::from_ppm(ppm).expect("in range"));
        for i in 0..IDS {
            let id = SHAPES[2](i);
            let is_in = shares.map(|share| eligible(&seed(9), &id, share));
            assert!(!is_in[0] && is_in[7]);
            assert!(is_in.is_sorted(), "who is in stays in: {}", String::from_utf8_lossy(&id));
        }
    }

    #[test]
    fn a_device_without_an_id_comes_last() {
        let but_one = Share::from_ppm(999_999).expect("in range");
        for n in 0..10 {
            assert!(!eligible(&seed(n), &[], but_one));
            assert!(eligible(&seed(n), &[], Share::ALL));
        }
    }
}
