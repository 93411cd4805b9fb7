package awssim

func simulatePrincipalPolicy(c *call) (any, error) {
	return nil, denied(c)
}
