"""A local AWS with IoT Jobs, and the devices and the operator of its things.

Everything is done by botocore, AWS's own client, so it also tells whether that sees what the driver has done.
"""

from local_aws import client, serve


def iot(region):
    return client("iot", region)


def things(region, things):
    for name, attributes in things.items():
        iot(region).create_thing(thingName=name, attributePayload={"attributes": attributes})


def jobs(region):
    listed = iot(region).list_jobs()["jobs"]
    # Several may be made in one second: the way back after the way forth, and waves by their numbers.
    return sorted(listed, key=lambda job: (job["createdAt"], "-back-w" in job["jobId"], int(job["jobId"].rsplit("-w", 1)[1])))


def executions(region, job):
    pages = iot(region).get_paginator("list_job_executions_for_job").paginate(jobId=job)
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
    return iot(region).describe_job(jobId=job)["job"]


def delete(region, job):
    iot(region).delete_job(jobId=job, force=True)


def groups(region):
    return sorted(group["groupName"] for group in iot(region).list_thing_groups()["thingGroups"])


COMMANDS = {function.__name__: function for function in (things, take, state, describe, delete, groups)}

serve("iot", lambda: None, lambda command, arguments: COMMANDS[command](*arguments))
