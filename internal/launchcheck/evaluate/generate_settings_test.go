package evaluate_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// settings gives the accounts default EBS keys, Allowed AMIs and service control
// policies.
func (g *generator) settings(file *awssim.WorldFile) {
	for i := range file.Accounts {
		a := &file.Accounts[i]
		if !slices.Contains(launching(), a.ID) {
			continue
		}
		if g.chance(35) {
			key := awssim.KeyFile{Account: one(g, a.ID, a.ID, a.ID, a.ID, keyOwner), Region: home, Description: "default of " + a.ID}
			key.Policy = json.RawMessage(g.keyPolicy(key.ARN(home)))
			file.Keys = append(file.Keys, key)
			a.EBSDefaultKey = map[string]string{home: key.ARN(home)}
		}
		if g.chance(30) {
			a.AllowedImages = map[string]awssim.AllowedImagesFile{home: g.allowedImages()}
		}
		if a.Parent != "" && g.chance(30) {
			a.ServiceControlPolicies = g.controlPolicies(a.ID)
		}
	}
}

func (g *generator) allowedImages() awssim.AllowedImagesFile {
	setting := awssim.AllowedImagesFile{State: one(g, "enabled", "enabled", "enabled", "enabled", "audit-mode", "disabled")}
	for range 1 + g.IntN(2) {
		var c awssim.ImageCriterionFile
		if g.chance(70) {
			c.Providers = []string{one(g, owner, owner, other, "amazon"), one(g, owner, keyOwner)}
		}
		if g.chance(30) {
			c.Names = []string{one(g, "copy of *", "joined", "source ?", "golden-*", "*")}
		}
		if g.chance(20) {
			c.MaximumDaysSinceCreated = aws.Int(one(g, 1, 30, 1_000_000))
		}
		if g.chance(20) {
			c.MaximumDaysSinceDeprecated = aws.Int(g.IntN(3))
		}
		if len(c.Providers)+len(c.Names) == 0 && c.MaximumDaysSinceCreated == nil && c.MaximumDaysSinceDeprecated == nil {
			c.Providers = []string{"none"}
		}
		setting.Criteria = append(setting.Criteria, c)
	}
	return setting
}

// controlPolicies returns the service control policies of an account. They deny only
// roles, so that the world can be created. The image's owner may do everything
// otherwise.
func (g *generator) controlPolicies(account string) []json.RawMessage {
	allowed := any("*")
	if account != owner {
		allowed = one[any](g, "*", "*", "*", []string{"ec2:*", "sts:*", "iam:*"}, []string{"kms:*", "ec2:Run*", "ec2:D*", "ec2:Get*", "sts:*", "iam:*"}, []string{"kms:*", "sts:*", "iam:*", "ec2:Describe*", "ec2:Get*"})
	}
	policies := []json.RawMessage{json.RawMessage(g.document([]object{{"Effect": "Allow", "Action": allowed, "Resource": "*"}}))}
	for range g.IntN(3) {
		condition := object{"ArnLike": object{"aws:PrincipalArn": one(g, "arn:aws:iam::*:role/*", "arn:aws:iam::*:role/*", roleARN("*", karpenter), roleARN("*", batch))}}
		switch g.IntN(5) {
		case 0:
			condition["StringNotEquals"] = object{"aws:RequestedRegion": one[any](g, home, []string{"eu-west-1", home}, "eu-west-1")}
		case 1:
			condition["Bool"] = object{"aws:ViaAWSService": one(g, "true", "false")}
		case 2:
			condition["StringLike"] = object{"kms:ViaService": one(g, "ec2.*", "rds.*")}
		case 3:
			condition["StringEquals"] = object{"aws:PrincipalAccount": one(g, account, other)}
		}
		s := object{"Effect": "Deny", "Condition": condition, "Resource": "*"}
		switch g.IntN(6) {
		case 0:
			s["Action"] = one[any](g, "ec2:RunInstances", []string{"ec2:Run*", "s3:*"}, "ec2:*")
			s["Resource"] = one(g, "*", "arn:aws:ec2:*::image/*", "arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:subnet/*", "arn:aws:ec2:*::image/ami-1", "arn:aws:ec2:"+home+":"+account+":volume/*", "arn:aws:ec2:eu-west-1:*:*")
		case 1:
			s["NotAction"] = one[any](g, "iam:*", []string{"ec2:*", "kms:*"}, []string{"kms:*"}, []string{"ec2:*", "kms:De*"})
		case 2:
			s["Action"] = g.someActions()
			delete(s, "Resource")
			s["NotResource"] = one(g, "arn:aws:kms:*:"+owner+":key/*", "arn:aws:kms:*:*:*", "arn:aws:ec2:*:*:*")
		default:
			s["Action"] = one(g, g.someActions(), g.neededActions())
			s["Resource"] = one(g, "*", "arn:aws:kms:*:*:key/*", "arn:aws:kms:*:"+owner+":key/*", "arn:aws:kms:*:"+account+":key/*", "arn:aws:kms:eu-west-1:*:*")
		}
		policies = append(policies, json.RawMessage(g.document([]object{s})))
	}
	return policies
}

// settleDefaultKey gives a default EBS key its grants and its state.
func (w *generatedWorld) settleDefaultKey(file awssim.KeyFile) {
	key := file.ARN(home)
	account := strings.TrimPrefix(file.Description, "default of ")
	for _, role := range launchRoles() {
		if !w.chance(40) {
			continue
		}
		in := kms.CreateGrantInput{KeyId: &key, GranteePrincipal: aws.String(roleARN(account, role))}
		for _, o := range whole() {
			in.Operations = append(in.Operations, grantOperation(o))
		}
		issuer := one(w.generator, account, keyAccount(key))
		_, _ = kms.NewFromConfig(w.config(issuer)).CreateGrant(w.t.Context(), &in) // its policies may deny this
	}
	if w.chance(8) {
		_, _ = w.kms(key).DisableKey(w.t.Context(), &kms.DisableKeyInput{KeyId: &key})
	}
}

// readSettings reads the settings of an account. In half of the accounts, it
// omits the default key if that is aws/ebs: the evaluator assumes it.
func (w *generatedWorld) readSettings(a *evaluate.Account) {
	w.t.Helper()
	ctx, client := w.t.Context(), w.ec2(a.ID)
	key, err := client.GetEbsDefaultKmsKeyId(ctx, &ec2.GetEbsDefaultKmsKeyIdInput{})
	w.must(key, err)
	switch arn := *key.KmsKeyId; {
	case !strings.Contains(arn, "alias/aws/ebs"):
		a.DefaultEBSKeys = map[string]evaluate.Key{home: w.readKey(arn)}
	case w.chance(50):
		a.DefaultEBSKeys = map[string]evaluate.Key{home: {ARN: arn, AWSManaged: true}}
	}
	allowed, err := client.GetAllowedImagesSettings(ctx, &ec2.GetAllowedImagesSettingsInput{})
	w.must(allowed, err)
	setting := evaluate.AllowedAMIs{State: *allowed.State}
	for _, c := range allowed.ImageCriteria {
		read := evaluate.ImageCriterion{Providers: c.ImageProviders, Names: c.ImageNames, ProductCodes: c.MarketplaceProductCodes}
		if c.CreationDateCondition != nil {
			read.MaximumDaysSinceCreated = days(c.CreationDateCondition.MaximumDaysSinceCreated)
		}
		if c.DeprecationTimeCondition != nil {
			read.MaximumDaysSinceDeprecated = days(c.DeprecationTimeCondition.MaximumDaysSinceDeprecated)
		}
		setting.Criteria = append(setting.Criteria, read)
	}
	a.AllowedAMIs = map[string]evaluate.AllowedAMIs{home: setting}
	a.SCPs = [][]evaluate.ControlPolicy{}
	if policies := w.controls[a.ID]; len(policies) > 0 {
		level := []evaluate.ControlPolicy{}
		for i, document := range policies {
			level = append(level, evaluate.ControlPolicy{Name: fmt.Sprint("p-", i+1), Document: document})
		}
		a.SCPs = append(a.SCPs, level)
	}
}

func days(n *int32) *int {
	days := int(aws.ToInt32(n))
	return &days
}
