package awssim

// This file has the account's settings of EBS encryption and EC2's use of KMS keys.
// Fact: EC2-API-4, LAUNCH-1.

type noParameters struct{}

// encryptsByDefault reports whether EBS encryption by default is on for the account in
// the Region.
func (c *call) encryptsByDefault() bool { return c.account().ebsEncryptionByDefault[c.region] }

// defaultKey returns the account's default key for EBS encryption, which is aws/ebs
// unless the account chose another one.
func (c *call) defaultKey() *kmsKey {
	if arn := c.account().ebsDefaultKey[c.region]; arn != "" {
		if k := c.w.kms.keys[arn]; k != nil {
			return k
		}
	}
	return c.w.awsManagedKey(c.caller.Account, c.region)
}

// encryptionKey finds the key that a request names, or the default key.
func (c *call) encryptionKey(id string) (*kmsKey, *Error) {
	if id == "" {
		return c.defaultKey(), nil
	}
	return c.w.resolveKey(c.caller.Account, c.region, id, c.now)
}

type encryptionByDefaultAnswer struct {
	Enabled bool `xml:"ebsEncryptionByDefault"`
}

func getEBSEncryptionByDefault(c *call, _ noParameters) (any, error) {
	answer := struct {
		encryptionByDefaultAnswer
		SSEType string `xml:"sseType"`
	}{encryptionByDefaultAnswer{c.encryptsByDefault()}, "none"}
	if answer.Enabled {
		answer.SSEType = "sse-kms"
	}
	return answer, nil
}

func enableEBSEncryptionByDefault(c *call, _ noParameters) (any, error) {
	return c.setEncryptionByDefault(true)
}

func disableEBSEncryptionByDefault(c *call, _ noParameters) (any, error) {
	return c.setEncryptionByDefault(false)
}

func (c *call) setEncryptionByDefault(on bool) (any, error) {
	a := c.account()
	if a.ebsEncryptionByDefault == nil {
		a.ebsEncryptionByDefault = map[string]bool{}
	}
	a.ebsEncryptionByDefault[c.region] = on
	return encryptionByDefaultAnswer{on}, nil
}

type keyAnswer struct {
	KeyID string `xml:"kmsKeyId"`
}

func getEBSDefaultKey(c *call, _ noParameters) (any, error) {
	if arn := c.account().ebsDefaultKey[c.region]; arn != "" {
		return keyAnswer{arn}, nil
	}
	return keyAnswer{"alias/aws/ebs"}, nil
}

type modifyEBSDefaultKeyRequest struct {
	KeyID string `param:"KmsKeyId,required"`
}

func modifyEBSDefaultKey(c *call, r modifyEBSDefaultKeyRequest) (any, error) {
	k, problem := c.w.resolveKey(c.caller.Account, c.region, r.KeyID, c.now)
	if problem != nil {
		return nil, badRequest("InvalidParameterValue", "The KMS key %s cannot be used: %s", r.KeyID, problem.Message)
	}
	a := c.account()
	if a.ebsDefaultKey == nil {
		a.ebsDefaultKey = map[string]string{}
	}
	a.ebsDefaultKey[c.region] = k.arn
	return keyAnswer{k.arn}, nil
}

func resetEBSDefaultKey(c *call, _ noParameters) (any, error) {
	delete(c.account().ebsDefaultKey, c.region)
	return keyAnswer{"alias/aws/ebs"}, nil
}

// keyUse is an operation with a key that EC2 calls on the caller's behalf.
type keyUse struct {
	key     *kmsKey
	actions []string
	// what names the key in a diagnosis.
	what string
}

// firstMissing returns the first use of a key that KMS denies EC2 for the caller in the
// Region, with KMS's reason. Fact: LAUNCH-1, LAUNCH-2.
func (c *call) firstMissing(region string, uses []keyUse) (keyUse, *Error) {
	for _, use := range uses {
		for _, action := range use.actions {
			request := kmsRequest{principal: c.caller, action: action, key: use.key, viaService: viaEC2(region), now: c.now}
			if action == "kms:CreateGrant" {
				request.grantIsForAWSResource = true
				request.grantOperations = attachmentOperations
			}
			if problem := c.w.authorizeKMS(request); problem != nil {
				return use, problem
			}
		}
	}
	return keyUse{}, nil
}

// attachmentOperations are the operations of the grant that EC2 creates for a volume.
var attachmentOperations = []string{"Decrypt"}
