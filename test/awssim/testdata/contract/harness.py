"""Clients of the simulator and assertions, for the tests of the contract."""

import json
import os

import boto3
import botocore.config
import botocore.exceptions

import shapes

ENDPOINT = os.environ["CONTRACT_ENDPOINT"]
KEYS = json.loads(os.environ["CONTRACT_KEYS"])
PUBLISHER = os.environ["CONTRACT_PUBLISHER"]
MANAGEMENT = os.environ["CONTRACT_MANAGEMENT"]
MEMBER = os.environ["CONTRACT_MEMBER"]
PRIMARY, REPLICA, DISABLED_REGION = "us-east-1", "eu-west-1", "af-south-1"

found_violations = []


def client(service, account=PUBLISHER, region=PRIMARY, credentials=None):
    """Returns a client whose every answer is checked against AWS's model."""
    if credentials is None:
        credentials = {"AccessKeyId": KEYS[account]["id"], "SecretAccessKey": KEYS[account]["secret"]}
    made = boto3.client(
        service,
        region_name=region,
        endpoint_url=ENDPOINT,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
        config=botocore.config.Config(retries={"max_attempts": 1}),
    )

    def check(operation_model, response_dict, **_):
        found_violations.extend(shapes.violations(operation_model, response_dict["status_code"], response_dict["body"]))

    made.meta.events.register("before-parse." + service, check)
    return made


def fails(code, call, status=400, **arguments):
    """Asserts that the call is answered with the error code and a message."""
    answer = None
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as e:
        answer = e.response
    assert answer is not None, f"succeeded, want {code}"
    got, metadata = answer["Error"], answer["ResponseMetadata"]
    assert got["Code"] == code, f"error code {got['Code']}: {got.get('Message')}, want {code}"
    assert got.get("Message"), f"{code} has no message"
    assert metadata["HTTPStatusCode"] == status, f"{code} has HTTP status {metadata['HTTPStatusCode']}, want {status}"
    assert metadata.get("RequestId"), f"{code} has no request id"


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


KEY, IMAGE = {}, {}  # ARNs and ids that earlier tests made, by region
