//! The checksum of what the journal holds, or vouches for: CRC-32 (ISO-HDLC), as in Ethernet and zip.

/// The CRC of the bytes so far, which is worked out bit by bit: a table would take 1 KB of flash.
#[derive(Clone, Copy)]
pub(crate) struct Crc(u32);

/// The polynomial without its highest power; the lowest bit comes first.
const POLYNOMIAL: u32 = 0xedb8_8320;

impl Crc {
    /// That of no bytes.
    pub(crate) const NEW: Self = Self(u32::MAX);

    #[inline(never)]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..u8::BITS {
                let is_odd = self.0 & 1 != 0;
                self.0 >>= 1;
                if is_odd {
                    self.0 ^= POLYNOMIAL;
                }
            }
        }
    }

    pub(crate) fn value(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_that_of_ethernet_and_zip_however_the_bytes_are_split() {
        for split in 0..=9 {
            let mut crc = Crc::NEW;
            let (front, back) = b"123456789".split_at(split);
            crc.update(front);
            crc.update(back);
            assert_eq!(crc.value(), 0xcbf4_3926);
        }
        assert_eq!(Crc::NEW.value(), 0);
    }
}
