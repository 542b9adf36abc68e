//! Argument values with units and ranges.

use std::ops::Range;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use whittle_format::manifest::HardwareRange;
use whittle_format::{Label, Seed, Share};
use whittle_release::image::from_hex;
use whittle_release::{InputFormat, percent};

/// Parses a product name or version.
pub(crate) fn label(text: &str) -> Result<Label, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// Parses a share of the fleet, such as `5%` or `0.25%`; the sign tells 5 % from five hundredths.
pub(crate) fn share(text: &str) -> Result<Share, String> {
    let digits = text.strip_suffix('%').ok_or("wanted a percentage with its sign, such as 5%")?;
    percent::parse(digits.trim_end())
}

/// Parses a share of the fleet into a fraction of it, more than 0 and at most 1.
pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    match share(text)?.ppm() {
        0 => Err("wanted more than 0%".to_owned()),
        ppm => Ok(f64::from(ppm) / 1e6),
    }
}

/// Parses the seed of a rollout.
pub(crate) fn seed(text: &str) -> Result<Seed, String> {
    from_hex(text).ok_or_else(|| "a seed has 32 hexadecimal digits".to_owned())
}

/// Parses a size: bytes, or a number with `K`, `M`, `G` or `KiB`, `MiB`, `GiB` (powers of 1024).
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        unit => return Err(format!("unknown unit `{unit}`, wanted K, M, G, KiB, MiB or GiB")),
    };
    let number = u64::from_str(digits)
        .map_err(|_| "wanted a number of bytes, such as 65536 or 64K".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned())
}

/// Parses a block size: a power of two between 64 bytes and 64 KiB; returns its exponent.
pub(crate) fn block_log2(text: &str) -> Result<u8, String> {
    let bytes = size(text)?;
    let log2 = u8::try_from(bytes.max(1).ilog2()).unwrap_or(u8::MAX);
    if bytes.is_power_of_two() && (6..=16).contains(&log2) {
        Ok(log2)
    } else {
        Err("wanted a power of two between 64 and 64K".to_owned())
    }
}

/// Parses an address of 32 bits, in hexadecimal with `0x` or in decimal.
pub(crate) fn address(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None if text.len() > 1 && text.starts_with('0') => {
            return Err("a leading zero is ambiguous: hexadecimal begins with 0x".to_owned());
        }
        None => text.parse(),
    };
    parsed.map_err(|_| "wanted an address of 32 bits, such as 0x8000000".to_owned())
}

/// Parses a range of addresses, such as `0x8004000-0x8080000`; its end is not in it.
pub(crate) fn address_range(text: &str) -> Result<Range<u64>, String> {
    let wrong = || "wanted two addresses, such as 0x8004000-0x8080000".to_owned();
    let (start, end) = text.split_once('-').ok_or_else(wrong)?;
    // The end of the last byte of 32 bits has 33.
    let end = if end == "0x100000000" { 1 << 32 } else { u64::from(address(end)?) };
    let range = u64::from(address(start)?)..end;
    if range.is_empty() { Err("the range ends before it begins".to_owned()) } else { Ok(range) }
}

/// Parses a byte, in hexadecimal with `0x` or in decimal.
pub(crate) fn byte(text: &str) -> Result<u8, String> {
    let byte = address(text).ok().and_then(|byte| u8::try_from(byte).ok());
    byte.ok_or_else(|| "wanted a byte, such as 0xff".to_owned())
}

/// The formats of firmware files by their names.
pub(crate) fn input_formats() -> impl TypedValueParser<Value = InputFormat> {
    let names = InputFormat::ALL.map(InputFormat::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<InputFormat>())
}

/// Parses one hardware revision or an inclusive range, such as `3` or `2-5`.
pub(crate) fn hardware(text: &str) -> Result<HardwareRange, String> {
    let revision = |text: &str| {
        u16::from_str(text).map_err(|_| format!("`{text}` is no revision from 0 to 65535"))
    };
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let range = HardwareRange { min: revision(min)?, max: revision(max)? };
    if range.min <= range.max {
        Ok(range)
    } else {
        Err("the range ends before it begins".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("64K"), Ok(65536));
        assert_eq!(size("2MiB"), Ok(2 << 20));
        for wrong in ["", "K", "1.5M", "-1", "64k", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(block_log2("4K"), Ok(12));
        assert!(block_log2("4097").is_err());
        assert!(block_log2("32").is_err());
    }

    #[test]
    fn shares_have_a_sign() {
        assert_eq!(share("5%").map(Share::ppm), Ok(50_000));
        assert_eq!(share("0.25 %").map(Share::ppm), Ok(2_500));
        for wrong in ["", "%", "5", "0.05", "101%", "-1%", "5%%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        assert_eq!(fraction("5%"), Ok(0.05));
        assert!(fraction("0%").is_err());
    }

    #[test]
    fn addresses_are_hexadecimal_or_decimal() {
        assert_eq!(address("0x08000000"), Ok(0x0800_0000));
        assert_eq!(address("4096"), Ok(4096));
        for wrong in ["", "08000000", "0x100000000", "-1"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_of_addresses_end_behind_them() {
        assert_eq!(address_range("0x8004000-0x8080000"), Ok(0x0800_4000..0x0808_0000));
        assert_eq!(address_range("0-0x100000000"), Ok(0..1 << 32));
        for wrong in ["", "5", "5-5", "6-5", "-5", "5-", "0-0x100000001"] {
            assert!(address_range(wrong).is_err(), "{wrong}");
        }
        assert_eq!((byte("0xff"), byte("0")), (Ok(255), Ok(0)));
        assert!(byte("256").is_err() && byte("").is_err());
    }

    #[test]
    fn hardware_is_a_revision_or_a_range() {
        assert_eq!(hardware("3"), Ok(HardwareRange { min: 3, max: 3 }));
        assert_eq!(hardware("2-5"), Ok(HardwareRange { min: 2, max: 5 }));
        for wrong in ["", "5-2", "x", "70000", "1-"] {
            assert!(hardware(wrong).is_err(), "{wrong}");
        }
    }
}
