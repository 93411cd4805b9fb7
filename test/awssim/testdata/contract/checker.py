"""The checker of answers itself."""

import json

import shapes
from harness import client, equal


def test_checker_finds_violations():
    ec2 = client("ec2").meta.service_model.operation_model("DescribeRegions")
    envelope = '<%sResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><regionInfo>%s</regionInfo></%sResponse>'
    region = "<%s><regionName>x</regionName></%s>"
    good = envelope % ("DescribeRegions", region % ("item", "item"), "DescribeRegions")
    equal(shapes.violations(ec2, 200, good.encode()), [])
    for bad in (
        good.replace("regionName", "RegionName"),
        good.replace("item", "member"),
        good.replace("/2016-11-15/", "/2016-11-15"),
        good.replace("<requestId>1</requestId>", ""),
    ):
        equal(len(shapes.violations(ec2, 200, bad.encode())), 1)
    kms = client("kms").meta.service_model.operation_model("DescribeKey")
    good = {"KeyMetadata": {"KeyId": "k", "KeyState": "Enabled", "Enabled": True, "CreationDate": 1.5}}
    equal(shapes.violations(kms, 200, json.dumps(good).encode()), [])
    for name, value in {"keyState": "Enabled", "KeyState": "On", "Enabled": "true", "CreationDate": "2026", "KeyId": None}.items():
        bad = {"KeyMetadata": {**good["KeyMetadata"], name: value}}
        equal(len(shapes.violations(kms, 200, json.dumps(bad).encode())), 1)
