package evaluate_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/orgami/packer-plugin-orgami/internal/launchcheck/evaluate"
	"github.com/orgami/packer-plugin-orgami/test/awssim"
)

// figures count the verdicts that this process compared.
var figures struct {
	sync.Mutex
	worlds, verdicts, launches, fails, inconclusive int
	plain, plainInconclusive                        int // verdicts of worlds without anything odd
	hidden, doubts                                  int // verdicts of worlds of which something was hidden, and those that were inconclusive because of it
	inspected, unsure, simulated                    int // verdicts on what the accounts read, and those that are inconclusive or rest on a simulation
	disagreements                                   int
	links                                           map[string]int // by which launches fail
}

// seeds are those of the worlds that are compared: a sample in `make test`, more
// than 200,000 verdicts in `make test-exhaustive`, one alone with ORGAMI_SEED.
func seeds(t *testing.T) (from, to uint64) {
	t.Helper()
	if text := os.Getenv("ORGAMI_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return seed, seed + 1
	}
	if os.Getenv("ORGAMI_EXHAUSTIVE") != "" {
		return 1, 10501
	}
	return 1, 151
}

// TestDifferential generates random worlds, lets every launcher launch in every
// account, and compares the results with the evaluator's verdicts. The
// simulator and the evaluator share no code, so each checks the other.
func TestDifferential(t *testing.T) {
	from, to := seeds(t)
	t.Run("worlds", func(t *testing.T) {
		for seed := from; seed < to; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				compare(t, seed)
			})
		}
	})
	f := &figures
	t.Logf("worlds %d, verdicts %d: launches %d, fails %d, inconclusive %d; inconclusive without anything odd %d of %d; with something hidden %d of %d; disagreements %d; fails by %v",
		f.worlds, f.verdicts, f.launches, f.fails, f.inconclusive, f.plainInconclusive, f.plain, f.doubts, f.hidden, f.disagreements, f.links)
	t.Logf("inspected %d, inconclusive %d, simulated %d", f.inspected, f.unsure, f.simulated)
	if to-from == 1 {
		return
	}
	if f.unsure*100 > f.inspected*30 || f.simulated*100 < f.inspected*5 {
		t.Errorf("of %d verdicts on inspected accounts, %d are inconclusive and %d rest on a simulation: too many or too few to say anything", f.inspected, f.unsure, f.simulated)
	}
	if f.launches*100 < f.verdicts*15 || f.fails*100 < f.verdicts*15 {
		t.Error("the worlds are too much alike to say anything")
	}
	for _, link := range []string{"image", "shared", "allowed-amis", "scp", "key-state", "key-policy", "identity-policy", "grant", "volume-key"} {
		if f.links[link]*200 < f.fails {
			t.Errorf("%d of %d launches fail by the link %s: too few to say anything", f.links[link], f.fails, link)
		}
	}
	if f.doubts*100 < f.hidden*10 || f.doubts*100 > f.hidden*90 {
		t.Errorf("%d of %d verdicts are inconclusive where something was hidden: too few or too many to say anything", f.doubts, f.hidden)
	}
	if f.plainInconclusive*100 > f.plain*5 {
		t.Error("too much is inconclusive in worlds in which everything can be understood")
	}
}

func compare(t *testing.T, seed uint64) {
	t.Helper()
	w := generate(t, seed)
	known := w.read()
	outcomes, links := map[evaluate.Outcome]int{}, map[string]int{}
	wrong := 0
	verdicts := evaluate.Evaluate(known).Verdicts
	happened, reasons := make([]evaluate.Outcome, len(verdicts)), make([]string, len(verdicts))
	for i, v := range verdicts {
		outcomes[v.Outcome]++
		if decides, found := v.Broken(); found && v.Outcome == evaluate.Fails {
			links[decides.Name]++
		}
		if v.Outcome == evaluate.Inconclusive && !w.odd && os.Getenv("ORGAMI_SEED") != "" {
			t.Logf("%s by %s: %+v", v.Account, v.Launcher, v.Links)
		}
		became, why := w.launch(v)
		happened[i], reasons[i] = became, why
		if v.Outcome == evaluate.Inconclusive || v.Outcome == became {
			continue
		}
		wrong++
		t.Errorf("seed %d (ORGAMI_SEED=%d go test -run TestDifferential ./internal/launchcheck/evaluate): the evaluator says that a launch in %s by %s %s, %+v; the simulator that it %s: %s\nkeys %v",
			seed, seed, v.Account, v.Launcher, v.Outcome, v.Links, became, why, w.policies(known))
	}
	compared, doubts := 0, 0
	if os.Getenv("ORGAMI_EXHAUSTIVE") == "" || seed%10 == 0 { // it takes as long as everything else
		compared, doubts = w.compareWithLess(known, happened)
	}
	inspected, unsure, simulated := w.compareInspected(seed, known, happened, reasons)
	figures.Lock()
	defer figures.Unlock()
	figures.inspected += inspected
	figures.unsure += unsure
	figures.simulated += simulated
	if figures.links == nil {
		figures.links = map[string]int{}
	}
	for link, n := range links {
		figures.links[link] += n
	}
	figures.hidden += compared
	figures.doubts += doubts
	figures.worlds++
	figures.disagreements += wrong
	figures.launches += outcomes[evaluate.Launches]
	figures.fails += outcomes[evaluate.Fails]
	figures.inconclusive += outcomes[evaluate.Inconclusive]
	all := outcomes[evaluate.Launches] + outcomes[evaluate.Fails] + outcomes[evaluate.Inconclusive]
	figures.verdicts += all
	if !w.odd {
		figures.plain += all
		figures.plainInconclusive += outcomes[evaluate.Inconclusive]
	}
}

// policies are the policies in the text of an error.
func (w *generatedWorld) policies(known evaluate.Input) string {
	var text strings.Builder
	for arn, key := range known.Regions[0].Keys {
		fmt.Fprintf(&text, "%s: %s %s\n", arn, key.State, key.Policy)
	}
	for _, l := range known.Launchers {
		fmt.Fprintf(&text, "%s: %s\n", l.Name, l.Policy)
	}
	return text.String()
}

// launch launches the image as the verdict's launcher, and returns the result.
func (w *generatedWorld) launch(v evaluate.Verdict) (became evaluate.Outcome, why string) {
	w.t.Helper()
	for _, l := range w.launchers() {
		if l.Name != v.Launcher {
			continue
		}
		if !l.ServiceLinked {
			return w.launchAs(v.Account, l.Role)
		}
		result, err := w.sim.LaunchAsServiceLinkedRole(v.Account, l.Role[strings.LastIndexByte(l.Role, '/')+1:], home, w.image)
		w.must(result, err)
		return outcomeOf(result.State == "running"), result.Diagnosis
	}
	w.t.Fatalf("there is no launcher %s", v.Launcher)
	return "", ""
}

func outcomeOf(runs bool) evaluate.Outcome {
	if runs {
		return evaluate.Launches
	}
	return evaluate.Fails
}

// launchAs launches as a role of the account.
func (w *generatedWorld) launchAs(account, role string) (became evaluate.Outcome, why string) {
	w.t.Helper()
	config := w.config(account)
	config.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), roleARN(account, role)))
	client := ec2.NewFromConfig(config)
	answer, err := client.RunInstances(w.t.Context(), &ec2.RunInstancesInput{
		ImageId: &w.image, InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	var refused smithy.APIError
	if errors.As(err, &refused) && (strings.HasPrefix(refused.ErrorCode(), "InvalidAMIID.") || refused.ErrorCode() == "UnauthorizedOperation") {
		return evaluate.Fails, err.Error()
	}
	w.must(answer, err)
	id := *answer.Instances[0].InstanceId
	described, err := w.ec2(account).DescribeInstances(w.t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	w.must(described, err)
	return outcomeOf(described.Reservations[0].Instances[0].State.Name == ec2types.InstanceStateNameRunning), w.sim.Diagnosis(id)
}

func (w *generatedWorld) describeImage(id string) ec2types.Image {
	w.t.Helper()
	described, err := w.ec2(owner).DescribeImages(w.t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{id}, IncludeDisabled: aws.Bool(true)})
	w.must(described, err)
	return described.Images[0]
}

// read returns the world as AWS reports it.
func (w *generatedWorld) read() evaluate.Input {
	w.t.Helper()
	known := evaluate.Input{Partition: "aws", Organization: organization, ManagementAccount: awssim.ManagementAccount, Now: time.Now(), Launchers: w.launchers()}
	units := map[string]string{"r-ab12": "r-ab12/", unit: "r-ab12/" + unit + "/", nested: "r-ab12/" + unit + "/" + nested + "/", apart: "r-ab12/" + apart + "/"}
	for _, id := range launching() {
		a := evaluate.Account{ID: id, Organization: "none"}
		if path := units[parents()[id]]; path != "" {
			a.Organization, a.Path = organization, organization+"/"+path
		}
		if w.chance(1) {
			w.odd = true
			a.Organization, a.Path = "", ""
		}
		w.readSettings(&a)
		known.Accounts = append(known.Accounts, a)
	}
	r := evaluate.Region{Name: home, Image: w.readImage(), Keys: map[string]evaluate.Key{}}
	for _, s := range r.Image.Snapshots {
		if s.Key != "" {
			r.Keys[s.Key] = w.readKey(s.Key)
		}
	}
	known.Regions = []evaluate.Region{r}
	return known
}

func (w *generatedWorld) readImage() evaluate.Image {
	w.t.Helper()
	described := w.describeImage(w.image)
	read := evaluate.Image{ID: w.image, Owner: *described.OwnerId, State: string(described.State), Public: aws.ToBool(described.Public), Name: *described.Name}
	read.Created, _ = time.Parse(time.RFC3339, aws.ToString(described.CreationDate))
	attribute, err := w.ec2(owner).DescribeImageAttribute(w.t.Context(), &ec2.DescribeImageAttributeInput{ImageId: &w.image, Attribute: ec2types.ImageAttributeNameLaunchPermission})
	w.must(attribute, err)
	for _, p := range attribute.LaunchPermissions {
		for value, to := range map[*string]*[]string{p.UserId: &read.Accounts, p.OrganizationArn: &read.Organizations, p.OrganizationalUnitArn: &read.OrganizationalUnits} {
			if value != nil {
				*to = append(*to, *value)
			}
		}
	}
	for _, mapping := range described.BlockDeviceMappings {
		snapshots, err := w.ec2(owner).DescribeSnapshots(w.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*mapping.Ebs.SnapshotId}})
		w.must(snapshots, err)
		read.Snapshots = append(read.Snapshots, evaluate.Snapshot{ID: *mapping.Ebs.SnapshotId, Read: true, Encrypted: aws.ToBool(snapshots.Snapshots[0].Encrypted), Key: aws.ToString(snapshots.Snapshots[0].KmsKeyId)})
	}
	return read
}

// readKey reads what the key's owner may read of it.
func (w *generatedWorld) readKey(key string) evaluate.Key {
	w.t.Helper()
	client, ctx := w.kms(key), w.t.Context()
	read := evaluate.Key{ARN: key}
	described, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
	w.odd = w.odd || err != nil
	if err == nil {
		read.State, read.AWSManaged = string(described.KeyMetadata.KeyState), described.KeyMetadata.KeyManager == "AWS"
	}
	document, err := client.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &key})
	w.odd = w.odd || err != nil
	if err == nil {
		read.Policy = []byte(*document.Policy)
	}
	pages := kms.NewListGrantsPaginator(client, &kms.ListGrantsInput{KeyId: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			w.odd, read.GrantsUnknown = true, true
			break
		}
		for _, g := range page.Grants {
			one := evaluate.Grant{ID: *g.GrantId, Name: aws.ToString(g.Name), Grantee: *g.GranteePrincipal, Constrained: g.Constraints != nil}
			if issuer, err := arn.Parse(aws.ToString(g.IssuingAccount)); err == nil {
				one.IssuingAccount = issuer.AccountID
			}
			for _, o := range g.Operations {
				one.Operations = append(one.Operations, string(o))
			}
			read.Grants = append(read.Grants, one)
		}
	}
	return read
}
