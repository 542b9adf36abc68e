"""Runs ministack, a local AWS, and is the devices and the operator of its things.

Commands come as JSON, one a line, and so do the answers; ministack ends with its standard input. Everything is done by botocore, AWS's own
client, so it also tells whether that sees what the driver has done.
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


def client(service, region):
    if (service, region) not in clients:
        config = Config(retries={"max_attempts": 1}, parameter_validation=False)
        clients[service, region] = session.create_client(
            service, region_name=region, endpoint_url=URL, config=config, **ADMIN
        )
    return clients[service, region]


def wait():
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{URL}/_ministack/health", timeout=1).read()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("ministack does not start")


def key():
    """A user whose signatures are checked: those of the administrator are not."""
    iam = client("iam", "us-east-1")
    iam.create_user(UserName="whittle")
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="whittle", PolicyName="jobs", PolicyDocument=json.dumps(allow))
    made = iam.create_access_key(UserName="whittle")["AccessKey"]
    return {"id": made["AccessKeyId"], "key": made["SecretAccessKey"]}


def things(region, things):
    iot = client("iot", region)
    for name, attributes in things.items():
        iot.create_thing(thingName=name, attributePayload={"attributes": attributes})


def jobs(region):
    listed = client("iot", region).list_jobs()["jobs"]
    # Several may be made in one second: the way back after the way forth, and waves by their numbers.
    return sorted(listed, key=lambda job: (job["createdAt"], "-back-w" in job["jobId"], int(job["jobId"].rsplit("-w", 1)[1])))


def executions(region, job):
    pages = client("iot", region).get_paginator("list_job_executions_for_job").paginate(jobId=job)
    found = {}
    for page in pages:
        for entry in page["executionSummaries"]:
            thing = entry["thingArn"].split(":thing/")[1]
            summary = entry["jobExecutionSummary"]
            if thing not in found or found[thing]["executionNumber"] < summary["executionNumber"]:
                found[thing] = summary
    return {thing: summary["status"] for thing, summary in found.items()}


def take(region, number, status):
    """The next things do the newest job that is queued for them."""
    queued = {}
    for job in jobs(region):
        for thing, state in executions(region, job["jobId"]).items():
            if state == "QUEUED":
                queued[thing] = job["jobId"]
    for thing in sorted(queued)[:number]:
        client("iot-jobs-data", region).update_job_execution(
            jobId=queued[thing], thingName=thing, status=status
        )


def state(region):
    """For each thing: the last job that was not cancelled for it, and how far it is."""
    found = {}
    for job in jobs(region):
        for thing, status in executions(region, job["jobId"]).items():
            if status not in ("CANCELED", "REMOVED"):
                found[thing] = [job["jobId"], status]
    return found


def describe(region, job):
    found = client("iot", region).describe_job(jobId=job)["job"]
    return json.loads(json.dumps(found, default=str))


def delete(region, job):
    client("iot", region).delete_job(jobId=job, force=True)


def groups(region):
    return sorted(group["groupName"] for group in client("iot", region).list_thing_groups()["thingGroups"])


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
        known = [key, things, take, state, describe, delete, groups]
        commands = {function.__name__: function for function in known}
        for line in sys.stdin:
            command, arguments = json.loads(line)
            print(json.dumps(commands[command](*arguments)), flush=True)
    finally:
        server.kill()


main()
