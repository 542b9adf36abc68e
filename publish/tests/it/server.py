"""A local AWS with a bucket, and AWS's own client, which asks what it is told: the name of an operation of S3 and its arguments."""

import base64
import sys

from local_aws import client, serve

BUCKET = sys.argv[2]


def make_bucket():
    client("s3").create_bucket(Bucket=BUCKET)


def ask(operation, arguments):
    if "Body" in arguments:
        arguments["Body"] = base64.b64decode(arguments["Body"])
    return getattr(client("s3"), operation)(Bucket=BUCKET, **arguments)


def text(value):
    return base64.b64encode(value.read()).decode() if hasattr(value, "read") else str(value)


serve("s3", make_bucket, ask, text)
