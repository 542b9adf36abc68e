//! What UF2 files hold besides one image in order.

use whittle_delta::compact::InstructionSet;
use whittle_inputs::uf2::Uf2Error;
use whittle_inputs::{Error, Note, Options, read};

const NRF52840: u32 = 0xada5_2840;
const RP2350_RISCV: u32 = 0xe48b_ff5a;

struct Block {
    flags: u32,
    address: u32,
    number: u32,
    count: u32,
    family: u32,
    payload: Vec<u8>,
}

impl Block {
    fn new(number: u32, count: u32, fill: u8) -> Self {
        let (flags, family, address) = (0x2000, NRF52840, 0x1000 + 256 * number);
        Self { flags, address, number, count, family, payload: vec![fill; 256] }
    }

    fn bytes(&self) -> Vec<u8> {
        let len = u32::try_from(self.payload.len().min(256)).unwrap();
        let Self { flags, address, number, count, family, .. } = *self;
        let words = [0x0a32_4655, 0x9e5d_5157, flags, address, len, number, count, family];
        let mut bytes = words.map(u32::to_le_bytes).concat();
        bytes.extend_from_slice(&self.payload);
        bytes.resize(508, 0);
        bytes.extend_from_slice(&0x0ab1_6f30_u32.to_le_bytes());
        bytes
    }
}

fn file(blocks: &[Block]) -> Vec<u8> {
    blocks.iter().flat_map(Block::bytes).collect()
}

#[test]
fn blocks_for_other_memory_are_left_out_and_repeated_ones_count_once() {
    let other = Block { flags: 0x2001, ..Block::new(1, 3, 7) };
    let blocks = [Block::new(2, 3, 3), other, Block::new(0, 3, 1), Block::new(2, 3, 3)];
    let input = read(file(&blocks), &Options::default()).unwrap();
    assert_eq!(input.bytes, [[1; 256], [0xff; 256], [3; 256]].concat());
    let gap = Note::GapsFilled { gaps: 1, bytes: 256, fill: 0xff };
    assert_eq!(input.notes, [gap, Note::RepeatedBlocks(1), Note::NotMainFlash(1)]);
}

#[test]
fn the_block_in_front_of_images_for_the_rp2350_goes_nowhere() {
    let absolute = 0xe48b_ff57;
    let front =
        Block { address: 0x10ff_ff00, family: absolute, count: 2, ..Block::new(0, 2, 0xef) };
    let image = |number, fill| Block { family: RP2350_RISCV, ..Block::new(number, 2, fill) };
    let input = read(file(&[front, image(0, 1), image(1, 2)]), &Options::default()).unwrap();
    assert_eq!((input.load_address, input.bytes.len()), (Some(0x1000), 512));
    assert_eq!(input.instruction_set.map(InstructionSet::name), Some("riscv32"));
    assert_eq!(input.notes, [Note::IgnoredBlocks(1)]);
}

#[test]
fn one_of_several_families_can_be_asked_for() {
    let other = Block { family: RP2350_RISCV, ..Block::new(0, 1, 2) };
    let file = file(&[Block::new(0, 1, 1), other]);
    let ask = |family| read(file.clone(), &Options { family, ..Options::default() });
    let families = vec![Some(NRF52840), Some(RP2350_RISCV)];
    let several = Uf2Error::SeveralFamilies { families: families.clone() };
    assert_eq!(ask(None), Err(Error::Uf2(several)));
    assert_eq!(ask(Some(5)), Err(Error::Uf2(Uf2Error::NoSuchFamily { wanted: 5, families })));
    let input = ask(Some(RP2350_RISCV)).unwrap();
    assert_eq!((input.bytes, input.notes), (vec![2; 256], vec![Note::OtherFamilies(1)]));
}

#[test]
fn an_extension_tells_the_version() {
    let mut block = Block { flags: 0xa000, ..Block::new(0, 1, 1) };
    // A description first, filled up to four bytes.
    block.payload.extend_from_slice(b"\x09\x9d\x0d\x65board\0\0\0");
    block.payload.extend_from_slice(b"\x09\xbc\xc7\x9f2.4.1\0\0\0");
    let input = read(file(&[block]), &Options::default()).unwrap();
    assert_eq!(input.version.as_deref(), Some("2.4.1"));
}

#[test]
fn unknown_families_are_told() {
    let block = Block { family: 0x1234_5678, ..Block::new(0, 1, 1) };
    let input = read(file(&[block]), &Options::default()).unwrap();
    assert_eq!(input.notes, [Note::UnknownFamily(0x1234_5678)]);
}
