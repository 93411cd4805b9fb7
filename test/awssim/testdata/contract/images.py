"""EC2, as a publication calls it."""

from datetime import datetime, timezone

from harness import DISABLED_REGION, IMAGE, KEY, MEMBER, PRIMARY, PUBLISHER, REPLICA, client, equal, fails


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
    # The volume has the launching account's default EBS key. Fact: LAUNCH-11.
    aws_ebs = client("kms", MEMBER, REPLICA).describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["Arn"]
    equal(ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["KmsKeyId"], aws_ebs)
    ec2.terminate_instances(InstanceIds=[instance])


def test_image_settings():
    ec2 = client("ec2")
    image = IMAGE["copy-" + PRIMARY]
    ec2.modify_image_attribute(ImageId=image, Description={"Value": "golden"})
    equal(ec2.describe_image_attribute(ImageId=image, Attribute="description")["Description"], {"Value": "golden"})
    year = datetime.now(timezone.utc).year
    fails("InvalidParameterValue", ec2.enable_image_deprecation, ImageId=image, DeprecateAt=f"{year + 11}-01-01T00:00:00Z")
    ec2.enable_image_deprecation(ImageId=image, DeprecateAt=f"{year + 2}-01-01T00:00:31Z")
    at = ec2.describe_images(ImageIds=[image])["Images"][0]["DeprecationTime"]
    assert at.startswith(f"{year + 2}-01-01T00:01:00"), at
    ec2.disable_image_deprecation(ImageId=image)
    ec2.enable_image_deregistration_protection(ImageId=image)
    fails("OperationNotPermitted", ec2.deregister_image, ImageId=image)
    ec2.disable_image_deregistration_protection(ImageId=image)
    equal(ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"], "block-new-sharing")
    snapshot = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", CreateVolumePermission={"Add": [{"UserId": MEMBER}]})
    got = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    equal(got["CreateVolumePermissions"], [{"UserId": MEMBER}])
    registered = ec2.register_image(
        Name="registered", RootDeviceName="/dev/xvda", Architecture="x86_64", VirtualizationType="hvm", EnaSupport=True,
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]
    fails("InvalidAMIName.Duplicate", ec2.register_image, Name="registered", RootDeviceName="/dev/xvda",
          BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}])
    ec2.disable_image(ImageId=registered)
    equal(ec2.describe_images(ImageIds=[registered], IncludeDisabled=True)["Images"][0]["State"], "disabled")
    ec2.enable_image(ImageId=registered)
    ec2.deregister_image(ImageId=registered)


def test_failed_copy_and_managed_key():
    ec2 = client("ec2")
    fails("InvalidParameter", ec2.modify_image_attribute, ImageId=IMAGE[PRIMARY], LaunchPermission={"Add": [{"UserId": MEMBER}]})
    fails("InvalidParameterCombination", ec2.copy_image, SourceRegion=PRIMARY, SourceImageId=IMAGE[PRIMARY], Name="golden", KmsKeyId="alias/golden")
    failed = ec2.copy_image(SourceRegion=PRIMARY, SourceImageId=IMAGE[PRIMARY], Name="failing", Encrypted=True, KmsKeyId="alias/none")["ImageId"]
    got = ec2.describe_images(ImageIds=[failed])["Images"][0]
    equal(got["State"], "failed")
    assert got["StateReason"]["Code"] and got["StateReason"]["Message"], got["StateReason"]
    ec2.deregister_image(ImageId=failed, DeleteAssociatedSnapshots=True)


def test_failed_launch():
    ec2 = client("ec2", MEMBER)
    kms = client("kms")
    kms.disable_key(KeyId=KEY[PRIMARY])
    instance = ec2.run_instances(ImageId=IMAGE["copy-" + PRIMARY], InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    got = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    equal((got["State"]["Name"], got["StateReason"]["Code"]), ("terminated", "Client.InvalidKMSKey.InvalidState"))
    kms.enable_key(KeyId=KEY[PRIMARY])


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
