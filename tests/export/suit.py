"""Verifies a SUIT envelope with pycose, and tells what it says: `suit.py FILE PUBLIC_KEY_IN_HEX`.

Knows of draft-ietf-suit-manifest alone, and of how `docs/export.md` names components.
"""

import hashlib
import json
import sys
import uuid

import cbor2
from pycose.headers import KID, Algorithm
from pycose.algorithms import EdDSA
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import Sign1Message

SHA_256 = -16


def digest_of(content):
    """The digest over the byte string that encloses this content."""
    return [SHA_256, hashlib.sha256(cbor2.dumps(content)).digest()]


def pairs(sequence):
    items = cbor2.loads(sequence)
    return list(zip(items[::2], items[1::2]))


def member(envelope, manifest, label):
    """A member that may be severed; `None` if it was."""
    found = manifest[label]
    if isinstance(found, bytes):
        return found
    if label not in envelope:
        return None
    assert list(found) == digest_of(envelope[label]), f"the digest of member {label}"
    return envelope[label]


def sha256(parameters):
    algorithm, digest = cbor2.loads(parameters[3])
    assert algorithm == SHA_256
    return digest.hex()


def package(sequence):
    """A package that is fetched, and the base that must be running for it."""
    base = None
    found = {}
    component = None
    for command, argument in pairs(sequence):
        if command == 12:
            component = argument
        elif command == 20 and component == 1:
            base = sha256(argument)
        elif command == 20 and component == 2:
            found = {"uri": argument[21], "sha256": sha256(argument), "bytes": argument[14]}
    return {"base": base, **found}


def main(file, key):
    with open(file, "rb") as opened:
        tagged = cbor2.loads(opened.read())
    assert tagged.tag == 107, "the tag"
    envelope = tagged.value

    digest, block = cbor2.loads(envelope[2])
    assert list(cbor2.loads(digest)) == digest_of(envelope[3]), "the digest of the manifest"
    message = Sign1Message.decode(block)
    assert message.phdr[Algorithm] is EdDSA and message.payload is None
    message.key = OKPKey(crv=Ed25519, x=bytes.fromhex(key))
    assert message.verify_signature(detached_payload=digest), "the signature"
    assert message.phdr[KID] == hashlib.sha256(bytes.fromhex(key)).digest()[:8], "the key's id"

    manifest = cbor2.loads(envelope[3])
    assert manifest[1] == 1, "the version"
    common = cbor2.loads(manifest[3])
    components = [[name.decode() for name in component] for component in common[2]]
    product = components[0][0]
    assert components == [[product, name] for name in ("image", "running", "package")]
    image = dict(pairs(common[4]))[20]
    vendor = uuid.UUID(bytes=image[1])
    assert [command for command, _ in pairs(common[4])] == [12, 20, 1, 2]
    assert pairs(manifest[7]) == [(12, 0), (3, 15)], "image match"
    assert pairs(manifest[9]) == [(12, 0), (23, 2)], "invoke"

    fetch = pairs(member(envelope, manifest, 16))
    choices = dict(fetch)[15]
    assert [command for command, _ in fetch] == [12, 15, 12, 21, 3]
    install = pairs(member(envelope, manifest, 20))
    assert install == [(12, 0), (20, {22: 2}), (22, 2), (3, 15)]

    text = member(envelope, manifest, 23)
    texts = cbor2.loads(text)["en"] if text else {}
    of_image = texts.get(tuple(common[2][0]), {})
    domain, model = of_image.get(3), of_image.get(4)
    if text:
        assert vendor == uuid.uuid5(uuid.NAMESPACE_DNS, domain), "the vendor"
        assert image[2] == uuid.uuid5(vendor, model).bytes, "the class"
        json.loads(texts[3])
    print(
        json.dumps(
            {
                "sequence_number": manifest[2],
                "vendor": domain,
                "class": model,
                "image": {"sha256": sha256(image), "bytes": image[14]},
                "packages": [package(choice) for choice in choices],
                "notes": texts.get(2),
            }
        )
    )


main(*sys.argv[1:])
