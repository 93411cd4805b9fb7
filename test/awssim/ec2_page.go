package awssim

import (
	"cmp"
	"encoding/base64"
	"slices"
)

// paging holds the parameters of operations that return pages.
type paging struct {
	MaxResults *int
	NextToken  string
}

// largestPage is how many items a response has at most. AWS doesn't document the size
// of responses without MaxResults.
const largestPage = 1000

// pageOf sorts resources by ID and returns one page of them and the token of the next,
// "" at the end. A token names the last item before it, so that items that are added or
// removed between two pages leave no gaps.
func pageOf[T filterable](p paging, all []T) (page []T, next string, problem *Error) {
	size := largestPage
	if p.MaxResults != nil {
		if size = *p.MaxResults; size < 1 || size > largestPage {
			return nil, "", badRequest("InvalidParameterValue", "Value (%d) for parameter maxResults is invalid. Expecting a value between 1 and %d", size, largestPage)
		}
	}
	after, err := base64.RawURLEncoding.DecodeString(p.NextToken)
	if err != nil {
		return nil, "", badRequest("InvalidNextToken", "The token '%s' is invalid", p.NextToken)
	}
	byID := func(a, b T) int { return cmp.Compare(a.resourceID(), b.resourceID()) }
	all = slices.SortedFunc(slices.Values(all), byID)
	all = slices.DeleteFunc(all, func(r T) bool { return r.resourceID() <= string(after) })
	if len(all) <= size {
		return all, "", nil
	}
	return all[:size], base64.RawURLEncoding.EncodeToString([]byte(all[size-1].resourceID())), nil
}

// withoutIDs rejects MaxResults together with a list of IDs, as most operations
// do.
func (p paging) withoutIDs(name string, ids []string) *Error {
	if p.MaxResults != nil && len(ids) > 0 {
		return badRequest("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", name)
	}
	return nil
}
