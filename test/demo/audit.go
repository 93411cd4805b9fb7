package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/record/manifest"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// audit is `make demo-audit`. It publishes an image and breaks six links of its chain,
// one after another. Each time the build of example/audit reports what is broken and
// which launches fail because of it.
func audit(ctx context.Context, s *simulator, builder, auditor packer, work string) error {
	output := filepath.Join(work, "orgami")
	variables := map[string]string{
		"image_name": "golden", "output_directory": output, "packer_manifest": filepath.Join(work, "packer-manifest.json"), "accounts": listed(members),
	}
	headingf("An image is published")
	if err := builder.build(ctx, "amazon-ebs.golden", variables); err != nil {
		return err
	}
	published, err := readManifest(output)
	if err != nil {
		return err
	}
	if err := errors.Join(attachPolicies(ctx, s, output), settled(ctx)); err != nil {
		return err
	}
	variables["image_name"], variables["roles"] = published.Images["us-east-1"].Name, listed(roles)
	n := night{s, auditor, published, variables, output}
	headingf("The audit, while nothing is broken")
	if err := n.look(ctx, members, nothing); err != nil {
		return err
	}
	for i, b := range breakages {
		headingf("%d. %s", i+1, b.title)
		undo, err := b.happen(ctx, n)
		if err == nil {
			err = errors.Join(settled(ctx), n.look(ctx, b.accounts, b.found), undo(ctx), settled(ctx))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", b.title, err)
		}
	}
	headingf("%d links were broken, and each was found", len(breakages))
	return nil
}

// night holds what an audit needs.
type night struct {
	s         *simulator
	packer    packer
	published manifest.Manifest
	variables map[string]string
	output    string
}

// members are accounts of example/demo that get grants.
var members = []string{"222222222222", "333333333333", "444444444444"}

// roles are those that the publication creates grants for.
var roles = []string{
	"aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
	"aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
	"aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
}

// listed returns a list in the form that Packer's -var accepts.
func listed(values []string) string { return `["` + strings.Join(values, `","`) + `"]` }

// finding is the expected result of an audit: how many launches fail, how many wait for
// a grant, and which link of the first of them is broken.
type finding struct {
	fails, pending int
	link           string
}

var nothing = finding{}

// look runs the audit, shows its output, and compares it with the expected finding.
func (n night) look(ctx context.Context, accounts []string, want finding) error {
	variables := maps.Clone(n.variables)
	variables["accounts"] = listed(accounts)
	before, err := n.s.journal(ctx)
	if err != nil {
		return err
	}
	failed := n.packer.build(ctx, "orgami-existing.golden", variables)
	after, err := n.s.journal(ctx)
	if err != nil {
		return err
	}
	if changed := mutations(after[len(before):]); changed != "none" {
		return fmt.Errorf("the audit changed something: %s", changed)
	}
	if (failed != nil) != (want != nothing) {
		return fmt.Errorf("the audit ended with: %w", failed)
	}
	return n.compare(want)
}

func (n night) compare(want finding) error {
	content, err := os.ReadFile(filepath.Join(n.output, manifest.PlanFile))
	if err != nil {
		return err
	}
	var plan manifest.Manifest
	if err := json.Unmarshal(content, &plan); err != nil {
		return fmt.Errorf("reading %s: %w", manifest.PlanFile, err)
	}
	got := finding{fails: plan.Launches.Count(evaluate.Fails), pending: plan.Launches.Count(evaluate.Pending)}
	for _, outcome := range []evaluate.Outcome{evaluate.Pending, evaluate.Fails} {
		if broken := plan.Launches.Only(outcome); len(broken) > 0 {
			got.link = broken[0].Links[len(broken[0].Links)-1].Name
		}
	}
	if got != want {
		return fmt.Errorf("the audit found %+v instead of %+v", got, want)
	}
	fmt.Printf("\n  In %s: %s, %d pending.\n", filepath.Join(n.output, manifest.PlanFile), text.Count(got.fails, "failing launch"), got.pending)
	return nil
}

// breakage is a way to break a publication. happen returns a function that undoes it.
type breakage struct {
	title    string
	happen   func(ctx context.Context, n night) (undo func(context.Context) error, err error)
	accounts []string
	found    finding
}

// brokenRegion is where it happens.
const brokenRegion = "eu-west-1"

var breakages = []breakage{
	{"The organization's launch permission is removed from the AMI", unshare, members, finding{13, 0, "shared"}},
	{"The organization's statement in the key policy is edited", editPolicy(`"kms:Decrypt",`, ""), members, finding{4, 0, "key-policy"}},
	{"A statement that denies one account is added to the key policy", editPolicy(`"Statement":[`, `"Statement":[`+keepOut+`,`), members, finding{4, 0, "key-policy"}},
	{"The key is disabled in one Region", disable, members, finding{13, 0, "key-state"}},
	{"A grant is revoked", revoke, members, finding{0, 1, "grant"}},
	{"An account joins the organization", join, append(slices.Clip(members), "555555555555"), finding{0, 9, "grant"}},
}

const keepOut = `{"Sid":"KeepOut","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"222222222222"}}}`

func (n night) kms() *kms.Client { return kms.NewFromConfig(n.s.config(publisher, brokenRegion)) }

func (n night) key() *string { return aws.String(n.published.Key.Regions[brokenRegion].ARN) }

func unshare(ctx context.Context, n night) (func(context.Context) error, error) {
	client := ec2.NewFromConfig(n.s.config(publisher, brokenRegion))
	organization := []types.LaunchPermission{{OrganizationArn: &n.published.Organization.ARN}}
	modify := func(ctx context.Context, m types.LaunchPermissionModifications) error {
		_, err := client.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{
			ImageId: aws.String(n.published.Images[brokenRegion].ImageID), Attribute: aws.String("launchPermission"), LaunchPermission: &m,
		})
		return err
	}
	return func(ctx context.Context) error {
		return modify(ctx, types.LaunchPermissionModifications{Add: organization})
	}, modify(ctx, types.LaunchPermissionModifications{Remove: organization})
}

func editPolicy(old, replacement string) func(context.Context, night) (func(context.Context) error, error) {
	return func(ctx context.Context, n night) (func(context.Context) error, error) {
		put := func(ctx context.Context, document string) error {
			_, err := n.kms().PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: n.key(), Policy: &document})
			return err
		}
		current, err := n.kms().GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: n.key()})
		if err != nil {
			return nil, err
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(aws.ToString(current.Policy))); err != nil {
			return nil, err
		}
		edited := strings.Replace(compact.String(), old, replacement, 1)
		if edited == compact.String() {
			return nil, fmt.Errorf("there is no %s in %s", old, edited)
		}
		return func(ctx context.Context) error { return put(ctx, compact.String()) }, put(ctx, edited)
	}
}

func disable(ctx context.Context, n night) (func(context.Context) error, error) {
	_, err := n.kms().DisableKey(ctx, &kms.DisableKeyInput{KeyId: n.key()})
	return func(ctx context.Context) error {
		_, err := n.kms().EnableKey(ctx, &kms.EnableKeyInput{KeyId: n.key()})
		return err
	}, err
}

func revoke(ctx context.Context, n night) (func(context.Context) error, error) {
	grants, err := n.kms().ListGrants(ctx, &kms.ListGrantsInput{KeyId: n.key()})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(grants.Grants, func(g kmstypes.GrantListEntry) bool {
		return strings.Contains(aws.ToString(g.Name), "333333333333/AWSServiceRoleForAutoScaling")
	})
	if i < 0 {
		return nil, errors.New("account 333333333333 has no grant")
	}
	revoked := grants.Grants[i]
	_, err = n.kms().RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: n.key(), GrantId: revoked.GrantId})
	return func(ctx context.Context) error {
		// A grant counts only if the account of the role creates it.
		_, err := kms.NewFromConfig(n.s.config("333333333333", brokenRegion)).CreateGrant(ctx, &kms.CreateGrantInput{KeyId: n.key(), GranteePrincipal: revoked.GranteePrincipal, Operations: revoked.Operations, Name: revoked.Name})
		return err
	}, err
}

// join has nothing to do: the next audit lists one more account.
func join(context.Context, night) (func(context.Context) error, error) {
	return func(context.Context) error { return nil }, nil
}
