package key

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/packer-plugin-sdk/hcl2helper"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/zclconf/go-cty/cty"

	"github.com/orgami/packer-plugin-orgami/internal/awsclient"
	"github.com/orgami/packer-plugin-orgami/internal/kmskey"
)

// timeout bounds the lookup, because Packer provides no way to cancel a data
// source.
const timeout = 2 * time.Minute

// none is the value that is returned with an error. Packer's RPC encodes it, too, and
// panics for cty.NilVal.
var none = cty.NullVal(cty.EmptyObject)

// Datasource is the component orgami-key.
type Datasource struct {
	config Config
}

var _ packersdk.Datasource = (*Datasource)(nil)

// ConfigSpec returns the specification of the arguments and blocks.
func (d *Datasource) ConfigSpec() hcldec.ObjectSpec { return d.config.FlatMapstructure().HCL2Spec() }

// OutputSpec returns the specification of the outputs.
func (d *Datasource) OutputSpec() hcldec.ObjectSpec {
	return new(DatasourceOutput).FlatMapstructure().HCL2Spec()
}

// Configure reads and checks the configuration without calls to AWS.
func (d *Datasource) Configure(raws ...any) error {
	c, err := decode(raws...)
	if err != nil {
		return err
	}
	d.config = c
	return c.validate()
}

// Execute looks up the key.
func (d *Datasource) Execute() (output cty.Value, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			output, err = none, fmt.Errorf("internal error in orgami-key; please report this issue: %v\n%s", panicked, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	query, err := d.config.query()
	if err != nil {
		return none, err
	}
	clients, err := awsclient.Load(ctx, d.config.Client(query.Region, ""))
	if err != nil {
		return none, err
	}
	query.Region = clients.Region()
	if query.Region == "" && !strings.HasPrefix(query.Name, "arn:") {
		return none, errors.New("region is required, because neither AWS_REGION nor the AWS configuration sets a Region. Set the Region in which to look up the key")
	}
	found, err := kmskey.Locate(ctx, clients.KMS, query)
	if err != nil {
		return none, fmt.Errorf("orgami-key: %w", err)
	}
	return hcl2helper.HCL2ValueFromConfig(DatasourceOutput{
		KeyID: found.ID, ARN: found.ARN, PrimaryRegion: found.Primary, RegionalARNs: found.ARNs, WildcardARN: found.WildcardARN,
	}, d.OutputSpec()), nil
}
