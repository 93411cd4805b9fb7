package launchcheck

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
)

// readDefaultKey reads the default key of EBS encryption and, if it isn't aws/ebs, the
// parts of it that the role can read. Whether encryption by default is on doesn't
// matter: the images are encrypted. Fact: EC2-API-4, LAUNCH-11.
func (i *inspector) readDefaultKey(ctx context.Context, clients *awsclient.Clients, region string) {
	answer, err := clients.EC2(region).GetEbsDefaultKmsKeyId(ctx, &ec2.GetEbsDefaultKmsKeyIdInput{})
	var id string
	if err != nil {
		err = awsclient.Wrap(err, "reading the default EBS key in %s", region)
	} else if id = aws.ToString(answer.KmsKeyId); id == "" {
		err = awsclient.Incomplete("EC2 GetEbsDefaultKmsKeyId", region, "KmsKeyId")
	}
	key := evaluate.Key{ARN: id, AWSManaged: id == managedAlias || strings.HasSuffix(id, ":"+managedAlias)}
	var denied error
	if err == nil && !key.AWSManaged { // what isn't read of the key makes the link inconclusive
		var read keyFacts
		if read, denied, err = readKey(ctx, clients, region, id, true); err == nil {
			key = read.key()
		} else {
			denied, err = err, nil
		}
	}
	i.read("ec2:GetEbsDefaultKmsKeyId", err, func() { i.found.settings.DefaultEBSKeys[region] = key })
	switch operation, _ := errors.AsType[*smithy.OperationError](denied); {
	case operation != nil:
		i.read("kms:"+operation.Operation(), denied, nil)
	case denied != nil:
		i.read("kms:DescribeKey", denied, nil)
	case err == nil && key.GrantsUnknown:
		i.read("kms:ListGrants", errGrants, nil)
	}
}

// errGrants is the error of grants that can't be listed.
var errGrants = &smithy.GenericAPIError{Code: awsclient.CodeAccessDenied, Message: "the grants of the default EBS key can't be listed"}

const managedAlias = "alias/aws/ebs"

// readAllowedAMIs reads the setting Allowed AMIs. Fact: EC2-ALLOW-5 to EC2-ALLOW-9.
func readAllowedAMIs(ctx context.Context, clients *awsclient.Clients, region string) (evaluate.AllowedAMIs, error) {
	answer, err := clients.EC2(region).GetAllowedImagesSettings(ctx, &ec2.GetAllowedImagesSettingsInput{})
	if err != nil {
		return evaluate.AllowedAMIs{}, awsclient.Wrap(err, "reading the setting Allowed AMIs in %s", region)
	}
	if aws.ToString(answer.State) == "" {
		return evaluate.AllowedAMIs{}, awsclient.Incomplete("EC2 GetAllowedImagesSettings", region, "State")
	}
	setting := evaluate.AllowedAMIs{State: *answer.State}
	for _, c := range answer.ImageCriteria {
		setting.Criteria = append(setting.Criteria, criterion(c))
	}
	return setting, nil
}

// criterion converts a criterion. A criterion without any known part has parts that
// this version doesn't know. Fact: EC2-ALLOW-7.
func criterion(c types.ImageCriterion) evaluate.ImageCriterion {
	read := evaluate.ImageCriterion{Providers: c.ImageProviders, Names: c.ImageNames, ProductCodes: c.MarketplaceProductCodes}
	read.Other = len(c.ImageWatermarks) > 0 || c.ScanResultCondition != nil
	if created := c.CreationDateCondition; created != nil {
		read.MaximumDaysSinceCreated, read.Other = days(created.MaximumDaysSinceCreated), read.Other || created.MaximumDaysSinceCreated == nil
	}
	if deprecated := c.DeprecationTimeCondition; deprecated != nil {
		read.MaximumDaysSinceDeprecated, read.Other = days(deprecated.MaximumDaysSinceDeprecated), read.Other || deprecated.MaximumDaysSinceDeprecated == nil
	}
	if len(read.Providers)+len(read.Names)+len(read.ProductCodes) == 0 && read.MaximumDaysSinceCreated == nil && read.MaximumDaysSinceDeprecated == nil {
		read.Other = true
	}
	return read
}

func days(n *int32) *int {
	if n == nil {
		return nil
	}
	return new(int(*n))
}
