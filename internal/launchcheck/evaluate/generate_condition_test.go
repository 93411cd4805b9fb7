package evaluate_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// conditions is a Condition element. Few requests meet the conditions of a denial.
func (g *generator) conditions(denial bool) object {
	block := object{}
	for range 1 + g.IntN(2) {
		operator, key, values := g.condition(denial)
		if strings.HasPrefix(operator, "For") && strings.HasSuffix(operator, "IfExists") {
			g.odd = true // AWS doesn't document it for a key that is absent
		}
		keys, _ := block[operator].(object)
		if keys == nil {
			keys = object{}
			block[operator] = keys
		}
		twice := func(other string) bool { return strings.EqualFold(other, key) } // which AWS rejects
		if !slices.ContainsFunc(slices.Collect(maps.Keys(keys)), twice) {
			keys[key] = values
		}
	}
	return block
}

// condition is an operator, a key and values.
func (g *generator) condition(denial bool) (operator, key string, values any) {
	switch g.IntN(14) {
	case 0, 1:
		key, values = "aws:PrincipalOrgID", some(g, organization, "o-someoneelse", "O-EXAMPLEORGID", "o-*", "o-exampleor??d")
	case 2:
		return g.paths()
	case 3:
		key, values = "aws:PrincipalAccount", some(g, append(launching(), "2*", "????????????")...)
	case 4:
		key, values = "kms:CallerAccount", some(g, append(launching(), "*2")...)
	case 5:
		return g.principalARN()
	case 6, 7:
		key, values = "kms:ViaService", some(g, "ec2.us-east-1.amazonaws.com", "ec2.*.amazonaws.com", "EC2.us-east-1.amazonaws.com", "rds.us-east-1.amazonaws.com", "ec2.eu-west-1.amazonaws.com")
	case 8, 9:
		return one(g, "Bool", "BoolIfExists", "ForAllValues:Bool", "StringEquals", "StringNotEqualsIgnoreCase"), one(g, "kms:GrantIsForAWSResource", "KMS:grantisforawsresource"), one[any](g, true, "true", "True", false, "false")
	case 10:
		return one(g, "ForAnyValue:StringEquals", "ForAllValues:StringEquals", "ForAllValues:StringLike", "ForAnyValue:StringNotEquals", "ForAllValues:StringEqualsIfExists"),
			"kms:GrantOperations", some(g, "Decrypt", "Encrypt", "D*", "CreateGrant")
	case 11:
		return "Null", one(g, "aws:PrincipalOrgID", "kms:GrantIsForAWSResource", "aws:PrincipalOrgPaths", "aws:SourceAccount", "kms:ViaService", "kms:GrantOperations"), one[any](g, true, "false", "TRUE")
	case 12:
		key, values = one(g, "aws:SourceAccount", "aws:SourceOrgID", "aws:PrincipalType", "aws:PrincipalIsAWSService"), some(g, owner, "AssumedRole", "User", "false", "Assumed*")
	default:
		if g.chance(15) {
			return g.oddCondition()
		}
		key, values = one(g, "AWS:PRINCIPALORGID", "aws:principalorgid"), organization
	}
	return g.stringOperator(denial), key, values
}

// stringOperator is one for a key with one value.
func (g *generator) stringOperator(denial bool) string {
	operator := one(g, "StringEquals", "StringLike", "StringEquals", "StringLike", "StringEqualsIgnoreCase", "StringNotEquals", "StringNotLike", "StringNotEqualsIgnoreCase")
	if denial && g.chance(60) {
		operator = "StringEquals"
	}
	if g.chance(8) {
		operator = one(g, "ForAnyValue:", "ForAllValues:") + operator
	}
	if g.chance(12) {
		operator += "IfExists"
	}
	return operator
}

func (g *generator) paths() (operator, key string, values any) {
	return one(g, "ForAnyValue:StringLike", "ForAnyValue:StringLike", "ForAllValues:StringLike", "ForAnyValue:StringEquals", "ForAnyValue:StringNotLike", "ForAllValues:StringNotLike",
			"ForAnyValue:StringLikeIfExists", "ForAllValues:StringLikeIfExists", "ForAnyValue:StringNotLikeIfExists"),
		"aws:PrincipalOrgPaths", some(g, unitPath+"*", unitPath, organization+"/*", organization+"/r-ab12/", "*/"+nested+"/*", "o-other/*", "O-EXAMPLEORGID/*")
}

func (g *generator) principalARN() (operator, key string, values any) {
	pattern := some(g, roleARN(member, karpenter), roleARN("*", batch), "arn:aws:iam::*:role/*", "arn:aws:iam::*:role/aws-service-role/*",
		"arn:aws:iam::"+awssim.ManagementAccount+":role/*", "arn:*:iam::2?2222222222:role/Karpenter*", "arn:aws:iam:*:role/a:b", roleARN("*", "*/BatchRole"))
	return one(g, "ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals", "ArnLikeIfExists", "StringLike", "StringNotLike", "StringEquals"), "aws:PrincipalArn", pattern
}

// oddCondition is a condition that the evaluator doesn't support.
func (g *generator) oddCondition() (operator, key string, values any) {
	g.odd = true
	switch g.IntN(6) {
	case 0:
		return "StringEquals", "aws:PrincipalTag/team", "images"
	case 1:
		return "IpAddress", "aws:SourceIp", "10.0.0.0/8"
	case 2:
		return "DateGreaterThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"
	case 3:
		return "StringLike", "aws:PrincipalOrgPaths", organization + "/*"
	case 4:
		return "StringEquals", "kms:CallerAccount", "${aws:PrincipalAccount}"
	default:
		return "StringLike", "kms:GranteePrincipal", "arn:aws:iam::*:role/*"
	}
}
