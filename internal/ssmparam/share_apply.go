package ssmparam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	"github.com/aws/aws-sdk-go-v2/service/ram/types"
	"github.com/aws/smithy-go"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/wait"
)

const (
	// associating is how long RAM may take to associate principals and resources, and to
	// end their associations. RAM documents no time.
	associating = 5 * time.Minute
	// settling is how long a failed association may be what readers still see of an
	// earlier attempt. Fact: RAM-13.
	settling = 30 * time.Second
	// principalsPerCall bounds the size of a request.
	principalsPerCall = 100
)

// Apply shares the parameter, which must exist in the advanced tier, and waits until RAM
// has associated everything. It returns the shares as they read back. It removes nothing.
//
// Apply and [Remove] aren't methods: the linker keeps all operations of a client that is
// a parameter of an exported method.
func Apply(ctx context.Context, client *ram.Client, s Sharing) (Shares, error) {
	have, err := ReadShares(ctx, client, s, true)
	if err != nil {
		return have, err
	}
	if problem := s.Problem(have); problem != "" {
		return have, errors.New(problem)
	}
	var arn string
	if len(have.own) == 0 {
		arn, err = s.create(ctx, client, have.deleted)
	} else {
		arn = have.own[0].arn
		principals, resources := s.missing(have.own[0])
		err = s.associate(ctx, client, arn, principals, resources)
	}
	if err != nil {
		return have, err
	}
	return s.readBack(ctx, client, arn)
}

// create creates the share with the parameter. A repeated request finds the share that
// the first one created.
func (s Sharing) create(ctx context.Context, client *ram.Client, deleted []string) (arn string, err error) {
	principals := s.sorted()
	first := principals[:min(len(principals), principalsPerCall)]
	answer, err := client.CreateResourceShare(ctx, &ram.CreateResourceShareInput{
		Name: aws.String(s.shareName()), ClientToken: aws.String(s.token(first, deleted)), AllowExternalPrincipals: &s.External,
		Principals: first, ResourceArns: []string{s.ARN}, Tags: []types.Tag{{Key: aws.String(TagParameter), Value: &s.Name}},
	})
	if err != nil {
		return "", s.explain(err, first)
	}
	if answer.ResourceShare == nil || aws.ToString(answer.ResourceShare.ResourceShareArn) == "" {
		return "", awsclient.Incomplete("RAM CreateResourceShare for the parameter "+s.Name, s.Region, "ResourceShareArn")
	}
	arn = *answer.ResourceShare.ResourceShareArn
	return arn, s.associate(ctx, client, arn, principals[len(first):], nil)
}

// associate adds principals and resources to the share. RAM accepts those that it has.
func (s Sharing) associate(ctx context.Context, client *ram.Client, arn string, principals, resources []string) error {
	batches := slices.Collect(slices.Chunk(principals, principalsPerCall))
	if len(batches) == 0 && len(resources) > 0 {
		batches = [][]string{nil}
	}
	for i, batch := range batches {
		request := ram.AssociateResourceShareInput{ResourceShareArn: &arn, Principals: batch}
		if i == 0 {
			request.ResourceArns = resources
		}
		if _, err := client.AssociateResourceShare(ctx, &request); err != nil {
			return s.explain(err, batch)
		}
	}
	return nil
}

// explain adds what to do to the error of a request for the principals. It names RAM's
// sharing with AWS Organizations only for errors that are known to mean that it may be
// off. Fact: RAM-3.
func (s Sharing) explain(err error, principals []string) error {
	with := strings.Join(principals, ", ")
	if with == "" {
		with = "the principals of its resource share"
	}
	wrapped := awsclient.Wrap(err, "sharing the parameter %s in %s with %s", s.Name, s.Region, with)
	api, isAPI := errors.AsType[smithy.APIError](err)
	if !isAPI {
		return wrapped
	}
	switch message := api.ErrorMessage(); {
	case strings.Contains(message, "can only be shared within your AWS Organization"):
		return fmt.Errorf("%w %s. If an account is outside the organization, set ssm.external_accounts or remove it from share.accounts", wrapped, s.EnableSharing())
	case strings.HasPrefix(message, "Organization") && strings.Contains(message, "could not be found"):
		return fmt.Errorf("%w %s", wrapped, s.EnableSharing())
	}
	return wrapped
}

// readBack waits until the share has everything.
func (s Sharing) readBack(ctx context.Context, client *ram.Client, arn string) (Shares, error) {
	var shares Shares
	start := time.Now()
	err := wait.Until(ctx, wait.Policy{Timeout: associating}, func(ctx context.Context) (pending string, err error) {
		if shares, err = ReadShares(ctx, client, s, true); err != nil {
			return "", err
		}
		i := slices.IndexFunc(shares.own, func(own share) bool { return own.arn == arn })
		if i < 0 {
			return "the resource share isn't listed yet", nil
		}
		return s.pending(shares.own[i], time.Since(start) < settling)
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return shares, fmt.Errorf("sharing the parameter %s in %s: %w. See 'aws ram get-resource-share-associations --region %[2]s --association-type PRINCIPAL --resource-share-arns %[4]s', then run again", s.Name, s.Region, err, arn)
	}
	return shares, err
}

// Associated reports whether the plugin's share has everything, or waits only for accounts
// to accept their invitations.
func (s Sharing) Associated(have Shares) bool {
	if len(have.own) == 0 {
		return false
	}
	pending, err := s.pending(have.own[0], false)
	return pending == "" && err == nil
}

// invited reports whether the principal may have to accept an invitation first.
func (s Sharing) invited(principal string) bool {
	return s.External && !strings.HasPrefix(principal, "arn:")
}

// pending says what isn't associated yet. Failed associations are an error once readers
// don't see those of an earlier attempt any longer.
func (s Sharing) pending(have share, settling bool) (string, error) {
	check := func(entity string, a association, invited bool) (string, error) {
		switch {
		case a.status == types.ResourceShareAssociationStatusAssociated || invited && a.live():
			return "", nil
		case a.status == types.ResourceShareAssociationStatusFailed && !settling:
			return "", fmt.Errorf("sharing the parameter %s in %s: the association of %s with the resource share %s failed: %s. Correct the cause, then run again", s.Name, s.Region, entity, have.arn, a.reason())
		case a.status == "":
			return entity + " isn't listed yet", nil
		default:
			return fmt.Sprintf("%s is %s", entity, a.status), nil
		}
	}
	if pending, err := check(s.ARN, have.resources[s.ARN], false); pending != "" || err != nil {
		return pending, err
	}
	for _, principal := range s.sorted() {
		if pending, err := check(principal, have.principals[principal], s.invited(principal)); pending != "" || err != nil {
			return pending, err
		}
	}
	return "", nil
}

// reason is AWS's explanation of a failed association.
func (a association) reason() string {
	if a.message == "" {
		return "AWS returned no message"
	}
	return strings.TrimSuffix(a.message, ".")
}

// Remove removes the principals that aren't configured from the plugin's shares, and waits
// until RAM ends their associations. It returns the shares as they read back.
func Remove(ctx context.Context, client *ram.Client, s Sharing, have Shares) (Shares, error) {
	for _, own := range have.own {
		for batch := range slices.Chunk(s.extra(own), principalsPerCall) {
			_, err := client.DisassociateResourceShare(ctx, &ram.DisassociateResourceShareInput{ResourceShareArn: &own.arn, Principals: batch})
			if err != nil {
				return have, awsclient.Wrap(err, "removing the sharing of the parameter %s in %s with %s", s.Name, s.Region, strings.Join(batch, ", "))
			}
		}
	}
	shares := have
	err := wait.Until(ctx, wait.Policy{Timeout: associating}, func(ctx context.Context) (pending string, err error) {
		if shares, err = ReadShares(ctx, client, s, true); err != nil {
			return "", err
		}
		if s.Removes(shares) {
			return "removed principals are still listed", nil
		}
		return "", nil
	})
	if _, late := errors.AsType[*wait.TimeoutError](err); late {
		return shares, fmt.Errorf("removing the sharing of the parameter %s in %s: %w. Another principal may be adding it. Run again", s.Name, s.Region, err)
	}
	return shares, err
}
