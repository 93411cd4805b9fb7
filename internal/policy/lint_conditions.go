package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
)

// operators of conditions, without ForAnyValue: or ForAllValues: before and
// IfExists behind. (IAM guide, condition operators).
var operators = strings.Fields(`
	StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike
	NumericEquals NumericNotEquals NumericLessThan NumericLessThanEquals NumericGreaterThan NumericGreaterThanEquals
	DateEquals DateNotEquals DateLessThan DateLessThanEquals DateGreaterThan DateGreaterThanEquals
	Bool BinaryEquals IpAddress NotIpAddress ArnEquals ArnNotEquals ArnLike ArnNotLike Null`)

// kmsKeys are the condition keys whose misspellings are recognized.
var kmsKeys = strings.Fields(`
	kms:BypassPolicyLockoutSafetyCheck kms:CallerAccount kms:EncryptionContextKeys kms:GrantConstraintType
	kms:GrantIsForAWSResource kms:GrantOperations kms:GranteePrincipal kms:KeyOrigin kms:KeySpec kms:KeyUsage
	kms:MultiRegion kms:MultiRegionKeyType kms:PrimaryRegion kms:ReEncryptOnSameKey kms:ReplicaRegion
	kms:RequestAlias kms:ResourceAliases kms:RetiringPrincipal kms:ViaService`)

// callerKeys are condition keys about the caller of an AWS service that calls
// as itself. EC2 calls KMS with the launching principal's permissions, and such
// requests don't have these keys. Each key maps to the equivalent key of the
// launching principal. Fact: LAUNCH-1, IAM-EVAL-12.
var callerKeys = map[string]string{
	"aws:sourceaccount":  "aws:PrincipalAccount",
	"aws:sourcearn":      "aws:PrincipalArn",
	"aws:sourceorgid":    "aws:PrincipalOrgID",
	"aws:sourceorgpaths": "aws:PrincipalOrgPaths",
}

func (l *linter) conditions() {
	for _, operator := range inOrder(l.Condition) {
		comparison, set := splitOperator(operator)
		if near, known := nearestOperator(operator); !known {
			l.found(operator+" is not a condition operator", "write "+near)
			continue
		}
		for _, key := range inOrder(l.Condition[operator]) {
			values := l.Condition[operator][key]
			l.misspelled(key)
			if l.Effect != "Allow" || !demands(operator, comparison, values) {
				continue
			}
			l.absent(key)
			if strings.HasPrefix(comparison, "String") {
				l.values(comparison, set, key, values)
			}
		}
	}
}

// splitOperator removes ForAnyValue:, ForAllValues: and IfExists.
func splitOperator(operator string) (comparison string, set bool) {
	comparison = operator
	for _, prefix := range []string{"ForAnyValue:", "ForAllValues:"} {
		if rest, found := strings.CutPrefix(operator, prefix); found {
			comparison, set = rest, true
		}
	}
	if comparison != "NullIfExists" {
		comparison = strings.TrimSuffix(comparison, "IfExists")
	}
	return comparison, set
}

// nearestOperator reports whether the operator is known. If it isn't,
// nearestOperator returns the most similar one, with its set operator and
// IfExists.
func nearestOperator(operator string) (near string, known bool) {
	comparison, _ := splitOperator(operator)
	if slices.ContainsFunc(operators, func(o string) bool { return strings.EqualFold(o, comparison) }) {
		return operator, true
	}
	before, after, found := strings.Cut(operator, ":")
	set := ""
	if found {
		set = nearest(before, []string{"ForAnyValue", "ForAllValues"}) + ":"
	} else {
		after = operator
	}
	base, ifExists := strings.CutSuffix(after, "IfExists")
	near = set + nearest(base, operators)
	if ifExists {
		near += "IfExists"
	}
	return near, false
}

// demands reports whether the condition holds only if the request has the key,
// with one of the values. Conditions that are negated, IfExists or ForAllValues
// also hold without the key.
func demands(operator, comparison string, values []string) bool {
	if strings.HasPrefix(operator, "ForAllValues:") || strings.HasSuffix(operator, "IfExists") || strings.Contains(comparison, "Not") {
		return false
	}
	return comparison != "Null" || slices.Equal(values, []string{"false"})
}

func (l *linter) misspelled(key string) {
	if !strings.HasPrefix(key, "kms:") || slices.ContainsFunc(kmsKeys, func(k string) bool { return strings.EqualFold(k, key) }) {
		return
	}
	if near := nearest(key, kmsKeys); edits(key, near) <= 2 {
		l.found(l.spelled(key)+" is not a condition key of KMS", "write "+near)
	}
}

// absent finds condition keys that no request of the statement's principals and
// actions has. With them, the statement or one of its actions never applies.
func (l *linter) absent(key string) {
	ofPeople := len(l.Principal["AWS"]) > 0 && len(l.Principal) == 1
	instead, caller := callerKeys[key]
	switch {
	case caller && ofPeople:
		l.found(fmt.Sprintf("EC2 doesn't send %s when it uses the key for a launch, so the statement never applies", l.spelled(key)), "write "+instead)
	case strings.HasPrefix(key, "ec2:") && key != "ec2:sourceinstancearn" && key != "ec2:roledelivery":
		l.found(fmt.Sprintf("no request to KMS has %s, a condition key of EC2's own actions, so the statement never applies", l.spelled(key)),
			"remove it, or write kms:ViaService to allow only calls through EC2")
	case key == "kms:grantisforawsresource":
		for _, action := range l.Action {
			_, name, _ := strings.Cut(action, ":")
			if action != "*" && !slices.ContainsFunc([]string{"creategrant", "listgrants", "revokegrant"}, func(a string) bool { return Match(name, a) }) {
				l.found(fmt.Sprintf("%s never has %s, which only CreateGrant, ListGrants and RevokeGrant have", l.spelled(action), l.spelled(key)),
					"move it to a statement without that condition")
			}
		}
	}
}

// values finds values that no request for this key can have.
func (l *linter) values(comparison string, set bool, key string, values []string) {
	switch key {
	case "kms:viaservice":
		l.viaService(comparison, values)
	case "aws:principalorgid":
		for _, value := range values {
			if !strings.ContainsAny(value, "*?$") && !pattern.Organization.Match(value) {
				l.found(fmt.Sprintf("%s is %s, which is not an organization ID", l.spelled(key), value), "write only the ID, for example o-exampleorgid")
			}
		}
	case "aws:principalorgpaths":
		if !set {
			l.found(l.spelled(key)+" has several values, but the operator supports one", "write ForAnyValue:"+comparison)
		}
		for _, value := range values {
			if !strings.HasSuffix(value, "/") && !strings.HasSuffix(value, "*") {
				l.found(fmt.Sprintf("%s is %s, but paths must end with a slash", l.spelled(key), value), "write "+value+"/ for the unit itself, "+value+"/* to include all units below it")
			}
		}
	}
}

// viaService checks values that begin with "ec2.". Fact: KMS-COND-1.
func (l *linter) viaService(comparison string, values []string) {
	var ec2 []string
	for _, value := range values {
		if strings.HasPrefix(value, "ec2.") {
			ec2 = append(ec2, value)
		}
	}
	here, known := EC2Service(l.target.Partition, l.target.Region)
	if len(ec2) == 0 || !known || l.target.Region == "" {
		return
	}
	fits := func(value string) bool {
		if comparison != "StringLike" {
			return strings.EqualFold(value, here)
		}
		return strings.Contains(value, "${") || Match(value, here)
	}
	if !slices.ContainsFunc(ec2, fits) {
		l.found(fmt.Sprintf("kms:ViaService is %s, but EC2's value in this Region is %s", strings.Join(ec2, ", "), here), "write StringLike "+EC2ViaService(l.target.Partition))
	}
}
