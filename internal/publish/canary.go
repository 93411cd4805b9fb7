package publish

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/orgami/packer-plugin-orgami/internal/ami"
	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/canary"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/internal/progress"
)

// canaryRegions are the Regions in which the image is launched before it is shared:
// those of the canary whose image isn't published yet.
func canaryRegions(spec Spec, images []ami.Plan) []string {
	if spec.Canary == nil {
		return nil
	}
	var regions []string
	for _, image := range images {
		existing, _ := image.Existing()
		wanted := len(spec.Canary.Regions) == 0 || slices.Contains(spec.Canary.Regions, image.Region())
		if wanted && !existing.Published() {
			regions = append(regions, image.Region())
		}
	}
	return regions
}

// canaryProblems are the reasons why the canary can't run.
func canaryProblems(spec Spec, observed Observed, plan Plan) []string {
	if len(plan.Canary) == 0 {
		return nil
	}
	var problems []string
	if spec.Canary.Account == observed.Caller.Account {
		problems = append(problems, fmt.Sprintf("canary.account %s is the publishing account, which can launch its own image anyway. Set the ID of a member account", spec.Canary.Account))
	}
	if !spec.Canary.AutoScaling {
		return problems
	}
	for _, region := range plan.Canary {
		g, desired := scalingGrant(plan.Grants.Grants(), spec.Canary.Account, region)
		switch {
		case !desired:
			return append(problems, fmt.Sprintf("canary.auto_scaling requires a grant for %s in account %s. Add the account to grants.accounts, and the role to grants.roles if that is set", autoScalingRole, spec.Canary.Account))
		case g.Status == grant.ToCreate:
			problems = append(problems, fmt.Sprintf("canary.auto_scaling requires the grant of account %s in %s, which the account has to create. Create it with the account's credentials: %s", spec.Canary.Account, region, g.Command()))
		}
	}
	return problems
}

// autoScalingRole is the role that launches the instances of Auto Scaling groups.
const autoScalingRole = "AWSServiceRoleForAutoScaling"

// scalingGrant finds the grant that lets Auto Scaling launch in the account.
func scalingGrant(grants []grant.Grant, account, region string) (grant.Grant, bool) {
	for _, g := range grants {
		if g.Account == account && g.Region == region && path.Base(g.Role) == autoScalingRole {
			return g, true
		}
	}
	return grant.Grant{}, false
}

// canaryText returns the plan's line about the canary.
func (p Plan) canaryText() string {
	if len(p.Canary) == 0 {
		return ""
	}
	return fmt.Sprintf("  Before the image is shared, a canary is launched and terminated in %s.\n", strings.Join(p.Canary, ", "))
}

func (r run) canaryRole(observed Observed) awsclient.AssumeRole {
	return awsclient.AssumeRole{RoleARN: arn.ARN{Partition: observed.Caller.Partition, Service: "iam", AccountID: r.spec.Canary.Account, Resource: "role/" + r.spec.Canary.Role}.String()}
}

// assumeCanary checks that the canary's role can be assumed.
func (r run) assumeCanary(ctx context.Context, observed Observed, plan Plan) error {
	if len(plan.Canary) == 0 {
		return nil
	}
	role := r.canaryRole(observed)
	_, err := r.Clients.Credentials(role).Retrieve(ctx)
	return awsclient.Wrap(err, "assuming %s for the canary (canary.role)", role.RoleARN)
}

// launchCanary shares the images that aren't published with the canary's account
// alone, and launches them there. After a failure, no other account sees the images,
// and the permission stays for the next run.
func (r run) launchCanary(ctx context.Context, at reached) ([]canary.Launch, error) {
	regions := at.plan.Canary
	if len(regions) == 0 {
		return nil, nil
	}
	images, grantedAt := map[string]ami.Image{}, map[string]time.Time{}
	for _, region := range regions {
		images[region] = at.verified.Image(region)
		if !r.spec.Canary.AutoScaling {
			continue
		}
		g, _ := scalingGrant(at.grants.Grants(), r.spec.Canary.Account, region)
		if grantedAt[region] = g.CreatedAt; g.Status == grant.Skipped {
			return nil, fmt.Errorf("canary in %s: there is no grant for Auto Scaling in account %s: %s", region, r.spec.Canary.Account, g.Reason)
		}
	}
	only := ami.SharePolicy{Image: ami.Permissions{Accounts: []string{r.spec.Canary.Account}}}
	quiet := progress.Reporter{Info: func(string) {}, Warn: r.Reporter.Warn} // the canary's own stage reports it
	if _, err := ami.Share(ctx, r.Clients.EC2, at.verified.In(regions), only, quiet); err != nil {
		return nil, err
	}
	clients := r.Clients.WithRole(r.canaryRole(at.observed))
	launches, err := canary.Canary{
		Account: r.spec.Canary.Account, EC2: clients.EC2, AutoScaling: clients.AutoScaling,
		Publication: at.plan.Images[0].Desired().Publication, InstanceType: r.spec.Canary.InstanceType,
		Subnets: r.spec.Canary.Subnets, SecurityGroups: r.spec.Canary.SecurityGroups, ThroughGroup: r.spec.Canary.AutoScaling,
		GrantedAt: grantedAt, Timeout: r.spec.Canary.Timeout, Reporter: r.Reporter,
	}.Run(ctx, images)
	problems := []error{err}
	for _, launch := range launches {
		problems = append(problems, r.judge(launch, at.checks))
	}
	if err := errors.Join(problems...); err != nil {
		return launches, fmt.Errorf("%w\nOnly the canary's account, %s, can see the image. Run again once this is fixed", err, r.spec.Canary.Account)
	}
	return launches, nil
}

// judge compares a launch with its launch check. It returns an error if the launch
// stops the publication.
func (r run) judge(launch canary.Launch, checks Checks) error {
	launcher := "Karpenter" // which has the policy of the canary's role
	if launch.By == canary.ByAutoScaling {
		launcher = "EC2 Auto Scaling"
	}
	verdict, checked := checks.Matrix.Find(r.spec.Canary.Account, launch.Region, launcher)
	broken, _ := verdict.Broken()
	switch launch.Outcome {
	case canary.Launched:
		if checked && verdict.Outcome == evaluate.Fails {
			r.Reporter.Warn(fmt.Sprintf("%s: the canary's instance %s launched, but its launch check expected a failure (%s: %s). %s", launch.Region, launch.InstanceID, broken.Name, broken.Because, pleaseReport))
		}
		return nil
	case canary.Inconclusive:
		err := fmt.Errorf("the canary in %s (%s, account %s) is inconclusive: %s", launch.Region, launch.By, r.spec.Canary.Account, strings.TrimRight(launch.Reason, "."))
		if r.spec.Canary.TolerateInconclusive {
			r.Reporter.Warn(err.Error())
			return nil
		}
		return fmt.Errorf("%w. Set canary.on_inconclusive = \"warn\" to publish anyway", err)
	}
	instance := "no instance"
	if launch.InstanceID != "" {
		instance = fmt.Sprintf("instance %s (%s)", launch.InstanceID, launch.InstanceType)
	}
	err := fmt.Errorf("the canary of %s in %s (%s, account %s) failed, %s: %s", launch.ImageID, launch.Region, launch.By, r.spec.Canary.Account, instance, launch.Reason)
	switch {
	case !checked:
		return fmt.Errorf("%w\n  There is no launch check to compare with, because check is \"off\"", err)
	case verdict.Outcome == evaluate.Launches && len(assumed(verdict)) > 0:
		return fmt.Errorf("%w\n  Its launch check expects the launch to succeed, but it rests on assumptions: %s. Check these and the policy of the role %s first. If they are correct, %s", err, strings.Join(assumed(verdict), ", "), r.spec.Canary.Role, pleaseReport)
	case verdict.Outcome == evaluate.Launches:
		return fmt.Errorf("%w\n  Its launch check expects the launch to succeed, if the role %s has the policy in karpenter-kms-policy.json and the permissions of a canary. If it has them, %s", err, r.spec.Canary.Role, pleaseReport)
	case verdict.Outcome == evaluate.Fails:
		return fmt.Errorf("%w\n  Its launch check fails at the link %s: %s", err, broken.Name, broken.Because)
	default:
		return fmt.Errorf("%w\n  Its launch check is %s, because of the link %s: %s", err, verdict.Outcome, broken.Name, broken.Because)
	}
}

// assumed are the links that rest on an assumption.
func assumed(c evaluate.Case) []string {
	var names []string
	for _, l := range c.Links {
		if l.Evidence == evaluate.Assumed && !slices.Contains(names, l.Name) {
			names = append(names, l.Name)
		}
	}
	return names
}

const pleaseReport = "the checks don't match AWS. Please report this issue with this message"

// withdrawCanary removes the canary's own permission, unless the image is shared with
// the account or the permission was there before on an image that the plugin didn't
// create.
func (r run) withdrawCanary(ctx context.Context, observed Observed, plan Plan, verified ami.Verified, shared map[string]ami.Shared) (map[string]ami.Shared, error) {
	if len(plan.Canary) == 0 || slices.Contains(plan.SharePolicy.Image.Accounts, r.spec.Canary.Account) {
		return nil, nil
	}
	var regions []string
	for _, image := range plan.Images {
		before := observed.Images[image.Region()].Shared[image.ImageID()].Image.Accounts
		theirs := image.Adopted() && slices.Contains(before, r.spec.Canary.Account)
		if slices.Contains(plan.Canary, image.Region()) && !theirs {
			regions = append(regions, image.Region())
		}
	}
	return ami.Unshare(ctx, r.Clients.EC2, verified.In(regions), r.spec.Canary.Account, shared)
}
