package publish

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
)

// createGrants creates the missing grants. Builds that share the key need the same
// grants, so they take turns, and each reads the grants again.
func (r run) createGrants(ctx context.Context, observed Observed, plan Plan, keys kmskey.Keys) (grant.Result, error) {
	if plan.unchanging {
		return plan.Grants.Apply(ctx, r.Clients.KMS, r.sessions, r.Reporter)
	}
	// Plan again, because every key has an ARN now.
	grants := grant.Diff(plan.grants, observed.Grants, keys.ARN)
	missing := grants.Missing()
	if len(missing) == 0 {
		return grants.Apply(ctx, r.Clients.KMS, r.sessions, r.Reporter)
	}
	release, waited, err := r.Lock(ctx, MakingGrants)
	if err != nil {
		return grant.Result{}, err
	}
	defer release()
	if waited {
		now, err := grant.ReadNew(ctx, r.Clients.KMS, missing)
		if err != nil {
			return grant.Result{}, err
		}
		grants = grant.Diff(plan.grants, observed.Grants.With(now), keys.ARN)
	}
	return grants.Apply(ctx, r.Clients.KMS, r.sessions, r.Reporter)
}

// members acts in the accounts of an organization, with one session for each role.
func members(clients *awsclient.Clients) grant.Members {
	var mu sync.Mutex
	sessions := map[string]aws.CredentialsProvider{} // by role ARN
	return func(roleARN string) aws.CredentialsProvider {
		mu.Lock()
		defer mu.Unlock()
		if sessions[roleARN] == nil {
			sessions[roleARN] = clients.Credentials(awsclient.AssumeRole{RoleARN: roleARN})
		}
		return sessions[roleARN]
	}
}
