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

    /// With the MD5 of a region at the end of its data.
    fn with_md5(mut self, from: u32, len: u32, md5: &str) -> Self {
        self.flags |= 0x4000;
        self.payload.resize(476 - 24, 0xff);
        self.payload.extend([from, len].map(u32::to_le_bytes).concat());
        self.payload.extend(digits(md5));
        self
    }

    /// With the hash of the firmware as an extension.
    fn with_sha2(mut self, hash: &str) -> Self {
        self.flags |= 0x8000;
        let hash = digits(hash);
        self.payload.push(u8::try_from(4 + hash.len()).unwrap());
        self.payload.extend(*b"\xb0\x6d\xb4");
        self.payload.extend(hash);
        self
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

fn digits(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes().chunks(2).map(|digits| std::str::from_utf8(digits).unwrap());
    bytes.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
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

/// MD5 of 256 ones and 256 twos.
const MD5_OF_BOTH: &str = "fc161cdeac8e5fa738c5158a69a97890";

#[test]
fn the_md5_of_a_region_is_checked() {
    let with = |from, len, second| {
        let first = Block::new(0, 2, 1).with_md5(from, len, MD5_OF_BOTH);
        let second = Block::new(1, 2, second).with_md5(from, len, MD5_OF_BOTH);
        read(file(&[second, first]), &Options::default())
    };
    assert_eq!(with(0x1000, 512, 2).unwrap().notes, []);
    let changed = Uf2Error::RegionChanged { block: 1, from: 0x1000, to: 0x1200 };
    assert_eq!(with(0x1000, 512, 3), Err(Error::Uf2(changed)));
    assert!(with(0x1000, 511, 2).is_err() && with(0x1001, 511, 2).is_err());
    // Nobody knows what stands behind the last block, or in front of the first.
    for (from, len) in [(0x1000, 0x1000), (0xfff, 513), (0, 1), (0x1000, 0), (0x1000, u32::MAX)] {
        let notes = with(from, len, 2).unwrap().notes;
        assert_eq!(notes, [Note::ChecksumsNotChecked(1)], "{len} bytes at {from:#x}");
    }
}

#[test]
fn a_part_of_an_image_does_not_change_its_md5() {
    let first = Block::new(0, 2, 1).with_md5(0x1000, 512, MD5_OF_BOTH);
    let options = Options { range: Some(0x1000..0x1010), ..Options::default() };
    let input = read(file(&[first, Block::new(1, 2, 2)]), &options).unwrap();
    assert_eq!((input.bytes, input.notes), (vec![1; 16], vec![Note::OutsideRange { bytes: 496 }]));
}

#[test]
fn the_sha_2_of_the_firmware_is_checked() {
    let hashes = [
        "b9a2dbf19e3661e507906ce4b54e4a0280b6743ebc408de670a04603f786d350",
        "18e39d59f45fa196740b219f415fc9556ec7f50169c1b74140f612b3b04df2305de03ae498690b7acf53a273128f3d7c56a62374819166e6c0ffed7126e20537",
        // Of the first 300 bytes: the last block is filled up.
        "6df5c65e79a1a8a1a4d7edb75b1e689630209129bd9ee2b216d4a8d4",
        "c616127b1fef6dd45a24413fd598b485d7ce3a53e26784e98671707576caac3a9214af6fc365a6788c00d6571b127498",
    ];
    for hash in hashes {
        let with = |second| {
            let blocks = [Block::new(1, 2, second), Block::new(0, 2, 1).with_sha2(hash)];
            read(file(&blocks), &Options::default())
        };
        assert_eq!(with(2).unwrap().notes, [], "{hash}");
        let changed = Uf2Error::FirmwareChanged { block: 1, bits: hash.len() * 4 };
        assert_eq!(with(3), Err(Error::Uf2(changed)));
    }
    let [hash, ..] = hashes;
    let in_both =
        [Block::new(0, 2, 1).with_sha2(hash), Block::new(1, 2, 2).with_sha2(&"5a".repeat(32))];
    let contradicts = Uf2Error::FirmwareChanged { block: 1, bits: 256 };
    assert_eq!(read(file(&in_both), &Options::default()), Err(Error::Uf2(contradicts)));
    let unknown = [Block::new(0, 1, 1).with_sha2("0011")];
    let input = read(file(&unknown), &Options::default()).unwrap();
    assert_eq!(input.notes, [Note::ChecksumsNotChecked(1)]);
    // The gap of what is left out holds nobody knows what.
    let gap = [
        Block::new(0, 3, 1).with_sha2(hash),
        Block::new(2, 3, 2),
        Block { flags: 0x2001, ..Block::new(1, 3, 0) },
    ];
    assert!(
        read(file(&gap), &Options::default())
            .unwrap()
            .notes
            .contains(&Note::ChecksumsNotChecked(1))
    );
}

#[test]
fn a_checksum_leaves_less_room_for_the_payload() {
    let mut block = Block::new(0, 1, 1).with_md5(0x1000, 512, MD5_OF_BOTH).bytes();
    block[16..20].copy_from_slice(&453u32.to_le_bytes());
    let too_long = Uf2Error::Payload { block: 0, got: 453, limit: 452 };
    assert_eq!(read(block, &Options::default()), Err(Error::Uf2(too_long)));
}
