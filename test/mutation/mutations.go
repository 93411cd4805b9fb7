package main

import "slices"

// mutations are the ways in which the plugin is broken.
var mutations = slices.Concat(publicationMutations, shareMutations, otherMutations)

var otherMutations = []mutation{
	{
		"share what was not verified", "internal/ami/verify.go",
		"	differs(\"state\", i.State", "	if true {\n		return nil\n	}\n	differs(\"state\", i.State",
	},
	{
		"swallow one region's error", "internal/fanout/fanout.go",
		"	for _, key := range slices.Sorted(maps.Keys(failed)) {", "	for _, key := range slices.Sorted(maps.Keys(failed))[min(1, len(failed)):] {",
	},
	{
		"change although only a plan is asked for", "internal/publish/publish.go",
		"		if err != nil || r.spec.PlanOnly {", "		if err != nil {",
	},
	{
		"overwrite the key policy", "internal/kmskey/propagate.go",
		"a.desired.Policy.Merge(&current, a.desired.ExtraStatements)", "a.desired.Policy.Merge(nil, a.desired.ExtraStatements)",
	},
	{
		"forget a replica's policy", "internal/kmskey/apply.go",
		"			Policy:        aws.String(step.policy.String()),\n", "",
	},
	{
		"no alias in the replicas' regions", "internal/kmskey/apply.go",
		"	if step.addAlias && (a.observed.ID != \"\" || region != a.observed.PrimaryRegion) {", "	if step.addAlias && region == a.observed.PrimaryRegion && a.observed.ID != \"\" {",
	},
	{
		"do not wait for a replica", "internal/kmskey/apply.go",
		"	if step.create || a.observed.Regional[region].State != string(types.KeyStateEnabled) {", "	if false {",
	},
	{
		"do not look for the key of an interrupted run", "internal/kmskey/find.go",
		"	found.key, err = findByTag(ctx, clients, desired)\n", "",
	},
	{
		"adopt a key that is open to the world", "internal/policy/open.go",
		"	if p.Effect != \"Allow\" {", "	if true {",
	},
	{
		"take any organization for ours", "internal/policy/open.go",
		"	\"aws:principalorgid\":    pattern.Organization.Match,", "	\"aws:principalorgid\":    func(string) bool { return true },",
	},
	{
		"no owner in a new key's policy", "internal/policy/merge.go",
		"	if slices.Contains(base.Sids(), SidOwner) || !merged.administeredBy(k.Owner) && !keep {", "	if false {",
	},
	{
		"no kms:CreateGrant for Karpenter", "internal/policy/karpenter.go",
		"Action: Values{\"kms:CreateGrant\"}", "Action: Values{\"kms:DescribeKey\"}",
	},
	{
		"grants without a name", "internal/grant/apply.go",
		"Name: &g.Name, ", "",
	},
	{
		"do not read the grants back", "internal/grant/apply.go",
		"joinFailures(c.failures), c.readBack(ctx))", "joinFailures(c.failures))",
	},
	{
		"grants in one region only", "internal/grant/grant.go",
		"	for i, region := range regions {", "	for i, region := range regions[:min(1, len(regions))] {",
	},
	{
		"merge into the policy that the plan saw", "internal/kmskey/propagate.go",
		"a.desired.Policy.Merge(&current, a.desired.ExtraStatements)\n	if err != nil {\n		return fmt.Errorf(\"merging", "a.desired.Policy.Merge(func() *policy.Document { d := a.observed.Regional[region].Policy; return &d }(), a.desired.ExtraStatements)\n	if err != nil {\n		return fmt.Errorf(\"merging",
	},
	{
		"do not set a policy again that was overwritten", "internal/kmskey/propagate.go",
		"		if err := a.mergePolicy(ctx, client, region); err != nil {\n			return document, err\n		}\n", "",
	},
	{
		"take an invisible new key for an error", "internal/kmskey/propagate.go",
		"		if awsclient.Is(err, awsclient.CodeNotFound) {\n			return \"the key is not visible\", nil\n		}\n		if err != nil {\n			return \"\", err\n		}\n		if open", "		if err != nil {\n			return \"\", err\n		}\n		if open",
	},
	{
		"take every key with unreadable tags for another team's", "internal/kmskey/find.go",
		"				denied = err\n", "				denied = nil\n",
	},
	{
		"prune grants of others", "internal/grant/prune.go",
		"	if !ourNames.MatchString(name) {", "	if name = Name(\"111111111111\", \"all\"); false {",
	},
	{
		"prune although it was not asked for", "internal/grant/prune.go",
		"	if !p.desired.Prune {", "	if false {",
	},
	{
		"prune what is wanted", "internal/grant/prune.go",
		"if g.name != \"\" && !wanted[grantee] {", "if g.name != \"\" {",
	},
	{
		"prune although nobody was discovered", "internal/publish/discover.go",
		"len(found) == 0 && spec.Prune", "false",
	},
	{
		"discover as the caller, not as the role", "internal/publish/discover.go",
		"if spec.DiscoverRoleARN != \"\" {", "if false {",
	},
	{
		"believe the first good answer", "internal/wait/wait.go",
		"good >= max(p.Streak, 1)", "good >= 1",
	},
	{
		"each build keeps the quotas by itself", "internal/awsclient/limiter/limiter.go",
		"	if l.file == nil {", "	if true {",
	},
	{
		"call AWS as often at the same time as there are accounts and Regions", "internal/awsclient/connections.go",
		"	case w.calls <- struct{}{}:\n		return func() { <-w.calls }, nil", "	case w.calls <- struct{}{}:\n		<-w.calls\n		return func() {}, nil",
	},
	{
		"open a connection for most calls", "internal/awsclient/connections.go",
		"		t.MaxIdleConns, t.MaxIdleConnsPerHost = CallsAtOnce, CallsAtOnce\n", "",
	},
	{
		"connections of its own for each client of the SDK", "internal/awsclient/client.go",
		"	loaded.HTTPClient = shared(loaded.HTTPClient)\n", "",
	},
	{
		"learn nothing from throttled calls", "internal/awsclient/limiter/limiter.go",
		"	if s.Rate <= 0 || since < 0 {", "	if true {",
	},
	{
		"create the grants that another build created", "internal/publish/grants.go",
		"	if waited {", "	if waited && false {",
	},
	{
		"a session for each grant", "internal/publish/grants.go",
		"		if sessions[roleARN] == nil {", "		if true {",
	},
	{
		"a grant helps against a Deny", "internal/launchcheck/evaluate/admission.go",
		"a.policies.or(a.grants).and(denied.not())", "a.policies.and(denied.not()).or(a.grants)",
	},
	{
		"a grant of another account is enough", "internal/launchcheck/evaluate/admission.go",
		"a.grants = a.granted.own.or(a.granted.lent.and(a.own.allowed))", "a.grants = a.granted.any()",
	},
	{
		"volumes of other accounts keep the image's key", "internal/launchcheck/evaluate/volume.go",
		"if a.ID == e.region.Image.Owner || len(e.keys) == 0 {", "if a.ID != \"\" {",
	},
	{
		"retire images that are used", "internal/retention/retire.go",
		"	if len(uses) > 0 {", "	if false {",
	},
	{
		"retire images whose users aren't known", "internal/retention/retire.go",
		"	if len(u.Unknown) > 0 {", "	if false {",
	},
	{
		"retire images that changed since the plan", "internal/retention/apply.go",
		"	why := a.changed(now)", "	why := \"\"",
	},
	{
		"retire images that began to be used", "internal/retention/apply.go",
		"		why, _ = uses.keep(now, a.step, time.Now())", "		_ = uses",
	},
	{
		"retire images of another origin", "internal/retention/generations.go",
		"return g.Published() && g.Tags", "return g.Tags",
	},
	{
		"retire images that aren't published", "internal/retention/generations.go",
		"g.Tags[ami.TagState] == ami.StatePublished && ", "",
	},
	{
		"retire one generation too many", "internal/retention/retire.go",
		"max(0, policy.Keep-1-newer)", "max(0, policy.Keep-2-newer)",
	},
	{
		"retire images that are newer", "internal/retention/retire.go",
		"case current != nil && age(image.Image) >= age(*current):", "case false:",
	},
	{
		"look at the newest version of launch templates only", "internal/retention/templates.go",
		"range versions {", "range versions[:1] {",
	},
	{
		"leave out launch templates with aliases", "internal/retention/templates.go",
		"ResolveAlias: aws.Bool(true)", "ResolveAlias: aws.Bool(false)",
	},
	{
		"take any action for one of KMS", "internal/policy/lint_actions.go",
		"			l.unknownAction(action, name)", "			_ = name",
	},
	{
		"believe that a parameter was set", "internal/ssmparam/parameter.go",
		"case err != nil || Diff(p, image, observed).Action == change.NoOp:", "case err != nil || observed.Value != \"\":",
	},
	{
		"take a parameter of any type", "internal/ssmparam/parameter.go",
		"found.Type != types.ParameterTypeString || aws.ToString(found.DataType) != dataType", "found == nil",
	},
	{
		"deprecate again in every run", "internal/retention/lifecycle.go",
		"case image.Deprecation.Equal(at), at.Before", "case at.Before",
	},
}
