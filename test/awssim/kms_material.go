package awssim

// importKeyMaterial ends the state PendingImport of one regional key. The material
// itself isn't stored. Fact: KMS-MRK-19.
func importKeyMaterial(c *call) (any, error) {
	r, err := decodeJSON[struct {
		KeyID                string `json:"KeyId"`
		ImportToken          []byte
		EncryptedKeyMaterial []byte
		ExpirationModel      string
		ValidTo              float64
		ImportType           string
	}](c)
	if err != nil {
		return nil, err
	}
	k, problem := c.key(r.KeyID, false)
	if problem != nil {
		return nil, problem
	}
	switch state := k.state(c.now); {
	case !k.family.imported:
		return nil, badRequest("UnsupportedOperationException", "%s origin is AWS_KMS which is not valid for this operation.", k.arn)
	case state != "PendingImport" && state != "Enabled" && state != "Disabled":
		return nil, badRequest("KMSInvalidStateException", "%s is %s.", k.arn, state)
	}
	k.withoutMaterial = false
	return map[string]any{"KeyId": k.arn}, nil
}

// origin returns the origin of the key material.
func (f *kmsFamily) origin() string {
	if f.imported {
		return "EXTERNAL"
	}
	return "AWS_KMS"
}
