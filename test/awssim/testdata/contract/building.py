"""EC2, as the builder amazon-ebs calls it."""

from harness import DISABLED_REGION, IMAGE, PRIMARY, PUBLISHER, client, equal, fails


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


def test_calls_of_amazon_ebs():
    ec2 = client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"][0]
    assert subnet["AvailableIpAddressCount"] > 0, subnet
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert subnet["AvailabilityZone"] in [z["ZoneName"] for z in zones], zones
    assert ec2.describe_account_attributes(AttributeNames=["supported-platforms"])["AccountAttributes"]
    offered = ec2.describe_instance_type_offerings(Filters=[{"Name": "instance-type", "Values": ["t3.micro"]}])["InstanceTypeOfferings"]
    equal([o["InstanceType"] for o in offered], ["t3.micro"])
    kind = ec2.describe_instance_types(InstanceTypes=["t3.micro"])["InstanceTypes"][0]
    equal(kind["ProcessorInfo"]["SupportedArchitectures"], ["x86_64"])
    group = ec2.create_security_group(GroupName="packer", Description="for a build", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    got = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    equal(got["IpPermissions"][0]["IpRanges"], [{"CidrIp": "0.0.0.0/0"}])
    pair = ec2.create_key_pair(KeyName="packer", TagSpecifications=[{"ResourceType": "key-pair", "Tags": [{"Key": "a", "Value": "b"}]}])
    assert "PRIVATE KEY" in pair["KeyMaterial"], pair["KeyMaterial"]
    equal(ec2.describe_key_pairs(KeyNames=["packer"])["KeyPairs"][0]["KeyPairId"], pair["KeyPairId"])
    launched = ec2.run_instances(
        ImageId=base_image(ec2)["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1, KeyName="packer",
        SecurityGroupIds=[group], SubnetId=subnet["SubnetId"],
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "VolumeType": "gp3", "DeleteOnTermination": True}}],
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    instance = launched["Instances"][0]["InstanceId"]
    equal(launched["Instances"][0]["State"]["Name"], "pending")
    status = ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"][0]
    equal((status["InstanceState"]["Name"], status["InstanceStatus"]["Status"]), ("running", "ok"))
    volumes = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
    equal(([v["Encrypted"] for v in volumes], volumes[0]["Tags"]), ([True, True], [{"Key": "a", "Value": "b"}]))
    snapshot = ec2.create_snapshot(VolumeId=volumes[0]["VolumeId"], Description="by hand")["SnapshotId"]
    copied = ec2.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot)["SnapshotId"]
    ec2.create_tags(Resources=[snapshot, copied], Tags=[{"Key": "c", "Value": "d"}])
    tagged = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["c"]}])["Tags"]
    equal(sorted((t["ResourceId"], t["ResourceType"]) for t in tagged), sorted([(copied, "snapshot"), (snapshot, "snapshot")]))
    ec2.delete_tags(Resources=[copied], Tags=[{"Key": "c"}])
    equal(ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [copied]}])["Tags"], [])
    for made in (snapshot, copied):
        ec2.delete_snapshot(SnapshotId=made)
    ec2.stop_instances(InstanceIds=[instance])
    ec2.modify_instance_attribute(InstanceId=instance, SriovNetSupport={"Value": "simple"})
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.delete_key_pair(KeyName="packer")
    ec2.delete_security_group(GroupId=group)
    fails("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=[group])
    fails("InvalidKeyPair.NotFound", ec2.describe_key_pairs, KeyNames=["packer"])
