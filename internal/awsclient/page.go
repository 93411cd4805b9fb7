package awsclient

import (
	"errors"
	"reflect"
	"sync"
)

// errRepeatedPage ends a listing that would otherwise never end or look complete. The
// SDK's StopOnDuplicateToken stops without an error.
var errRepeatedPage = errors.New("AWS returned the same page token twice, so the list is incomplete. Run again")

// page is a page of a listing.
type page struct{ operation, region, token string }

// pages holds the pages of all listings, each with the page before it.
type pages struct {
	mu     sync.Mutex
	before map[page]page
}

// check returns an error when a page of a listing returns the token of the same
// page or of an earlier one. It applies to the operations of all services:
// their fields have these names.
func (p *pages) check(operation, region string, input, output any) error {
	for _, names := range []struct{ in, out string }{{"NextToken", "NextToken"}, {"Marker", "NextMarker"}, {"Marker", "Marker"}} {
		this, next := stringField(input, names.in), stringField(output, names.out)
		if next != "" && !p.follows(page{operation, region, this}, page{operation, region, next}) {
			return errRepeatedPage
		}
	}
	return nil
}

// follows records that next follows this, unless the listing has returned next before.
func (p *pages) follows(this, next page) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for earlier := this; earlier.token != ""; earlier = p.before[earlier] {
		if earlier == next {
			return false
		}
	}
	p.before[next] = this
	return true
}

// stringField returns the *string field of the struct that v points to, or "".
func stringField(v any, name string) string {
	pointer := reflect.ValueOf(v)
	if pointer.Kind() != reflect.Pointer || pointer.Elem().Kind() != reflect.Struct {
		return ""
	}
	field := pointer.Elem().FieldByName(name)
	if !field.IsValid() || field.IsZero() {
		return ""
	}
	text, ok := reflect.TypeAssert[*string](field)
	if !ok {
		return ""
	}
	return *text
}
