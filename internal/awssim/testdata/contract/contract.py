"""Drives the simulator with boto3 through the calls that a publication makes.

Reads from the environment: CONTRACT_ENDPOINT, and CONTRACT_KEYS, a JSON object
{account id: {"id": …, "secret": …}}; CONTRACT_PUBLISHER, CONTRACT_MANAGEMENT and
CONTRACT_MEMBER name accounts in it. Prints a line of JSON for every test:
{"test": name, "error": text or null}. The tests build on each other, in order.
"""

import json
import os
import traceback

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


OWNER = {"Sid": "Owner", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{PUBLISHER}:root"}, "Action": "kms:*", "Resource": "*"}
SLR = f"arn:aws:iam::{MEMBER}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
KEY, IMAGE = {}, {}  # what earlier tests made, by region


# STS, IAM


def test_get_caller_identity():
    got = client("sts").get_caller_identity()
    equal(got["Account"], PUBLISHER)
    equal(got["Arn"], f"arn:aws:iam::{PUBLISHER}:user/admin")
    assert got["UserId"]


def test_assume_role_of_member():
    iam = client("iam", MEMBER)
    trust = policy({"Effect": "Allow", "Principal": {"AWS": PUBLISHER}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName="Granter", Path="/ops/", AssumeRolePolicyDocument=trust)["Role"]
    equal(role["Arn"], f"arn:aws:iam::{MEMBER}:role/ops/Granter")
    iam.put_role_policy(
        RoleName="Granter",
        PolicyName="kms",
        PolicyDocument=policy({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}),
    )
    equal(iam.get_role(RoleName="Granter")["Role"]["Path"], "/ops/")
    assert "PolicyDocument" in iam.get_role_policy(RoleName="Granter", PolicyName="kms")
    got = client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="contract")
    equal(got["AssumedRoleUser"]["Arn"], f"arn:aws:sts::{MEMBER}:assumed-role/Granter/contract")
    session = client("sts", credentials=got["Credentials"]).get_caller_identity()
    equal((session["Account"], session["Arn"]), (MEMBER, got["AssumedRoleUser"]["Arn"]))


def test_errors_of_sts_and_iam():
    unknown = {"AccessKeyId": "AKIAUNKNOWNUNKNOWN00", "SecretAccessKey": "x"}
    fails("InvalidClientTokenId", client("sts", credentials=unknown).get_caller_identity, status=403)
    fails(
        "AccessDenied",
        client("sts").assume_role,
        status=403,
        RoleArn=f"arn:aws:iam::{MEMBER}:role/NoSuchRole",
        RoleSessionName="contract",
    )
    iam = client("iam", MEMBER)
    fails("NoSuchEntity", iam.get_role, status=404, RoleName="NoSuchRole")
    fails("EntityAlreadyExists", iam.create_role, status=409, RoleName="Granter", AssumeRolePolicyDocument=policy(
        {"Effect": "Allow", "Principal": {"AWS": PUBLISHER}, "Action": "sts:AssumeRole"}))
    fails("MalformedPolicyDocument", iam.create_role, RoleName="Other", AssumeRolePolicyDocument="{}")


# Organizations


def test_describe_organization():
    got = client("organizations").describe_organization()["Organization"]
    assert got["Id"].startswith("o-")
    equal(got["Arn"], f"arn:aws:organizations::{MANAGEMENT}:organization/{got['Id']}")
    equal(got["MasterAccountId"], MANAGEMENT)


def test_list_accounts_pages():
    organizations = client("organizations", MANAGEMENT)
    pages = list(organizations.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 2}))
    assert len(pages) > 1, f"{len(pages)} page"
    accounts = {a["Id"]: a for page in pages for a in page["Accounts"]}
    for account in (PUBLISHER, MANAGEMENT, MEMBER):
        equal(accounts[account]["Status"], "ACTIVE")
    equal(organizations.describe_account(AccountId=MEMBER)["Account"]["Arn"], accounts[MEMBER]["Arn"])


def test_walk_organizational_units():
    organizations = client("organizations", MANAGEMENT)
    root = [r["Id"] for page in organizations.get_paginator("list_roots").paginate() for r in page["Roots"]][0]
    below = [root]
    found = set()
    while below:
        parent = below.pop()
        for page in organizations.get_paginator("list_accounts_for_parent").paginate(ParentId=parent):
            found.update(a["Id"] for a in page["Accounts"])
        for page in organizations.get_paginator("list_organizational_units_for_parent").paginate(ParentId=parent):
            below.extend(u["Id"] for u in page["OrganizationalUnits"])
    assert {PUBLISHER, MANAGEMENT, MEMBER} <= found, f"found {sorted(found)}"
    parents = [p for page in organizations.get_paginator("list_parents").paginate(ChildId=MEMBER) for p in page["Parents"]]
    equal([p["Type"] for p in parents], ["ORGANIZATIONAL_UNIT"])


def test_errors_of_organizations():
    fails("AccessDeniedException", client("organizations").list_accounts)
    fails("AccountNotFoundException", client("organizations", MANAGEMENT).describe_account, AccountId="123456789012")


# KMS


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


# EC2


def base_image(ec2):
    found = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-ami-*"]}, {"Name": "architecture", "Values": ["x86_64"]}])
    return found["Images"][0]


def test_describe_regions():
    ec2 = client("ec2")
    regions = {r["RegionName"]: r["OptInStatus"] for r in ec2.describe_regions(AllRegions=True)["Regions"]}
    equal((regions[PRIMARY], regions[DISABLED_REGION]), ("opt-in-not-required", "not-opted-in"))
    assert DISABLED_REGION not in [r["RegionName"] for r in ec2.describe_regions()["Regions"]]
    equal(ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"], True)
    equal(ec2.get_ebs_default_kms_key_id()["KmsKeyId"], "alias/aws/ebs")


def test_build_image():
    ec2 = client("ec2")
    instance = ec2.run_instances(
        ImageId=base_image(ec2)["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "build"}]}],
    )["Instances"][0]["InstanceId"]
    quick = {"Delay": 0, "MaxAttempts": 5}
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=quick)
    got = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    equal((got["State"]["Name"], got["Tags"]), ("running", [{"Key": "Name", "Value": "build"}]))
    ec2.stop_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig=quick)
    IMAGE[PRIMARY] = ec2.create_image(InstanceId=instance, Name="golden-build")["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[IMAGE[PRIMARY]], WaiterConfig=quick)
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=quick)
    got = ec2.describe_images(ImageIds=[IMAGE[PRIMARY]], Owners=["self"])["Images"][0]
    equal((got["OwnerId"], got["Name"], got["Public"]), (PUBLISHER, "golden-build", False))


def test_copy_image():
    for region in (PRIMARY, REPLICA):
        ec2 = client("ec2", region=region)
        copy = dict(
            SourceRegion=PRIMARY, SourceImageId=IMAGE[PRIMARY], Name="golden", Encrypted=True, KmsKeyId="alias/golden", ClientToken="t-1",
            TagSpecifications=[
                {"ResourceType": "image", "Tags": [{"Key": "team", "Value": "images"}]},
                {"ResourceType": "snapshot", "Tags": [{"Key": "team", "Value": "images"}]},
            ],
        )
        made = ec2.copy_image(**copy)["ImageId"]
        equal(ec2.copy_image(**copy)["ImageId"], made)
        fails("IdempotentParameterMismatch", ec2.copy_image, **dict(copy, Name="other"))
        ec2.get_waiter("image_available").wait(ImageIds=[made], WaiterConfig={"Delay": 0, "MaxAttempts": 5})
        image = ec2.describe_images(Filters=[{"Name": "tag:team", "Values": ["images"]}])["Images"][0]
        equal((image["ImageId"], image["State"]), (made, "available"))
        snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        got = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
        equal((got["Encrypted"], got["KmsKeyId"], got["State"], got["Progress"]), (True, KEY[region], "completed", "100%"))
        IMAGE["copy-" + region] = made


def test_launch_permissions():
    organization = client("organizations").describe_organization()["Organization"]["Arn"]
    for region in (PRIMARY, REPLICA):
        ec2 = client("ec2", region=region)
        image = IMAGE["copy-" + region]
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"OrganizationArn": organization}, {"UserId": MEMBER}]})
        got = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
        assert {"OrganizationArn": organization} in got and {"UserId": MEMBER} in got and len(got) == 2, got
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Remove": [{"UserId": MEMBER}]})
        got = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
        equal(got, [{"OrganizationArn": organization}])
        shared = client("ec2", MEMBER, region).describe_images(ImageIds=[image])["Images"][0]
        equal(shared["OwnerId"], PUBLISHER)
        assert not shared.get("Tags"), "tags of another account's image are visible"


def test_launch_in_member():
    ec2 = client("ec2", MEMBER, REPLICA)
    instance = ec2.run_instances(ImageId=IMAGE["copy-" + REPLICA], InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    got = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    equal(got["State"]["Name"], "running")
    volume = got["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    equal(ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["KmsKeyId"], KEY[REPLICA])
    ec2.terminate_instances(InstanceIds=[instance])


def test_describe_images_pages():
    ec2 = client("ec2")
    pages = list(ec2.get_paginator("describe_images").paginate(Owners=["self"], PaginationConfig={"PageSize": 1}))
    got = {i["ImageId"] for p in pages for i in p["Images"]}
    assert {IMAGE[PRIMARY], IMAGE["copy-" + PRIMARY]} <= got, got
    assert len(pages) >= len(got), f"{len(pages)} pages for {len(got)} images"


def test_deregister_image():
    ec2 = client("ec2", region=REPLICA)
    image = IMAGE["copy-" + REPLICA]
    snapshot = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    fails("InvalidSnapshot.InUse", ec2.delete_snapshot, SnapshotId=snapshot)
    got = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    equal([(r["SnapshotId"], r["ReturnCode"]) for r in got["DeleteSnapshotResults"]], [(snapshot, "success")])
    fails("InvalidSnapshot.NotFound", ec2.describe_snapshots, SnapshotIds=[snapshot])
    equal(ec2.describe_images(Owners=["self"])["Images"], [])


def test_errors_of_ec2():
    ec2 = client("ec2")
    fails("InvalidAMIID.NotFound", ec2.describe_images, ImageIds=["ami-0123456789abcdef0"])
    fails("InvalidAMIID.Malformed", ec2.describe_images, ImageIds=["golden"])
    fails("InvalidAMIID.NotFound", ec2.copy_image, SourceRegion=REPLICA, SourceImageId="ami-0123456789abcdef0", Name="golden")
    fails("DryRunOperation", ec2.copy_image, status=412, DryRun=True, SourceRegion=PRIMARY, SourceImageId=IMAGE[PRIMARY], Name="golden")
    unknown = {"AccessKeyId": "AKIAUNKNOWNUNKNOWN00", "SecretAccessKey": "x"}
    fails("AuthFailure", client("ec2", credentials=unknown).describe_regions, status=401)
    fails("AuthFailure", client("ec2", region=DISABLED_REGION).describe_images, status=401)


def main():
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        error = None
        found_violations.clear()
        try:
            test()
        except Exception:
            error = traceback.format_exc(limit=-4)
        if found_violations:
            lines = "\n".join(dict.fromkeys(found_violations))
            error = (error or "") + "answers that AWS's model does not know:\n" + lines
        print(json.dumps({"test": name.removeprefix("test_"), "error": error}), flush=True)


if __name__ == "__main__":
    main()
