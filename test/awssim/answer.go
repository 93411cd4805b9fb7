package awssim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// UnknownState is the state that [UnknownStates] puts in place of every other.
const UnknownState = "frobnicated"

// repeatedToken is the token of [RepeatedToken]. The simulator removes it from
// requests, so that it names the first page.
const repeatedToken = "awssim-repeated-token"

// htmlPage is the response of a proxy or a captive portal instead of AWS.
const htmlPage = "<!DOCTYPE html>\n<html><head><title>%[1]s</title></head><body><h1>%[1]s</h1></body></html>\n"

// alter returns the call's response as the fault alters it. Kinds that don't alter
// responses return it unchanged.
func (f *Fault) alter(p protocol, r response) response {
	html := response{status: http.StatusOK, contentType: "text/html; charset=utf-8", body: fmt.Appendf(nil, htmlPage, "Sign in")}
	switch f.Kind {
	case HTMLGatewayError:
		html.status, html.body = http.StatusBadGateway, fmt.Appendf(nil, htmlPage, "502 Bad Gateway")
		return html
	case TruncatedBody:
		whole := len(r.body)
		r.body = r.body[:whole/2]
		r.missing = max(1, whole-len(r.body))
		return r
	}
	if r.status != http.StatusOK {
		return r
	}
	switch f.Kind {
	case HTMLPage:
		return html
	case EmptyBody:
		r.body = nil
		return r
	}
	change := f.change(p)
	if change == nil {
		return r
	}
	body, err := p.transform(r.body, change)
	if err != nil {
		return p.failure(fmt.Errorf("altering the answer: %w", err))
	}
	r.body = body
	return r
}

// object is a JSON object, or an XML element with children of different names.
// Its values are objects, lists ([]any), and scalars.
type object = map[string]any

// change returns the function that alters the top level of a response. It is nil for
// kinds that don't change the content.
func (f *Fault) change(p protocol) func(object) object {
	within := func(change func(any) any) func(object) object {
		return func(top object) object { return eachMember(top, change) }
	}
	switch f.Kind {
	case EmptyAnswer:
		return func(object) object { return object{} }
	case MissingMembers:
		return within(func(v any) any { return atDepth(v, 0, emptied) })
	case MissingInnerMembers:
		return within(func(v any) any { return atDepth(v, 1, emptied) })
	case MissingDetails:
		return within(func(v any) any { return atDepth(v, 0, identified) })
	case EmptyLists:
		return within(func(v any) any { return withoutElements(v, 0) })
	case EmptyInnerLists:
		return within(func(v any) any { return withoutElements(v, 1) })
	case UnknownStates:
		return withUnknownStates
	case RepeatedToken:
		return func(top object) object { return withToken(p, top) }
	case OmitItems:
		return within(f.withoutItems)
	case OmitMembers:
		return within(f.withoutMembers)
	default:
		return nil
	}
}

// eachMember returns the object with each value changed.
func eachMember(o object, change func(any) any) object {
	changed := object{}
	for name, value := range o {
		changed[name] = change(value)
	}
	return changed
}

// eachElement returns the list with each element changed.
func eachElement(list []any, change func(any) any) []any {
	changed := []any{}
	for _, element := range list {
		changed = append(changed, change(element))
	}
	return changed
}

// atDepth changes the objects at a nesting depth below the value. Lists don't count as
// a level.
func atDepth(value any, depth int, change func(object) object) any {
	deeper := func(v any) any { return atDepth(v, depth-1, change) }
	switch v := value.(type) {
	case object:
		if depth == 0 {
			return change(v)
		}
		return eachMember(v, deeper)
	case []any:
		return eachElement(v, func(e any) any { return atDepth(e, depth, change) })
	default:
		return value
	}
}

func emptied(object) object { return object{} }

// identities are the names, in lower case, of the members that [MissingDetails] keeps:
// identifiers and states.
var identities = []string{
	"arn", "id", "name", "key", "imageid", "snapshotid", "instanceid", "reservationid", "volumeid", "launchtemplateid",
	"regionname", "keyid", "keyarn", "grantid", "aliasname", "roleid", "rolename", "imagestate", "instancestate",
	"instancesset", "autoscalinggroupname", "activityid", "groupid", "statuscode", "lifecyclestate", "keystate", "state", "status", "code", "versionnumber", "version",
}

func identified(o object) object {
	kept := object{}
	for name, value := range o {
		if slices.Contains(identities, strings.ToLower(name)) {
			kept[name] = atDepth(value, 0, identified)
		}
	}
	return kept
}

// withoutElements empties the lists at a nesting depth.
func withoutElements(value any, depth int) any {
	switch v := value.(type) {
	case object:
		return eachMember(v, func(e any) any { return withoutElements(e, depth) })
	case []any:
		if depth == 0 {
			return []any{}
		}
		return eachElement(v, func(e any) any { return withoutElements(e, depth-1) })
	default:
		return value
	}
}

// withUnknownStates replaces the strings that are states. An instance's state is nested
// in an object.
func withUnknownStates(o object) object {
	changed := object{}
	for name, value := range o {
		switch v := value.(type) {
		case object:
			inner := withUnknownStates(v)
			if _, has := inner["name"]; has && name == "instanceState" {
				inner["name"] = UnknownState
			}
			value = inner
		case []any:
			value = eachElement(v, func(e any) any { return atDepth(e, 0, withUnknownStates) })
		case string:
			if slices.Contains([]string{"imagestate", "keystate", "state", "status", "statuscode", "lifecyclestate"}, strings.ToLower(name)) {
				value = UnknownState
			}
		}
		changed[name] = value
	}
	return changed
}

// withToken adds the members in which the services return the token of the next page.
func withToken(p protocol, top object) object {
	switch p {
	case ec2Protocol:
		top["nextToken"] = repeatedToken
	case queryProtocol:
		top["IsTruncated"], top["Marker"], top["NextToken"] = "true", repeatedToken, repeatedToken
	default: // KMS, then Organizations and SSM
		top["Truncated"], top["NextMarker"] = true, repeatedToken
		top["NextToken"] = repeatedToken
	}
	return top
}

// withoutItems omits the elements of lists that the fault's IDs identify.
func (f *Fault) withoutItems(value any) any {
	switch v := value.(type) {
	case object:
		return eachMember(v, f.withoutItems)
	case []any:
		left := slices.DeleteFunc(slices.Clone(v), f.identifies)
		return eachElement(left, f.withoutItems)
	default:
		return value
	}
}

// withoutMembers omits the fault's members from the objects that its IDs identify, or
// from all objects if the fault has no IDs.
func (f *Fault) withoutMembers(value any) any {
	switch v := value.(type) {
	case object:
		left := eachMember(v, f.withoutMembers)
		if len(f.IDs) > 0 && !f.identifies(v) {
			return left
		}
		for name := range v {
			if slices.ContainsFunc(f.Members, func(member string) bool { return strings.EqualFold(member, name) }) {
				delete(left, name)
			}
		}
		return left
	case []any:
		return eachElement(v, f.withoutMembers)
	default:
		return value
	}
}

// identifies reports whether one of the IDs equals the value or one of its identifying
// members.
func (f *Fault) identifies(value any) bool {
	if text, scalar := value.(string); scalar {
		return slices.Contains(f.IDs, text)
	}
	members, _ := value.(object)
	for name, member := range members {
		id, _ := member.(string)
		if slices.Contains(identities, strings.ToLower(name)) && slices.Contains(f.IDs, id) {
			return true
		}
	}
	return false
}
