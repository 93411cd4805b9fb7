package awssim

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits of KMS. Lengths count characters, except the policy's.
const (
	maxKeyPolicy   = 32_768  // bytes; Fact: KMS-KEY-8
	maxPolicyShape = 131_072 // characters; Fact: KMS-KEY-8
	maxDescription = 8_192   // API reference of CreateKey, Description
	maxTagKey      = 128     // Fact: KMS-KEY-25, EC2-IMG-28
	maxTagValue    = 256     // Fact: KMS-KEY-25, EC2-IMG-28
)

// kmsTagPattern has the characters that AWS services accept in general. The KMS
// pages don't say which KMS accepts. Fact: KMS-KEY-26.
var kmsTagPattern = regexp.MustCompile(`^[\p{L}\p{N}\p{Zs}_.:/=+\-@]*$`)

// checkPolicyText rejects a policy that is too long or has other characters than
// tab, line feed, carriage return and the printable ones up to U+00FF. Which error
// KMS returns for a character isn't documented. Fact: KMS-KEY-8, KMS-KEY-9.
func checkPolicyText(policy string) *Error {
	switch {
	case utf8.RuneCountInString(policy) > maxPolicyShape:
		return badRequest("ValidationException", "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to %d", maxPolicyShape)
	case len(policy) > maxKeyPolicy:
		return badRequest("LimitExceededException", "The key policy is larger than %d bytes.", maxKeyPolicy)
	}
	for _, char := range policy {
		printable := char >= ' ' && char <= '~' || char >= 0xA0 && char <= 0xFF
		if !printable && !strings.ContainsRune("\t\n\r", char) {
			return badRequest("ValidationException", "1 validation error detected: Value at 'policy' failed to satisfy constraint: it has the character %U", char)
		}
	}
	return nil
}

func checkDescription(description string) *Error {
	if utf8.RuneCountInString(description) > maxDescription {
		return badRequest("ValidationException", "1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to %d", maxDescription)
	}
	return nil
}

// checkKMSTags checks tags that are to be added. Fact: KMS-KEY-25, KMS-KEY-26.
func checkKMSTags(tags []kmsTag) *Error {
	seen := map[string]bool{}
	for _, tag := range tags {
		switch {
		case strings.HasPrefix(strings.ToLower(tag.TagKey), "aws:"):
			return badRequest("TagException", "The tag key %q has the reserved prefix aws:", tag.TagKey)
		case tag.TagKey == "" || utf8.RuneCountInString(tag.TagKey) > maxTagKey || utf8.RuneCountInString(tag.TagValue) > maxTagValue:
			return badRequest("TagException", "The tag %q is empty or too long", tag.TagKey)
		case !kmsTagPattern.MatchString(tag.TagKey) || !kmsTagPattern.MatchString(tag.TagValue):
			return badRequest("TagException", "The tag %q has characters that are not allowed", tag.TagKey)
		case seen[tag.TagKey]:
			return badRequest("TagException", "Duplicate tag keys: %q", tag.TagKey)
		}
		seen[tag.TagKey] = true
	}
	if len(tags) > maxTags {
		return badRequest("LimitExceededException", "A key can have %d tags", maxTags)
	}
	return nil
}

// effective returns a stored policy without the statements that lack Action or
// Resource. KMS rejects them today, but an older key can have them, and they have no
// effect. Fact: KMS-KEY-10, KMS-KEY-11.
func effective(policy string) (text string, statements int) {
	var document map[string]any
	if json.Unmarshal([]byte(policy), &document) != nil {
		return policy, 1
	}
	list, isList := document["Statement"].([]any)
	if !isList {
		list = []any{document["Statement"]}
	}
	kept := []any{}
	for _, statement := range list {
		if elements, isObject := statement.(map[string]any); isObject && lacksElement(elements) {
			continue
		}
		kept = append(kept, statement)
	}
	if len(kept) == len(list) {
		return policy, len(kept)
	}
	document["Statement"] = kept
	written, err := json.Marshal(document)
	if err != nil {
		return policy, 1
	}
	return string(written), len(kept)
}

func lacksElement(statement map[string]any) bool {
	has := func(name string) bool {
		_, plain := statement[name]
		_, negated := statement["Not"+name]
		return plain || negated
	}
	return !has("Action") || !has("Resource")
}
