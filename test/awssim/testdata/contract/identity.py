"""STS, IAM and Organizations."""

from harness import MANAGEMENT, MEMBER, PUBLISHER, client, equal, fails, policy


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
