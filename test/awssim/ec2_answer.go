package awssim

import (
	"maps"
	"slices"
	"time"
)

// Responses of EC2 are structs in this package whose fields have xml tags. protocol.go
// adds the envelope.

// set is a list in a response of EC2. Its element exists even if the list is empty.
type set[T any] struct {
	Items []T `xml:"item"`
}

func setOf[T any](items ...T) set[T] { return set[T]{items} }

// setFrom converts a list to a set.
func setFrom[S, T any](from []S, convert func(S) T) set[T] {
	var s set[T]
	for _, item := range from {
		s.Items = append(s.Items, convert(item))
	}
	return s
}

// done is the response of an operation that returns no data.
type done struct {
	Return bool `xml:"return"`
}

// timestamp formats a time as EC2 does. The zero time is "".
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

type tagItem struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

// tagSet lists tags, sorted by key.
func tagSet(tags map[string]string) set[tagItem] {
	return setFrom(slices.Sorted(maps.Keys(tags)), func(key string) tagItem { return tagItem{key, tags[key]} })
}

type stateReasonItem struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}
