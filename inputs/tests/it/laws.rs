//! What is written in a format is read back, however it was cut and ordered.

use proptest::prelude::*;
use whittle_delta::compact::InstructionSet;
use whittle_inputs::{Error, Format, MemoryError, Options, Place, read};

/// Bytes at an address.
type Piece = (u32, Vec<u8>);

/// An image somewhere in 32 bits of address space, cut into pieces of at most 32 bytes, in some order.
fn pieces() -> impl Strategy<Value = (u32, Vec<u8>, Vec<Piece>)> {
    let image = proptest::collection::vec(any::<u8>(), 1..3000);
    (any::<u32>(), image, 1usize..32, any::<u64>()).prop_map(|(address, image, len, seed)| {
        let address = address.min(u32::MAX - 4096);
        let mut pieces: Vec<Piece> = (address..)
            .step_by(len)
            .zip(image.chunks(len))
            .map(|(address, chunk)| (address, chunk.to_vec()))
            .collect();
        let mut state = seed;
        for at in (1..pieces.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = usize::try_from(state >> 33).unwrap() % (at + 1);
            pieces.swap(at, other);
        }
        (address, image, pieces)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn ihex_record(address: u16, kind: u8, data: &[u8]) -> String {
    let [high, low] = address.to_be_bytes();
    let mut bytes = vec![u8::try_from(data.len()).unwrap(), high, low, kind];
    bytes.extend_from_slice(data);
    bytes.push(sum(&bytes).wrapping_neg());
    format!(":{}\n", hex(&bytes))
}

fn ihex(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for (address, data) in pieces {
        let [a, b, c, d] = address.to_be_bytes();
        text += &ihex_record(0, 4, &[a, b]);
        text += &ihex_record(u16::from_be_bytes([c, d]), 0, data);
    }
    text + &ihex_record(0, 1, &[])
}

fn srec(pieces: &[Piece]) -> String {
    let record = |kind: u8, address: &[u8], data: &[u8]| {
        let mut bytes = vec![u8::try_from(address.len() + data.len() + 1).unwrap()];
        bytes.extend_from_slice(address);
        bytes.extend_from_slice(data);
        bytes.push(!sum(&bytes));
        format!("S{kind}{}\r\n", hex(&bytes))
    };
    let mut text = record(0, &[0, 0], b"laws");
    for (address, data) in pieces {
        text += &record(3, &address.to_be_bytes(), data);
    }
    let count = u16::try_from(pieces.len()).unwrap();
    text + &record(5, &count.to_be_bytes(), &[]) + &record(7, &[0; 4], &[])
}

fn uf2(pieces: &[Piece], numbers: &[u32]) -> Vec<u8> {
    let count = u32::try_from(pieces.len()).unwrap();
    let block = |number: u32, (address, data): &Piece| {
        let len = u32::try_from(data.len()).unwrap();
        let words = [0x0a32_4655, 0x9e5d_5157, 0x2000, *address, len, number, count, 0xada5_2840];
        let mut block = words.map(u32::to_le_bytes).concat();
        block.extend_from_slice(data);
        block.resize(508, 0);
        block.extend_from_slice(&0x0ab1_6f30_u32.to_le_bytes());
        block
    };
    numbers.iter().zip(pieces).flat_map(|(number, piece)| block(*number, piece)).collect()
}

proptest! {
    #[test]
    fn images_survive_text((address, image, pieces) in pieces()) {
        for (format, text) in [(Format::IntelHex, ihex(&pieces)), (Format::Srec, srec(&pieces))] {
            let options = Options { format: Some(format), ..Options::default() };
            for text in [text.clone(), text.replace('\n', "\r\n"), text.to_lowercase().replace('s', "S")] {
                let input = read(text.into_bytes(), &options).unwrap();
                prop_assert_eq!(input.load_address, Some(address.into()));
                prop_assert_eq!(&input.bytes, &image);
                prop_assert_eq!(&input.notes, &[]);
            }
        }
    }

    #[test]
    fn images_survive_uf2((address, image, pieces) in pieces()) {
        let mut by_address: Vec<u32> = pieces.iter().map(|(address, _)| *address).collect();
        by_address.sort_unstable();
        let number = |piece: &Piece| u32::try_from(by_address.binary_search(&piece.0).unwrap()).unwrap();
        let numbers: Vec<u32> = pieces.iter().map(number).collect();
        let options = Options { format: Some(Format::Uf2), ..Options::default() };
        let file = uf2(&pieces, &numbers);
        let input = read(file.clone(), &options).unwrap();
        prop_assert_eq!(input.load_address, Some(address.into()));
        prop_assert_eq!(&input.bytes, &image);
        prop_assert_eq!(input.instruction_set.map(InstructionSet::name), Some("thumb"));
        // Any block may be there again; none may be missing.
        let again = [&file[..], &file[..512]].concat();
        prop_assert_eq!(&read(again, &options).unwrap().bytes, &image);
        if file.len() > 512 {
            prop_assert!(read(file[512..].to_vec(), &options).is_err());
        }
    }

    /// One record more, somewhere in the image, is found with both lines.
    #[test]
    fn overlaps_are_found((_, image, pieces) in pieces(), pick in any::<prop::sample::Index>()) {
        let (address, data) = pieces[pick.index(pieces.len())].clone();
        let mut more = pieces.clone();
        more.push((address + u32::try_from(data.len()).unwrap() - 1, vec![1]));
        let error = read(ihex(&more).into_bytes(), &Options::default()).unwrap_err();
        let Error::Memory(MemoryError::Overlap { first, second, .. }) = error else {
            panic!("{error:?}, {}", image.len())
        };
        let lines = [pick.index(pieces.len()), pieces.len()]
            .map(|index| Place::Line(u32::try_from(2 * index + 2).unwrap()));
        prop_assert!(lines.contains(&first) && lines.contains(&second) && first != second);
    }

    #[test]
    fn anything_is_taken_or_refused(file in proptest::collection::vec(any::<u8>(), 0..2000), head in 0usize..8) {
        let heads: [&[u8]; 8] = [
            b"", b":", b"S1", b"UF2\n\x57\x51\x5d\x9e", b"\x7fELF\x01\x01\x01", b"\x7fELF\x02\x01\x01",
            b"\x3d\xb8\xf3\x96", b"\xe9\x02\x02\x20\x00\x00\x38\x40",
        ];
        let file = [heads[head], &file].concat();
        for format in Format::ALL {
            let _ = read(file.clone(), &Options { format: Some(format), ..Options::default() });
        }
        let _ = read(file, &Options::default());
    }
}
