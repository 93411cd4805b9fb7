package publish

import (
	"strings"
	"testing"
)

// Each option of amazon-ebs that users may try here is an error that names the option
// to use.
func TestAmazonOptions(t *testing.T) {
	t.Parallel()
	for option, test := range map[string]struct {
		value any
		says  string
	}{
		"ami_regions":        {[]string{"us-east-1"}, "Use regions"},
		"ami_users":          {[]string{"222222222222"}, "Use share { accounts"},
		"ami_org_arns":       {[]string{"arn:aws:organizations::999999999999:organization/o-exampleorgid"}, "Use share { organization = true }"},
		"ami_ou_arns":        {[]string{"arn:aws:organizations::999999999999:ou/o-exampleorgid/ou-ab12-11111111"}, "Use share { organizational_units"},
		"kms_key_id":         {"alias/golden", "Use key { id"},
		"region_kms_key_ids": {map[string]string{"us-east-1": "alias/golden"}, "Use key: it names one multi-Region key"},
		"encrypt_boot":       {true, "Use key: copies are always encrypted"},
		"snapshot_users":     {[]string{"222222222222"}, "Use share { accounts = [...], snapshots = true }"},
	} {
		var p PostProcessor
		err := p.Configure(map[string]any{"key": map[string]any{"alias": "alias/golden"}, option: test.value})
		if err == nil || !strings.Contains(err.Error(), option+": this is an option of amazon-ebs. "+test.says) {
			t.Errorf("%s: %v", option, err)
		}
	}
	var p PostProcessor
	if err := p.Configure(map[string]any{"key": map[string]any{"alias": "alias/golden"}}); err != nil {
		t.Errorf("without them: %v", err)
	}
	err := p.Configure(map[string]any{"key": map[string]any{"alias": "alias/golden"}, "check": "seen"})
	if err == nil || !strings.Contains(err.Error(), "grants.member_role") {
		t.Errorf("seen without a member role: %v", err)
	}
}
