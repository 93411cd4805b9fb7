package main

// mutations are the ways in which the plugin is broken.
var mutations = []mutation{
	{
		"share what was not verified", "internal/ami/verify.go",
		"	differs(\"state\", i.State", "	if true {\n		return nil\n	}\n	differs(\"state\", i.State",
	},
	{
		"random client token", "internal/ami/copy_start.go",
		"	token := clientToken(d, name, link)", "	token := clientToken(d, name, link) + strconv.FormatInt(time.Now().UnixNano(), 36)[:8]",
	},
	{
		"client token without the link", "internal/ami/copy_start.go",
		"name, strconv.Itoa(link))", "name, strconv.Itoa(0*link))",
	},
	{
		"walk the tokens from another link than other runs", "internal/ami/copy.go",
		"	for link := range maxLinks {", "	for n := range maxLinks {\n		link := n + int(time.Now().Unix()%100)",
	},
	{
		"take a token of another copy for an error", "internal/ami/copy_start.go",
		"		return \"\", errOtherParameters", "		return \"\", err",
	},
	{
		"copy under the primary's key everywhere", "internal/ami/copy.go",
		"= keys.ID(), keys.ARN(region)", "= keys.ID(), keys.ARN(\"us-east-1\")",
	},
	{
		"copy without encryption", "internal/ami/copy_start.go",
		"		Encrypted:     aws.Bool(true),\n		KmsKeyId:      &d.KeyARN,\n", "",
	},
	{
		"copy without the tags that say what a copy is", "internal/ami/copy_start.go",
		"			{ResourceType: types.ResourceTypeImage, Tags: tagList(d.imageTags())},\n", "",
	},
	{
		"copy only from the source", "internal/ami/copy_start.go",
		"		case awsclient.Is(err, awsclient.CodeImageNotFound, awsclient.CodeImageUnavailable) && n+1 < len(sources):", "		case false:",
	},
	{
		"no copy stands in for a source that is gone", "internal/publish/observe.go",
		"		if errors.Is(err, ami.ErrNoSource) {", "		if false && errors.Is(err, ami.ErrNoSource) {",
	},
	{
		"fail when too many copies are under way", "internal/ami/copy_start.go",
		"		if !awsclient.Is(err, awsclient.CodeResourceLimit) {", "		if true {",
	},
	{
		"give up on a copy that someone deregistered", "internal/ami/copy.go",
		"		err = c.wait(waiting, id)\n		gone, isGone := errors.AsType[*goneError](err)\n		if !isGone {", "		err = c.wait(waiting, id)\n		gone, isGone := errors.AsType[*goneError](err)\n		if !isGone || true {",
	},
	{
		"copy again what EC2 could not copy", "internal/ami/copy.go",
		"gone.failed && gone.since(started) || attempts == maxAttempts", "attempts == maxAttempts",
	},
	{
		"wait for the others when a Region has failed", "internal/ami/copy.go",
		"		if err != nil && !errors.Is(err, ErrStopped) {", "		if false && err != nil {",
	},
	{
		"use an image of another source", "internal/ami/plan.go",
		"usable && d.Publication != \"\" && i.Tags[TagPublication] == d.Publication &&", "usable && d.Publication != \"\" &&",
	},
	{
		"use an image under another key", "internal/ami/plan.go",
		"		d.KeyID != \"\" && i.Tags[TagKey] == d.KeyID && !i.contradicts(d.KeyARN)", "		d.KeyID != \"\" && !i.contradicts(d.KeyARN)",
	},
	{
		"copy what could be adopted", "internal/ami/plan.go",
		"	if source := desired.Source; source.Region == desired.Region && source.UnderKey(desired.KeyARN) {", "	if source := desired.Source; source.Region == \"\" {",
	},
	{
		"take an available copy before a shared one", "internal/ami/plan.go",
		"cmp.Or(rank(observed.Shared[b.ID].Image.Any(), observed.Shared[a.ID].Image.Any()), rank", "cmp.Or(rank",
	},
	{
		"unpublished copies of others block", "internal/ami/plan.go",
		"		case published && !same:", "		case !same:",
	},
	{
		"ignore disabled images", "internal/ami/observe.go",
		"			Owners: []string{\"self\"}, IncludeDisabled: aws.Bool(true), IncludeDeprecated", "			Owners: []string{\"self\"}, IncludeDeprecated",
	},
	{
		"find own copies by filters", "internal/ami/resolve.go",
		"	found := withoutOwnCopies(all)", "	found := all",
	},
	{
		"do not compare the digest", "internal/ami/verify.go",
		"	if len(problems) == 0 && i.Digest() != d.Source.OriginDigest() {", "	if false {",
	},
	{
		"verify with the first answer", "internal/ami/verify.go",
		"readAvailable(ctx, clients(region), region, m.image.ID)", "describeImage(ctx, clients(region), region, m.image.ID)",
	},
	{
		"take an unread snapshot for one under another key", "internal/ami/image.go",
		"		return s.Read && (!s.Encrypted || s.KeyARN != \"\" && s.KeyARN != keyARN)", "		return !s.Read || !s.Encrypted || s.KeyARN != \"\" && s.KeyARN != keyARN",
	},
	{
		"take an unread snapshot for unencrypted", "internal/launchcheck/evaluate/chain.go",
		"		case !s.Read:", "		case false:",
	},
	{
		"share before the launch checks", "internal/publish/publish.go",
		"	if at.checks, err = r.check(ctx, at.observed, *at.plan, at.keys, at.verified, at.grants); err != nil {\n		return at, err\n	}\n	if at.shared, err = r.share(ctx, *at.plan, at.verified); err != nil {\n		return at, err\n	}\n", "	if at.shared, err = r.share(ctx, *at.plan, at.verified); err != nil {\n		return at, err\n	}\n	if at.checks, err = r.check(ctx, at.observed, *at.plan, at.keys, at.verified, at.grants); err != nil {\n		return at, err\n	}\n",
	},
	{
		"share although launch checks fail", "internal/publish/check.go",
		"	return checks, r.report(checks)", "	_ = r.report(checks)\n	return checks, nil",
	},
	{
		"launch checks with the first answer", "internal/publish/check.go",
		"			return \"some launch checks fail\", nil", "			return \"\", nil",
	},
	{
		"launch checks without the permissions to come", "internal/publish/check.go",
		".Shared[image.ID].Image.With(plan.SharePolicy.Image)}", ".Shared[image.ID].Image}",
	},
	{
		"stop a publication in mode warn", "internal/publish/check.go",
		"	if err != nil && r.spec.Check != CheckFail {", "	if false && err != nil {",
	},
	{
		"share a name that was taken meanwhile", "internal/publish/publish.go",
		"	if err := ami.CheckNames(ctx, r.Clients.EC2, verified); err != nil {", "	if err := ami.CheckNames(ctx, r.Clients.EC2, verified); false && err != nil {",
	},
	{
		"share in all Regions but one", "internal/ami/share.go",
		"	shared, err := fanout.Collect(ctx, verified.Regions(), func", "	shared, err := fanout.Collect(ctx, verified.Regions()[1:], func",
	},
	{
		"do not read the permissions back", "internal/ami/share.go",
		"		shared, err := readBackShared(ctx, clients, m.image, policy)", "		shared, err := LookShared(ctx, clients, m.image, policy.Snapshots)",
	},
	{
		"mark as published before sharing", "internal/publish/publish.go",
		"	if at.shared, err = r.share(ctx, *at.plan, at.verified); err != nil {\n		return at, err\n	}\n	if at.final, err = r.markPublished(ctx, at.verified); err != nil {\n		return at, err\n	}\n", "	if at.final, err = r.markPublished(ctx, at.verified); err != nil {\n		return at, err\n	}\n	if at.shared, err = r.share(ctx, *at.plan, at.verified); err != nil {\n		return at, err\n	}\n",
	},
	{
		"go on although a grant failed", "internal/publish/publish.go",
		"		grants, err = r.createGrants(ctx, observed, plan, keys)\n		return stopping(err)", "		grants, err = r.createGrants(ctx, observed, plan, keys)\n		return nil",
	},
	{
		"ask for no permission beforehand", "internal/publish/publish.go",
		"		if err := r.preflight(ctx, *plan); err != nil {", "		if err := r.preflight(ctx, *plan); false && err != nil {",
	},
	{
		"list no unpublished copies", "internal/publish/publish.go",
		"	at.unpublished = run.listUnpublished(ctx, at, err)\n", "",
	},
	{
		"say how to remove the only copy", "internal/ami/unpublished.go",
		"		all[n].Removable = all[n].Image.dead() || exist", "		all[n].Removable = true || exist",
	},
	{
		"complete without its files", "internal/publish/publish.go",
		"		at.complete = false // nobody may rely on files that aren't there\n", "",
	},
	{
		"write the manifest before the other files", "internal/record/record.go",
		"manifest.Write(directory, append(documents, manifest.Document{Name: manifest.File, Content: m})...)", "manifest.Write(directory, append([]manifest.Document{{Name: manifest.File, Content: m}}, documents...)...)",
	},
	{
		"overwrite the last good manifest on failure", "internal/record/record.go",
		"manifest.Document{Name: manifest.FailureFile, Content: failure(o, m)}", "manifest.Document{Name: manifest.File, Content: failure(o, m)}",
	},
	{
		"slow down when a quota is exhausted", "internal/awsclient/retry.go",
		"	delete(codes, CodeLimitExceeded)\n", "",
	},
	{
		"wait long for an answer", "internal/awsclient/answer.go",
		"context.WithTimeout(ctx, w.timeout)", "context.WithTimeout(ctx, 10*w.timeout)",
	},
	{
		"follow a page token that repeats", "internal/awsclient/page.go",
		"		if earlier == next {", "		if false && earlier == next {",
	},
	{
		"let a panic end the process", "internal/fanout/fanout.go",
		"		if value := recover(); value != nil {", "		if value := any(nil); value != nil {",
	},
	{
		"set a key policy that was not checked", "internal/kmskey/propagate.go",
		"	if problems := checkPolicy(merged); len(problems) > 0 {", "	if problems := checkPolicy(merged); false && len(problems) > 0 {",
	},
	{
		"print what controls the terminal", "internal/text/text.go",
		"	if strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {", "	if true {",
	},
	{
		"fail where the cache cannot be used", "post-processor/publish/lock.go",
		"		if err != nil {\n			c.unusable(err)\n		}\n		return func() { _ = lock", "		if err != nil {\n			return nil, false, err\n		}\n		return func() { _ = lock",
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
		"	key, err = findByTag(ctx, clients, desired)\n", "",
	},
	{
		"adopt a key that is open to the world", "internal/policy/open.go",
		"	if p.Effect != \"Allow\" {", "	if true {",
	},
	{
		"take any organisation for ours", "internal/policy/open.go",
		"	\"aws:principalorgid\":    pattern.Organization.Match,", "	\"aws:principalorgid\":    func(string) bool { return true },",
	},
	{
		"no owner in a new key's policy", "internal/policy/keypolicy.go",
		"	if slices.Contains(base.Sids(), SidOwner) || !merged.administeredBy(k.Owner) {", "	if false {",
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
		"	if err := readBack(ctx, owner, region, grants); err != nil {", "	if err := readBack(ctx, owner, region, nil); err != nil {",
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
		"	if !p.desired.Prune || len(p.stale) == 0 {", "	if len(p.stale) == 0 {",
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
		"learn nothing from throttled calls", "internal/awsclient/limiter/limiter.go",
		"	if s.Rate <= 0 || since < 0 {", "	if true {",
	},
	{
		"make the grants that another build has made", "internal/publish/grants.go",
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
		"if err == nil && observed.Value != image {", "if false && observed.Value != image {",
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
