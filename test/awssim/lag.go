package awssim

import "time"

// lagged is a value whose changes become visible to readers after a delay. A write
// counts immediately for rules of uniqueness (latest), and after the propagation lag
// for readers and for authorization (asOf). Fact: KMS-KEY-24, GRANT-24.
type lagged[T any] struct {
	versions []version[T]
}

type version[T any] struct {
	at    time.Time
	value T
}

func (l *lagged[T]) set(now time.Time, value T) {
	l.versions = append(l.versions, version[T]{now, value})
}

// latest returns the newest value, or the zero value if there is none.
func (l *lagged[T]) latest() T {
	var none T
	if len(l.versions) == 0 {
		return none
	}
	return l.versions[len(l.versions)-1].value
}

// asOf returns the value that was current at the time, or the zero value if there was
// none.
func (l *lagged[T]) asOf(at time.Time) T {
	var value T
	for _, v := range l.versions {
		if v.at.After(at) {
			break
		}
		value = v.value
	}
	return value
}
