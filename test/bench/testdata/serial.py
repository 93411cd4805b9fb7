"""Brings an image to all regions as a careful engineer would script it with
boto3: step after step, region after region, with waiters where boto3 has them."""

import json
import os
import time

import boto3

TASK = json.loads(os.environ["TASK"])
HOME, *OTHERS = TASK["regions"]
ROLES = [
    "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
    "aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
]
OPERATIONS = [
    "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext", "DescribeKey", "CreateGrant",
]


def client(service, region, session=boto3):
    return session.client(service, region_name=region)


def member(account):
    """A grant counts only if the account that owns the role creates it."""
    session = client("sts", HOME).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/{TASK['member_role']}", RoleSessionName="grants",
    )["Credentials"]
    return boto3.Session(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])


def key_policy(organization):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": "Owner", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{TASK['owner']}:root"},
         "Action": "kms:*", "Resource": "*"},
        {"Sid": "Use", "Effect": "Allow", "Principal": {"AWS": "*"},
         "Action": ["kms:DescribeKey", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant"], "Resource": "*",
         "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization}}},
    ]})


def make_key(policy):
    kms = client("kms", HOME)
    key = kms.create_key(MultiRegion=True, Policy=policy)["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=TASK["alias"], TargetKeyId=key)
    kms.enable_key_rotation(KeyId=key)
    for region in OTHERS:
        kms.replicate_key(KeyId=key, ReplicaRegion=region, Policy=policy)
        regional = client("kms", region)
        while regional.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "Enabled":
            time.sleep(5)
        regional.create_alias(AliasName=TASK["alias"], TargetKeyId=key)
    return key


def copy(region, key):
    ec2 = client("ec2", region)
    image = ec2.copy_image(
        SourceImageId=TASK["image"], SourceRegion=HOME, Name="golden-shared",
        Encrypted=True, KmsKeyId=f"arn:aws:kms:{region}:{TASK['owner']}:key/{key}",
    )["ImageId"]
    ec2.get_waiter("image_exists").wait(ImageIds=[image])
    ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"MaxAttempts": 480})
    return image


def grant(region, key):
    for account in TASK["accounts"]:
        kms = client("kms", region, member(account))
        for role in ROLES:
            kms.create_grant(
                KeyId=f"arn:aws:kms:{region}:{TASK['owner']}:key/{key}",
                GranteePrincipal=f"arn:aws:iam::{account}:role/{role}",
                Operations=OPERATIONS, Name=f"{account}-{role.rsplit('/', 1)[1]}",
            )


def share(region, image, organization):
    client("ec2", region).modify_image_attribute(
        ImageId=image, Attribute="launchPermission",
        LaunchPermission={"Add": [{"OrganizationArn": organization}]},
    )


def main():
    organization = client("organizations", "us-east-1").describe_organization()["Organization"]
    key = make_key(key_policy(organization["Id"]))
    for region in TASK["regions"]:
        image = copy(region, key)
        grant(region, key)
        share(region, image, organization["Arn"])


main()
