"""Runs ministack, a local AWS, with a bucket, and asks it as AWS's own client does.

The first line out is the credentials of a user whose signatures are checked. Then commands come as JSON, one a line: the name of an operation
of S3 and its arguments. So do the answers. ministack ends with standard input.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

import botocore.session

PORT, BUCKET = sys.argv[1:]
URL = f"http://127.0.0.1:{PORT}"
ADMIN = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
session = botocore.session.get_session()


def client(service):
    return session.create_client(service, region_name="us-east-1", endpoint_url=URL, **ADMIN)


def wait():
    for _ in range(6000):
        try:
            urllib.request.urlopen(f"{URL}/_ministack/health", timeout=1).read()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("ministack does not start")


def key():
    """A user whose signatures are checked: those of the administrator are not."""
    iam = client("iam")
    iam.create_user(UserName="whittle")
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="whittle", PolicyName="releases", PolicyDocument=json.dumps(allow))
    made = iam.create_access_key(UserName="whittle")["AccessKey"]
    return {"id": made["AccessKeyId"], "key": made["SecretAccessKey"]}


def text(value):
    return base64.b64encode(value.read()).decode() if hasattr(value, "read") else str(value)


def main():
    environment = {
        **os.environ, "GATEWAY_PORT": PORT, "BIND_HOST": "127.0.0.1", "AUTH": "true", "LOG_LEVEL": "ERROR",
        "IOT_MTLS_ENABLED": "false", "SFTP_ENABLED": "false", "TMPDIR": tempfile.mkdtemp(prefix="whittle-ministack-"),
    }
    program = os.path.join(os.path.dirname(sys.executable), "ministack")
    # What it says goes nowhere: the answers go to standard output.
    server = subprocess.Popen([program], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait()
        s3 = client("s3")
        s3.create_bucket(Bucket=BUCKET)
        print(json.dumps(key()), flush=True)
        for line in sys.stdin:
            operation, arguments = json.loads(line)
            if "Body" in arguments:
                arguments["Body"] = base64.b64decode(arguments["Body"])
            answer = getattr(s3, operation)(Bucket=BUCKET, **arguments)
            print(json.dumps(answer, default=text), flush=True)
    finally:
        server.kill()


main()
