package awssim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signer keeps the signing keys that it derived.
var signer = v4.NewSigner()

// sessionKeyPrefix begins the access keys that AssumeRole issues.
const sessionKeyPrefix = "ASIASIMU"

// credentialsOf returns the secret of an access key, and the token of a session. They
// are derived from the ID, so even a key that was never issued has them.
func credentialsOf(accessKey string) aws.Credentials {
	if account, ok := strings.CutPrefix(accessKey, accessKeyPrefix); ok {
		return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: "secret-of-" + account}
	}
	return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: "secret-of-" + accessKey, SessionToken: "token-of-" + accessKey}
}

// signedBy reports whether the request's signature is the one that the owner of the
// access key would have made, over the headers that the request says it signs.
// Fact: SIG-1.
func (c *call) signedBy(accessKey string, r *http.Request, body []byte) bool {
	authorization := r.Header.Get("Authorization")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || !strings.HasPrefix(authorization, "AWS4-HMAC-SHA256 ") {
		return false
	}
	url := *r.URL // the signer modifies the request
	again := &http.Request{Method: r.Method, URL: &url, Host: r.Host, Header: http.Header{}}
	for name := range strings.SplitSeq(authorizationPart(authorization, "SignedHeaders"), ";") {
		key := http.CanonicalHeaderKey(name)
		if key == "Content-Length" {
			again.ContentLength = r.ContentLength
			continue
		}
		if values := r.Header.Values(key); len(values) > 0 {
			again.Header[key] = values
		}
	}
	for key := range r.Header {
		if strings.HasPrefix(key, "X-Amz-") && again.Header.Get(key) == "" {
			return false // Fact: SIG-1
		}
	}
	credentials := credentialsOf(accessKey)
	if again.Header.Get("X-Amz-Security-Token") != credentials.SessionToken {
		return false
	}
	hash := sha256.Sum256(body)
	if err := signer.SignHTTP(r.Context(), credentials, again, hex.EncodeToString(hash[:]), c.service, c.region, at); err != nil {
		return false
	}
	return hmac.Equal(signatureOf(again), signatureOf(r))
}

func signatureOf(r *http.Request) []byte {
	return []byte(authorizationPart(r.Header.Get("Authorization"), "Signature"))
}

// authorizationPart returns the value of NAME=VALUE in an Authorization header.
func authorizationPart(authorization, name string) string {
	_, rest, _ := strings.Cut(authorization, name+"=")
	value, _, _ := strings.Cut(rest, ",")
	return strings.TrimSpace(value)
}

// wrongSignature is the error for a signature that doesn't match. Fact: SIG-2, SIG-3.
func wrongSignature(service string) *Error {
	message := "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	switch protocolOf(service) {
	case ec2Protocol:
		return &Error{Status: http.StatusUnauthorized, Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials"}
	case jsonProtocol:
		return badRequest("InvalidSignatureException", "%s", message)
	default:
		return &Error{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch", Message: message}
	}
}
