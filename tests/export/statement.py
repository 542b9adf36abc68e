"""Verifies a DSSE envelope with securesystemslib, and its statement with in-toto's own types: `statement.py FILE PUBLIC_KEY`."""

import hashlib
import json
import sys

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey


def main(file, key_file):
    with open(key_file, "rb") as opened:
        public = load_pem_public_key(opened.read())
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    with open(file, "rb") as opened:
        envelope = Envelope.from_dict(json.load(opened))
    # A key's id is of our own making, and DSSE takes any.
    (keyid,) = envelope.signatures
    key = SSlibKey.from_crypto(public, keyid=keyid, scheme="ed25519")
    assert envelope.payload_type == "application/vnd.in-toto+json", "the type"
    envelope.verify([key], 1)
    assert keyid == hashlib.sha256(raw).hexdigest()[:16], "the key's id"

    message = json_format.Parse(envelope.payload, statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()
    assert message.predicate_type == "https://slsa.dev/provenance/v1"
    definition = message.predicate["buildDefinition"]
    for dependency in definition["resolvedDependencies"]:
        descriptor = json_format.MessageToDict(dependency)
        ResourceDescriptor(**descriptor).validate()
    print(envelope.payload.decode())


main(*sys.argv[1:])
