package evaluate_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// generator generates the parts of a random world. The same seed generates the
// same world.
type generator struct {
	*rand.Rand

	// odd means that the world contains something that the evaluator doesn't
	// claim to support completely.
	odd bool
}

// object is a JSON object of a policy.
type object map[string]any

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func one[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

// some returns a few of the items, at least one, as a list or as a single item.
func some(g *generator, of ...string) any {
	picked := []string{}
	for range 1 + g.IntN(3) {
		picked = append(picked, one(g, of...))
	}
	if len(picked) == 1 && g.chance(50) {
		return picked[0]
	}
	return picked
}

// Principals of the worlds, in addition to those of bench_test.go.
const (
	keyOwner = "777777777777"
	nested   = "ou-ab12-22222222" // below unit
	apart    = "ou-ab12-33333333" // beside unit
	batch    = "team/BatchRole"
)

func launching() []string { return []string{owner, member, other, "444444444444", stranger} }

func launchRoles() []string { return []string{karpenter, batch, autoScaling, ecs} }

func organizationARN(id string) string {
	return "arn:aws:organizations::" + awssim.ManagementAccount + ":organization/" + id
}

func unitARN(id string) string {
	return "arn:aws:organizations::" + awssim.ManagementAccount + ":ou/" + organization + "/" + id
}

// neededActions are the actions that a launch needs, in one of several notations.
func (g *generator) neededActions() any {
	return one[any](g, "kms:*", "*",
		[]string{"kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant"},
		[]string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey", "kms:CreateGrant"},
		[]string{"KMS:D*", "kms:re?ncrypt*", "kms:*Grant", "kms:Generate*Plaintext"},
	)
}

// someActions returns a few actions, needed for a launch or not.
func (g *generator) someActions() any {
	return some(g, "kms:Decrypt", "kms:ReEncrypt", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:create*", "kms:Describe*", "kms:*",
		"ec2:*", "kms:GenerateDataKey", "kms:GenerateDataKey*", "kms:Get?eyPolicy", "kms:ScheduleKeyDeletion")
}

// action adds Action or NotAction.
func (g *generator) action(to object) {
	switch g.IntN(10) {
	case 0:
		to["NotAction"] = one[any](g, "kms:ScheduleKeyDeletion", []string{"ec2:*", "kms:Delete*"}, "kms:DescribeKey", "kms:*")
	case 1, 2:
		to["Action"] = g.someActions()
	default:
		to["Action"] = g.neededActions()
	}
}

// resource adds Resource or NotResource. key is the ARN of the key itself.
func (g *generator) resource(to object, key string) {
	switch g.IntN(12) {
	case 0:
		to["Resource"] = one[any](g, key, []string{key, "arn:aws:s3:::bucket"}, strings.Replace(key, "us-east-1", "*", 1), key[:len(key)-4]+"????")
	case 1:
		to["NotResource"] = one(g, "arn:aws:kms:*:*:alias/*", strings.Replace(key, "us-east-1", "eu-*", 1), "arn:aws:kms:us-*:"+keyOwner+":key/*", key)
	case 2:
		to["Resource"] = one(g, strings.Replace(key, "us-east-1", "eu-west-1", 1), "arn:aws:kms:*:*:key/*", "arn:aws:kms:us-east-1:*:*", "arn:aws:kms:*:"+owner+":key/1*")
	case 3:
		if g.chance(10) {
			g.odd = true
			to["Resource"] = "arn:aws:kms:us-east-1:${aws:PrincipalAccount}:key/*"
			return
		}
		fallthrough
	default:
		to["Resource"] = "*"
	}
}

// principal adds Principal or, for some denials, NotPrincipal.
func (g *generator) principal(to object) {
	account := one(g, launching()...)
	role := roleARN(one(g, launching()...), one(g, launchRoles()...))
	root := "arn:aws:iam::" + one(g, launching()...) + ":root"
	if to["Effect"] == "Deny" && g.chance(15) {
		names := one(g, []string{"*"}, []string{account}, []string{root, role})
		to["NotPrincipal"] = object{"AWS": append(names, keyOwner, "arn:aws:iam::"+keyOwner+":user/admin", owner, "arn:aws:iam::"+owner+":user/admin")}
		return
	}
	switch g.IntN(10) {
	case 0, 1, 2:
		to["Principal"] = object{"AWS": launching()}
	case 3:
		to["Principal"] = object{"AWS": []string{account, root}, "Service": "ec2.amazonaws.com"}
	case 4:
		to["Principal"] = object{"AWS": []string{role, one(g, role, account)}}
	case 5:
		to["Principal"] = object{"Service": []string{"ec2.amazonaws.com", "autoscaling.amazonaws.com"}}
	case 6:
		to["Principal"] = "*"
	default:
		to["Principal"] = object{"AWS": "*"}
	}
}

// statement returns a statement of a key policy.
func (g *generator) statement(number int, key string) object {
	s := object{"Effect": "Allow"}
	if g.chance(75) {
		s["Sid"] = fmt.Sprintf("S%d", number)
	}
	if g.chance(18) {
		s["Effect"] = "Deny"
	}
	g.principal(s)
	g.action(s)
	g.resource(s, key)
	if s["Effect"] == "Deny" || g.chance(60) {
		s["Condition"] = g.conditions(s["Effect"] == "Deny")
	}
	return s
}

// share is the statement that most worlds have, so that others can break it.
func (g *generator) share() object {
	condition := one(g,
		object{"StringEquals": object{"aws:PrincipalOrgID": organization}},
		object{"ForAnyValue:StringLike": object{"aws:PrincipalOrgPaths": one(g, unitPath+"*", organization+"/*/"+nested+"/*", organization+"/*")}},
		object{"StringEquals": object{"kms:CallerAccount": launching()}, "StringLike": object{"kms:ViaService": "ec2.*.amazonaws.com"}},
		object{"StringEquals": object{"aws:PrincipalAccount": launching()[:3]}, "Bool": object{"aws:PrincipalIsAWSService": false}},
	)
	return object{"Sid": "Share", "Effect": "Allow", "Principal": object{"AWS": "*"}, "Action": g.neededActions(), "Resource": "*", "Condition": condition}
}

// keyPolicy is a policy for the key that lets its owner read it, in most cases.
func (g *generator) keyPolicy(key string) string {
	statements := []object{}
	if !g.chance(2) {
		statements = append(statements, object{"Sid": "Owner", "Effect": "Allow", "Principal": object{"AWS": "arn:aws:iam::" + keyAccount(key) + ":root"}, "Action": "kms:*", "Resource": "*"})
	}
	if g.chance(65) {
		statements = append(statements, g.share())
	}
	for n := range g.IntN(4) {
		statements = append(statements, g.statement(n, key))
	}
	if len(statements) == 0 {
		statements = append(statements, g.share())
	}
	return g.document(statements)
}

func keyAccount(arn string) string { return strings.Split(arn, ":")[4] }

// identityPolicy is a role's policy for the key, nil if it has none.
func (g *generator) identityPolicy(key string) json.RawMessage {
	if g.chance(12) {
		return nil
	}
	statements := []object{}
	if g.chance(85) {
		s := object{"Sid": "Use", "Effect": "Allow", "Action": g.neededActions(), "Resource": one(g, "arn:aws:kms:*:"+keyAccount(key)+":key/*", "arn:aws:kms:*:*:key/*", "*")}
		if g.chance(50) {
			s["Condition"] = object{"StringLike": object{"kms:ViaService": one(g, "ec2.*.amazonaws.com", "ec2.us-east-1.amazonaws.com")}}
		}
		statements = append(statements, s)
	}
	for n := range g.IntN(3) {
		s := g.statement(n, key)
		delete(s, "Principal")
		delete(s, "NotPrincipal")
		if s["Effect"] == "Deny" { // of KMS only: the verdicts assume that EC2's own actions are allowed
			delete(s, "NotResource")
			s["Resource"] = one(g, "arn:aws:kms:*:*:key/*", key)
		}
		statements = append(statements, s)
	}
	if len(statements) == 0 {
		return nil
	}
	return json.RawMessage(g.document(statements))
}

func (g *generator) document(statements []object) string {
	document := object{"Version": one(g, "2012-10-17", "2012-10-17", "2008-10-17"), "Statement": statements}
	text, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return string(text)
}
