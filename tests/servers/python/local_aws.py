"""Runs ministack, a local AWS, and does what a test asks of AWS's own client.

The first line out is the credentials of a user whose signatures are checked. Then commands come as JSON, one a line: a name and arguments. So do
the answers. ministack ends with standard input.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

import botocore.session
from botocore.config import Config

PORT = sys.argv[1]
URL = f"http://127.0.0.1:{PORT}"
ADMIN = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
session = botocore.session.get_session()
clients = {}


def client(service, region="us-east-1"):
    """AWS's client of a service, as the administrator, whose signatures are not checked. What it is asked is the server's to judge."""
    if (service, region) not in clients:
        config = Config(retries={"max_attempts": 1}, parameter_validation=False)
        clients[service, region] = session.create_client(
            service, region_name=region, endpoint_url=URL, config=config, **ADMIN
        )
    return clients[service, region]


def wait(server):
    for _ in range(6000):
        try:
            urllib.request.urlopen(f"{URL}/_ministack/health", timeout=1).read()
            return
        except OSError:
            time.sleep(0.05)
        if server.poll() is not None:
            break
    sys.exit("ministack does not start")


def key(service):
    """A user who may do everything with a service, and whose signatures are checked."""
    iam = client("iam")
    iam.create_user(UserName="whittle")
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": f"{service}:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="whittle", PolicyName="whittle", PolicyDocument=json.dumps(allow))
    made = iam.create_access_key(UserName="whittle")["AccessKey"]
    return {"id": made["AccessKeyId"], "key": made["SecretAccessKey"]}


def serve(service, prepare, answer, text=str):
    """Starts ministack, prepares it, and answers commands; `text` makes text of what JSON does not have."""
    environment = {
        **os.environ, "GATEWAY_PORT": PORT, "BIND_HOST": "127.0.0.1", "AUTH": "true", "LOG_LEVEL": "ERROR",
        "IOT_MTLS_ENABLED": "false", "SFTP_ENABLED": "false", "TMPDIR": tempfile.mkdtemp(prefix="whittle-ministack-"),
    }
    program = os.path.join(os.path.dirname(sys.executable), "ministack")
    # What it says goes nowhere: the answers go to standard output.
    server = subprocess.Popen([program], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(server)
        prepare()
        print(json.dumps(key(service)), flush=True)
        for line in sys.stdin:
            command, arguments = json.loads(line)
            print(json.dumps(answer(command, arguments), default=text), flush=True)
    finally:
        server.kill()
