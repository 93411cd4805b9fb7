package manifest

// Parameter is the parameter of one Region that names the image.
type Parameter struct {
	Name string `json:"name"`
	// ARN names the parameter in every account that it is shared with:
	// resolve:ssm:ARN.
	ARN string `json:"arn"`
	// ShareARN is the resource share that the plugin created for it. It is absent if
	// the parameter isn't shared.
	ShareARN string `json:"share_arn,omitempty"`
	// SharedWith are the accounts, units and organizations of that share. An account
	// outside the organization is listed before it accepts its invitation.
	SharedWith []string `json:"shared_with,omitempty"`
}
