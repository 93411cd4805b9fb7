package publish

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/grant"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
)

// makeGrants makes the grants that are missing. Builds that share the key want
// the same ones, so one after the other does, and looks again at what the one
// before has made.
func (r *run) makeGrants(ctx context.Context, plan Plan, keys kmskey.Keys) (grant.Result, error) {
	// The plan again, now that every key has an ARN.
	grants := grant.Diff(plan.grantWant, r.result.world.Grants, keys.ARN)
	missing := grants.Missing()
	if len(missing) == 0 {
		return grants.Apply(ctx, r.clients.KMS, members(r.clients), r.reporter)
	}
	release, waited, err := r.lock(ctx, MakingGrants)
	if err != nil {
		return grant.Result{}, err
	}
	defer release()
	if waited {
		now, err := grant.LookNew(ctx, r.clients.KMS, missing)
		if err != nil {
			return grant.Result{}, err
		}
		grants = grant.Diff(plan.grantWant, r.result.world.Grants.With(now), keys.ARN)
	}
	return grants.Apply(ctx, r.clients.KMS, members(r.clients), r.reporter)
}

// members acts in the accounts of an organisation, with one session a role.
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
