//! A decoder that lacks the instruction set of a payload says so before it writes anything.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "tests")]

use whittle_delta::compact::{CompactDecoder, MediumTables};
use whittle_delta::{DecodeError, Decoder, Images, Sizes};

/// A base of zeros, and how much has been appended.
struct Counting(usize);

impl Images for Counting {
    type Error = ();

    fn read_base(&mut self, _: u32, into: &mut [u8]) -> Result<(), ()> {
        into.fill(0);
        Ok(())
    }

    fn read_target(&mut self, _: u32, into: &mut [u8]) -> Result<(), ()> {
        into.fill(0);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ()> {
        self.0 += bytes.len();
        Ok(())
    }
}

/// Numbers of instruction sets in a stream, and whether this build reads them; 7 is none.
const SETS: [(u8, bool); 7] = [
    (1, cfg!(feature = "thumb")),
    (2, cfg!(feature = "riscv")),
    (3, cfg!(feature = "riscv")),
    (4, cfg!(feature = "xtensa")),
    (5, cfg!(feature = "aarch64")),
    (6, cfg!(feature = "arm")),
    (7, false),
];

#[test]
fn a_payload_for_an_instruction_set_that_is_left_out_is_an_error() {
    let mut tables = Box::new(MediumTables::NEW);
    for (set, _) in SETS.into_iter().filter(|(_, is_included)| !is_included) {
        // The class, then the set in the three highest bits: the coder takes the lower half of an interval for a one.
        let mut payload = [0x5a; 600];
        [payload[0], payload[1]] = [0, !set << 5];
        let sizes = Sizes { base: 1000, target: 1000, payload: payload.len() as u32 };
        let mut images = Counting(0);
        let mut decoder = CompactDecoder::new(sizes, tables.lend());
        assert_eq!(
            decoder.push(&mut &payload[..], &mut images),
            Err(DecodeError::Corrupt),
            "{set}"
        );
        assert_eq!(images.0, 0);
    }
}
