"""Writes the binary files of this directory; run it here. The text files are written by hand."""
import hashlib
import struct


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)


write("empty.bin", b"")


def block(number, count, data=b"\0" * 256, address=0x1000, flags=0x2000, family=0xADA52840, size=None, end=0x0AB16F30):
    size = len(data) if size is None else size
    head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, flags, address, size, number, count, family)
    return head + data.ljust(476, b"\0") + struct.pack("<I", end)


def blocks(name, *all_of_them):
    write(name, b"".join(all_of_them))


blocks("uf2-missing-block.uf2", block(0, 3), block(2, 3, address=0x1200))
blocks("uf2-last-block-missing.uf2", block(0, 3), block(1, 3, address=0x1100))
blocks("uf2-four-billion-blocks.uf2", block(0, 0xFFFFFFFF))
blocks("uf2-no-blocks-in-all.uf2", block(0, 0))
blocks("uf2-contradiction.uf2", block(0, 2), block(1, 2, address=0x1100), block(1, 2, b"\1" * 256, 0x1100))
blocks("uf2-overlap.uf2", block(0, 2), block(1, 2, address=0x10FF))
blocks("uf2-number-too-high.uf2", block(0, 2), block(2, 2, address=0x1100))
blocks("uf2-counts-differ.uf2", block(0, 2), block(1, 3, address=0x1100))
blocks("uf2-payload-too-long.uf2", block(0, 1, size=477))
blocks("uf2-payload-of-4-gib.uf2", block(0, 1, size=0xFFFFFFFF))
blocks("uf2-end-magic.uf2", block(0, 2), block(1, 2, address=0x1100, end=0))
blocks("uf2-second-start-magic.uf2", block(0, 2), b"\0" + block(1, 2, address=0x1100)[1:])
blocks("uf2-cut-in-block.uf2", block(0, 2), block(1, 2, address=0x1100)[:300])
blocks("uf2-file-container.uf2", block(0, 1, flags=0x1000))
blocks("uf2-not-main-flash.uf2", block(0, 1, flags=0x2001))
blocks("uf2-two-families.uf2", block(0, 1), block(0, 1, family=0xE48BFF56))
blocks("uf2-gap-of-4-gib.uf2", block(0, 2, address=0), block(1, 2, address=0xFFFFFF00))
blocks("uf2-behind-4-gib.uf2", block(0, 1, address=0xFFFFFFF0))
blocks("uf2-empty-payload.uf2", block(0, 1, b""))


def elf(segments, sections=(), kind=2, machine=40, entry=0x8000001, phnum=None, phoff=52, ehsize=52, data=b"\xAA" * 64, shoff=None, shnum=None, phentsize=32):
    table = b"".join(struct.pack("<8I", *segment) for segment in segments)
    at = 52 + len(table)
    rows = b"".join(struct.pack("<10I", *section) for section in sections)
    shoff = (at + len(data) if sections else 0) if shoff is None else shoff
    head = b"\x7fELF\1\1\1" + b"\0" * 9
    head += struct.pack("<HHIIIIIHHHHHH", kind, machine, 1, entry, phoff, shoff, 0, ehsize, phentsize,
                        len(segments) if phnum is None else phnum, 40, len(sections) if shnum is None else shnum, 0)
    return head + table + data + rows


# type, offset, virtual and physical address, bytes in file and in memory, flags, alignment
one = (1, 84, 0x20000000, 0x08000000, 64, 64, 5, 4)
write("elf-size-beyond-file.elf", elf([(1, 84, 0x20000000, 0x08000000, 65, 65, 5, 4)]))
write("elf-size-of-4-gib.elf", elf([(1, 84, 0x20000000, 0x08000000, 0xFFFFFFFF, 0xFFFFFFFF, 5, 4)]))
write("elf-offset-beyond-file.elf", elf([(1, 0xFFFFFF00, 0x20000000, 0x08000000, 64, 64, 5, 4)]))
write("elf-headers-beyond-file.elf", elf([one], phnum=60))
write("elf-65535-headers.elf", elf([one], phnum=65535))
write("elf-table-beyond-file.elf", elf([one], phoff=0xFFFFFFF0))
write("elf-header-size.elf", elf([one], phentsize=31))
write("elf-sections-beyond-file.elf", elf([one], shoff=0xFFFFFFF0, shnum=3))
write("elf-segments-overlap.elf", elf([(1, 116, 0x20000000, 0x08000000, 64, 64, 5, 4), (1, 116, 0x20000000, 0x08000020, 64, 64, 5, 4)]))
write("elf-segments-4-gib-apart.elf", elf([(1, 116, 0x20000000, 0x00000000, 64, 64, 5, 4), (1, 116, 0x20000000, 0xFFFFFF00, 64, 64, 5, 4)]))
write("elf-nothing-to-load.elf", elf([(1, 84, 0x20000000, 0x20000000, 0, 64, 6, 4)]))
write("elf-no-segments.elf", elf([]))
section = (0, 1, 2, 0x08000000, 84, 0xFFFFFFF0, 0, 0, 4, 0)
write("elf-section-lies.elf", elf([one], [(0,) * 10, section]))
# Sections of a segment from 84 to 148: name, type, flags, address, offset, size.
def loaded(offset, size):
    return (0, 1, 2, 0x08000000, offset, size, 0, 0, 4, 0)


write("elf-section-across-end.elf", elf([one], [(0,) * 10, loaded(84, 12), loaded(96, 64)]))
write("elf-section-across-start.elf", elf([one], [(0,) * 10, loaded(80, 12), loaded(92, 56)]))
write("elf-section-around.elf", elf([one], [(0,) * 10, loaded(52, 128)]))
write("elf-section-in-none.elf", elf([one], [(0,) * 10, loaded(84, 52), loaded(148, 12)]))
write("elf-larger-than-memory.elf", elf([(1, 84, 0x20000000, 0x08000000, 64, 63, 5, 4)]))
write("elf-behind-4-gib.elf", elf([(1, 84, 0x20000000, 0xFFFFFFC1, 64, 64, 5, 4)]))
write("elf-no-class.elf", b"\x7fELF\0\1\1" + elf([one])[7:])
write("elf-three-bytes-endian.elf", b"\x7fELF\1\3\1" + elf([one])[7:])
write("elf-cut-in-magic.elf", elf([one])[:4])
write("elf-cut-in-header.elf", elf([one])[:40])


def mcuboot(image=b"\x55" * 64, header=32, size=None, protected=b"", protected_size=None, entries=None, flags=0, total=None, magic=0x6907):
    size = len(image) if size is None else size
    protected_size = len(protected) if protected_size is None else protected_size
    head = struct.pack("<IIHHIIBBHII", 0x96F3B83D, 0, header, protected_size, size, flags, 1, 2, 3, 4, 0)
    covered = head.ljust(max(header, 32), b"\0") + image + protected
    if entries is None:
        entries = struct.pack("<HH", 0x10, 32) + hashlib.sha256(covered).digest()
    total = len(entries) + 4 if total is None else total
    return covered + struct.pack("<HH", magic, total) + entries


write("mcuboot-header-size.bin", mcuboot(header=31))
write("mcuboot-header-beyond-file.bin", mcuboot()[:40].replace(b"\x20\0\0\0", b"\xff\xff\0\0"))
write("mcuboot-size-of-4-gib.bin", mcuboot(size=0xFFFFFFFF))
write("mcuboot-cut-in-header.bin", mcuboot()[:20])
write("mcuboot-cut-in-image.bin", mcuboot()[:80])
write("mcuboot-cut-before-trailer.bin", mcuboot()[:96])
write("mcuboot-cut-in-trailer.bin", mcuboot()[:-1])
write("mcuboot-no-trailer.bin", mcuboot(magic=0xFFFF))
write("mcuboot-trailer-too-small.bin", mcuboot(total=3))
write("mcuboot-entry-too-long.bin", mcuboot(entries=struct.pack("<HH", 0x10, 0xFFFF) + b"\0" * 32))
write("mcuboot-half-entry.bin", mcuboot(entries=b"\x10\0\x20"))
write("mcuboot-no-hash.bin", mcuboot(entries=b""))
write("mcuboot-hash-too-short.bin", mcuboot(entries=struct.pack("<HH", 0x10, 4) + b"\0" * 4))
write("mcuboot-changed.bin", mcuboot().replace(b"\x55" * 64, b"\x55" * 63 + b"\x54"))
write("mcuboot-protected-magic.bin", mcuboot(protected=struct.pack("<HH", 0x6907, 4)))
write("mcuboot-protected-size.bin", mcuboot(protected=struct.pack("<HH", 0x6908, 4) + b"\0" * 4))


def esp(segments=((0x40380000, b"\1\2\3\4"),), count=None, chip=5, has_hash=1, checksum=None, sha=None, sizes=None):
    count = len(segments) if count is None else count
    image = struct.pack("<4BI4BHBHH4xB", 0xE9, count, 2, 0x20, 0x40380000, 0xEE, 0, 0, 0, chip, 0, 0, 0xFFFF, has_hash)
    total = 0xEF
    for index, (address, data) in enumerate(segments):
        image += struct.pack("<II", address, len(data) if sizes is None else sizes[index]) + data
        for byte in data:
            total ^= byte
    image += b"\0" * (15 - len(image) % 16) + bytes([total if checksum is None else checksum])
    if has_hash:
        image += hashlib.sha256(image).digest() if sha is None else sha
    return image


write("esp-checksum.bin", esp(checksum=0))
write("esp-changed.bin", esp(sha=b"\0" * 32))
write("esp-hash-cut.bin", esp()[:-1])
write("esp-hash-missing.bin", esp()[:-32])
write("esp-checksum-missing.bin", esp()[:40])
write("esp-segment-of-4-gib.bin", esp(sizes=[0xFFFFFFFF]))
write("esp-segment-missing.bin", esp(count=2)[:36])
write("esp-cut-in-segment.bin", esp(((0x40380000, b"\1" * 64),))[:60])
write("esp-cut-behind-header.bin", esp()[:24])
