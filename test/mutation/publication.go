package main

// publicationMutations break the rules of the contract: who owns an image, what is
// checked before it is shared, and what the files say.
var publicationMutations = []mutation{
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
		"repeat what a credential_process printed", "internal/awsclient/credentials.go",
		"	if process, ok := errors.AsType[*processcreds.ProviderError](e.error); ok {", "	if process, ok := errors.AsType[*processcreds.ProviderError](e.error); ok && false {",
	},
	{
		"no copy stands in for a source that is gone", "internal/publish/source.go",
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
		"	if at.checks, err = r.check(ctx, at); err != nil {\n		return at, err\n	}\n", "	if at.shared, err = r.share(ctx, at.observed, *at.plan, at.verified); err != nil {\n		return at, err\n	}\n	if at.checks, err = r.check(ctx, at); err != nil {\n		return at, err\n	}\n",
	},
	{
		"take what no role read for seen", "internal/launchcheck/evaluate/settings.go",
		"is assumed not to exclude \"+i.ID).assumed()}", "is assumed not to exclude \"+i.ID)}",
	},
	{
		"take a simulation without a context key for an answer", "internal/launchcheck/evaluate/simulation.go",
		"	case len(s.Missing) > 0, s.Identity == \"\":\n		return unsure\n	default:\n		return answerOf(", "	case s.Identity == \"\":\n		return unsure\n	default:\n		return answerOf(",
	},
	{
		"take a denial of a key of another account for that of the role", "internal/launchcheck/simulate.go",
		"		if name := strings.ToLower(key); strings.Contains(name, \"iam\") || strings.Contains(name, \"identity\") {", "		if name := strings.ToLower(key); strings.Contains(name, \"-\") {",
	},
	{
		"ask about grants and their use with one context", "internal/launchcheck/simulate.go",
		"		{roleARN, use, keys, with(throughEC2), absentInUse},", "		{roleARN, use, keys, with(granting), absentInUse},",
	},
	{
		"inspect nothing in an audit", "internal/publish/check.go",
		"		if members, err = r.inspect(ctx, observed, plan, plan.keyID()); err != nil {", "		if _, err = r.inspect(ctx, observed, plan, observed.Key.ID); err != nil {",
	},
	{
		"accept assumptions with check = seen", "internal/publish/inspect.go",
		"		seen := c.Outcome == evaluate.Launches && c.Evidence != evaluate.Assumed", "		seen := c.Outcome == evaluate.Launches",
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
		"at.plan.SharePolicy.Apply(at.observed.Images[region].Shared[image.ID].Image)}", "at.observed.Images[region].Shared[image.ID].Image}",
	},
	{
		"count permissions that are about to be removed", "internal/ami/permissions.go",
		"	if s.Prune {\n		return s.Image", "	if false {\n		return s.Image",
	},
	{
		"plan without the permissions that an image keeps", "internal/publish/foresee.go",
		"shared := observed.Images[region].Shared[image.ImageID()].Image", "shared := ami.Permissions{}",
	},
	{
		"blame the key policy for an image that isn't shared", "internal/publish/foresee.go",
		"failing.BrokenAt(evaluate.LinkShared)", `failing.BrokenAt("")`,
	},
	{
		"stop a publication in mode warn", "internal/publish/check.go",
		"	if err != nil && !r.spec.Check.stops() {", "	if false && err != nil {",
	},
	{
		"take what was read before a change for what AWS has after it", "internal/publish/plan.go",
		"	plan.unchanging = plan.Mutating() == 0 && len(plan.Canary) == 0\n", "	plan.unchanging = true\n",
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
		"share before the canary", "internal/publish/publish.go",
		"	if at.canary, err = r.launchCanary(ctx, at); err != nil {\n		return at, err\n	}\n	if at.shared, err = r.share(ctx, at.observed, *at.plan, at.verified); err != nil {\n		return at, err\n	}\n", "	if at.shared, err = r.share(ctx, at.observed, *at.plan, at.verified); err != nil {\n		return at, err\n	}\n	if at.canary, err = r.launchCanary(ctx, at); err != nil {\n		return at, err\n	}\n",
	},
	{
		"keep the canary's permission", "internal/publish/publish.go",
		"	changed, err := r.withdrawCanary(ctx, observed, plan, verified, shared)\n", "	var changed map[string]ami.Shared\n",
	},
	{
		"leave what a canary created", "internal/canary/canary.go",
		"		if removal := a.remove(ctx); removal != nil {", "		if removal := error(nil); removal != nil {",
	},
	{
		"leave what earlier canaries created", "internal/canary/canary.go",
		"	if err := r.sweep(ctx); err != nil {", "	if err := error(nil); err != nil {",
	},
	{
		"remove canaries that go on", "internal/canary/tags.go",
		"	return tags[ami.TagPublication] == r.Publication || time.Now().After(until)", "	return !until.IsZero()",
	},
	{
		"publish after a canary that failed", "internal/publish/canary.go",
		"		problems = append(problems, r.judge(launch, at.checks))", "		_ = r.judge(launch, at.checks)",
	},
	{
		"mark as published before sharing", "internal/publish/publish.go",
		"	if at.shared, err = r.share(ctx, at.observed, *at.plan, at.verified); err != nil {\n		return at, err\n	}\n	if at.final, err = r.markPublished(ctx, at.verified); err != nil {\n		return at, err\n	}\n", "	if at.final, err = r.markPublished(ctx, at.verified); err != nil {\n		return at, err\n	}\n	if at.shared, err = r.share(ctx, at.observed, *at.plan, at.verified); err != nil {\n		return at, err\n	}\n",
	},
	{
		"go on although a grant failed", "internal/publish/publish.go",
		"			grants, err = r.createGrants(ctx, observed, plan, keys)\n", "			grants, err = r.createGrants(ctx, observed, plan, keys)\n			err = nil\n",
	},
	{
		"ask for no permission beforehand", "internal/publish/publish.go",
		"		if err := r.preflight(ctx, observed, *plan); err != nil {", "		if err := r.preflight(ctx, observed, *plan); false && err != nil {",
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
		"		at.complete = false // don't report files that weren't written\n", "",
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
}
