package main

// shareMutations break the sharing of parameters.
var shareMutations = []mutation{
	{
		"a second share after a lost response", "internal/ssmparam/share_apply.go",
		"ClientToken: aws.String(s.token(first, deleted)), ", "",
	},
	{
		"take a deleted share for the new one", "internal/ssmparam/share_apply.go",
		"s.token(first, deleted)", "s.token(first, nil)",
	},
	{
		"share the parameter with accounts outside the organization", "internal/ssmparam/share_apply.go",
		"AllowExternalPrincipals: &s.External,", "AllowExternalPrincipals: aws.Bool(true),",
	},
	{
		"believe that the parameter was shared", "internal/ssmparam/share_apply.go",
		"	return s.readBack(ctx, client, arn)\n", "	return have, nil\n",
	},
	{
		"take a failed association for a pending one", "internal/ssmparam/share_apply.go",
		"case a.status == types.ResourceShareAssociationStatusFailed && !settling:", "case false:",
	},
	{
		"believe a failure of an earlier attempt", "internal/ssmparam/share_apply.go",
		"time.Since(start) < settling)", "time.Since(start) < 0)",
	},
	{
		"blame the organization's sharing for every error", "internal/ssmparam/share_apply.go",
		"case strings.HasPrefix(message, \"Organization\") && strings.Contains(message, \"could not be found\"):", "default:",
	},
	{
		"add principals to a share with other resources", "internal/ssmparam/share.go",
		"		if len(others) > 0 {", "		if false {",
	},
	{
		"read only the first other share", "internal/ssmparam/share_read.go",
		"		if !known && ", "		if len(found) == 0 && !known && ",
	},
	{
		"remove the principals of other shares", "internal/ssmparam/share_apply.go",
		"	for _, own := range have.own {\n		for batch", "	for _, own := range slices.Concat(have.own, have.others) {\n		for batch",
	},
	{
		"remove principals without being asked", "internal/publish/parameters.go",
		"		if sharing.Prune && sharing", "		if sharing",
	},
	{
		"share a parameter of the standard tier", "internal/ssmparam/parameter.go",
		"		request.Tier = types.ParameterTierAdvanced\n", "",
	},
	{
		"do not say that the tier is permanent", "internal/ssmparam/parameter.go",
		"	upgrades := p.Advanced && !observed.Advanced\n", "	upgrades := false\n",
	},
	{
		"retire what a version of the shared parameter names", "internal/publish/parameters.go",
		"		all.Uses = all.Uses.With(version.Value, use)\n", "		_ = use\n",
	},
	{
		"plan without saying who enables sharing", "internal/publish/plan_text.go",
		"	if p.enableSharing != \"\" {", "	if false {",
	},
}
