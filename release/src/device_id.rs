//! A device's id as people write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use whittle_format::flags::check_device_id;
use whittle_format::limits::MAX_DEVICE_ID_BYTES;

use crate::image::hex;

const HEX_PREFIX: &str = "hex:";

/// A device's id: text as it is, or other bytes as `hex:` and their digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(into = "String", try_from = "String")]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^(hex:([0-9a-f]{2})+|[!-~]+)$")))]
pub struct DeviceId(Vec<u8>);

impl DeviceId {
    /// Takes bytes as an id.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes that are drawn and compared.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |text: &&str| {
            !text.starts_with(HEX_PREFIX) && text.chars().all(|c| c.is_ascii_graphic())
        };
        match std::str::from_utf8(&self.0).ok().filter(is_plain) {
            Some(text) => f.pad(text),
            None => f.pad(&format!("{HEX_PREFIX}{}", hex(&self.0))),
        }
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for DeviceId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for DeviceId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = match text.strip_prefix(HEX_PREFIX) {
            None => text.as_bytes().to_vec(),
            Some(digits) => hex_bytes(digits)
                .ok_or_else(|| format!("`{text}` has no even number of hexadecimal digits"))?,
        };
        check_device_id(&bytes).map_err(|_| {
            format!(
                "a device id has 1 to {MAX_DEVICE_ID_BYTES} bytes, this one has {}",
                bytes.len()
            )
        })?;
        Ok(Self(bytes))
    }
}

/// Parses any even number of hexadecimal digits.
fn hex_bytes(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_show_as_they_are_written() {
        for (text, bytes) in [
            ("TH-0042", &b"TH-0042"[..]),
            ("24:6f:28:00:00:01", b"24:6f:28:00:00:01"),
            ("hex:00ff", &[0x00, 0xff]),
            ("hex:2468", b"$h"),
        ] {
            let id: DeviceId = text.parse().expect("an id");
            assert_eq!(id.as_bytes(), bytes);
            let shown: DeviceId = id.to_string().parse().expect("an id");
            assert_eq!(shown, id, "{text}");
        }
        let odd = DeviceId::from_bytes(b"hex:00");
        assert_eq!(odd.to_string(), "hex:6865783a3030");
        for wrong in ["", "hex:", "hex:0", "hex:0g", &"x".repeat(65)] {
            assert!(wrong.parse::<DeviceId>().is_err(), "{wrong}");
        }
    }
}
