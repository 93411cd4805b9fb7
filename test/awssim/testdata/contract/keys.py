"""KMS."""

import json

from harness import DISABLED_REGION, KEY, MEMBER, PRIMARY, PUBLISHER, REPLICA, client, equal, fails, policy

OWNER = {"Sid": "Owner", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{PUBLISHER}:root"}, "Action": "kms:*", "Resource": "*"}
SLR = f"arn:aws:iam::{MEMBER}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"


def test_create_multi_region_key():
    kms = client("kms")
    made = kms.create_key(
        MultiRegion=True, Description="golden", Policy=policy(OWNER), Tags=[{"TagKey": "team", "TagValue": "images"}]
    )["KeyMetadata"]
    KEY[PRIMARY] = made["Arn"]
    assert made["KeyId"].startswith("mrk-") and len(made["KeyId"]) == 36, made["KeyId"]
    equal(made["Arn"], f"arn:aws:kms:{PRIMARY}:{PUBLISHER}:key/{made['KeyId']}")
    equal(made["MultiRegionConfiguration"]["MultiRegionKeyType"], "PRIMARY")
    equal((made["KeyState"], made["KeyManager"], made["Origin"]), ("Enabled", "CUSTOMER", "AWS_KMS"))
    equal(kms.list_resource_tags(KeyId=made["KeyId"])["Tags"], [{"TagKey": "team", "TagValue": "images"}])


def test_replicate_key():
    made = client("kms").replicate_key(KeyId=KEY[PRIMARY], ReplicaRegion=REPLICA, Policy=policy(OWNER))
    KEY[REPLICA] = made["ReplicaKeyMetadata"]["Arn"]
    equal(KEY[REPLICA], KEY[PRIMARY].replace(PRIMARY, REPLICA))
    equal(json.loads(made["ReplicaPolicy"])["Statement"][0]["Sid"], "Owner")
    config = client("kms").describe_key(KeyId=KEY[PRIMARY])["KeyMetadata"]["MultiRegionConfiguration"]
    equal(config["PrimaryKey"], {"Arn": KEY[PRIMARY], "Region": PRIMARY})
    equal(config["ReplicaKeys"], [{"Arn": KEY[REPLICA], "Region": REPLICA}])
    fails("AlreadyExistsException", client("kms").replicate_key, KeyId=KEY[PRIMARY], ReplicaRegion=REPLICA)
    fails("UnsupportedOperationException", client("kms", region=REPLICA).replicate_key, KeyId=KEY[REPLICA], ReplicaRegion="ap-southeast-2")


def test_aliases():
    for region in (PRIMARY, REPLICA):
        kms = client("kms", region=region)
        kms.create_alias(AliasName="alias/golden", TargetKeyId=KEY[region])
        equal(kms.describe_key(KeyId="alias/golden")["KeyMetadata"]["Arn"], KEY[region])
        fails("AlreadyExistsException", kms.create_alias, AliasName="alias/golden", TargetKeyId=KEY[region])
        fails("ValidationException", kms.create_alias, AliasName="golden", TargetKeyId=KEY[region])
    kms = client("kms")
    for i in range(3):
        kms.create_alias(AliasName=f"alias/page-{i}", TargetKeyId=KEY[PRIMARY])
    pages = list(kms.get_paginator("list_aliases").paginate(KeyId=KEY[PRIMARY], PaginationConfig={"PageSize": 2}))
    equal(sorted(a["AliasName"] for p in pages for a in p["Aliases"]), ["alias/golden", "alias/page-0", "alias/page-1", "alias/page-2"])
    for i in range(3):
        kms.delete_alias(AliasName=f"alias/page-{i}")


def test_key_policy():
    share = {
        "Sid": "ShareAMIToAccounts",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey", "kms:ListGrants"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": client("organizations").describe_organization()["Organization"]["Id"]}},
    }
    for region in (PRIMARY, REPLICA):
        kms = client("kms", region=region)
        kms.put_key_policy(KeyId=KEY[region], PolicyName="default", Policy=policy(OWNER, share))
        got = kms.get_key_policy(KeyId=KEY[region], PolicyName="default")
        equal([s["Sid"] for s in json.loads(got["Policy"])["Statement"]], ["Owner", "ShareAMIToAccounts"])
    kms = client("kms")
    wrong = dict(OWNER, Resources="*")
    fails("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=KEY[PRIMARY], Policy=policy(wrong))
    nobody = dict(OWNER, Principal={"AWS": f"arn:aws:iam::{MEMBER}:role/NoSuchRole"})
    fails("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=KEY[PRIMARY], Policy=policy(OWNER, dict(nobody, Sid="x")))


def test_rotation():
    kms = client("kms")
    kms.enable_key_rotation(KeyId=KEY[PRIMARY])
    equal(kms.get_key_rotation_status(KeyId=KEY[PRIMARY])["KeyRotationEnabled"], True)
    fails("UnsupportedOperationException", client("kms", region=REPLICA).enable_key_rotation, KeyId=KEY[REPLICA])


def test_grants():
    kms = client("kms")
    grant = dict(KeyId=KEY[PRIMARY], GranteePrincipal=SLR, Operations=["Decrypt", "CreateGrant", "DescribeKey"], Name="autoscaling")
    first = kms.create_grant(**grant)
    assert first["GrantToken"]
    equal(kms.create_grant(**grant)["GrantId"], first["GrantId"])
    for i in range(4):
        kms.create_grant(**dict(grant, Name=f"page-{i}"))
    pages = list(kms.get_paginator("list_grants").paginate(KeyId=KEY[PRIMARY], PaginationConfig={"PageSize": 2}))
    equal(len(pages), 3)
    listed = {g["Name"]: g for p in pages for g in p["Grants"]}
    equal(sorted(listed), ["autoscaling", "page-0", "page-1", "page-2", "page-3"])
    got = listed["autoscaling"]
    equal((got["GrantId"], got["GranteePrincipal"], got["KeyId"]), (first["GrantId"], SLR, KEY[PRIMARY]))
    equal(sorted(got["Operations"]), ["CreateGrant", "Decrypt", "DescribeKey"])
    kms.revoke_grant(KeyId=KEY[PRIMARY], GrantId=listed["page-0"]["GrantId"])
    equal(len(kms.list_grants(KeyId=KEY[PRIMARY], GranteePrincipal=SLR)["Grants"]), 4)
    fails("DryRunOperationException", kms.create_grant, **dict(grant, DryRun=True))
    fails("InvalidArnException", kms.create_grant, **dict(grant, GranteePrincipal=SLR + "_nobody", Name="nobody"))
    fails("InvalidArnException", kms.create_grant, **dict(grant, KeyId="alias/golden", Name="alias"))


def test_grant_from_member():
    kms = client("kms", MEMBER)
    made = kms.create_grant(KeyId=KEY[PRIMARY], GranteePrincipal=SLR, Operations=["Decrypt"], Name="member")
    equal([g["Name"] for g in kms.list_grants(KeyId=KEY[PRIMARY], GrantId=made["GrantId"])["Grants"]], ["member"])


def test_errors_of_kms():
    kms = client("kms")
    fails("NotFoundException", kms.describe_key, KeyId="mrk-" + 32 * "0")
    fails("NotFoundException", kms.describe_key, KeyId="alias/none")
    fails("AccessDeniedException", client("kms", MEMBER).put_key_policy, KeyId=KEY[PRIMARY], Policy=policy(OWNER))
    unknown = {"AccessKeyId": "AKIAUNKNOWNUNKNOWN00", "SecretAccessKey": "x"}
    fails("UnrecognizedClientException", client("kms", credentials=unknown).list_keys)
    fails("UnrecognizedClientException", client("kms", region=DISABLED_REGION).list_keys)


def test_key_states():
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    fails("DisabledException", kms.encrypt, KeyId=key, Plaintext=b"x")
    kms.enable_key(KeyId=key)
    box = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    equal(kms.decrypt(CiphertextBlob=box)["Plaintext"], b"x")
    equal(kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)["KeyState"], "PendingDeletion")
    fails("KMSInvalidStateException", kms.enable_key, KeyId=key)
    kms.cancel_key_deletion(KeyId=key)
    equal(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "Disabled")
    assert key in [k["KeyId"] for p in kms.get_paginator("list_keys").paginate() for k in p["Keys"]]
