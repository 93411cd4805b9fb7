package evaluate

import (
	"math/bits"
	"strings"
)

// operations is a set of KMS's operations, of those that a launch needs.
type operations uint8

// The operations that EC2 calls with a snapshot's key for the launching principal.
// Fact: LAUNCH-3, LAUNCH-6.
const (
	describeKey operations = 1 << iota
	generateDataKeyWithoutPlaintext
	decrypt
	reEncryptFrom
	reEncryptTo
	createGrant

	none      operations = 0
	allNeeded            = createGrant<<1 - 1
)

var operationNames = [...]string{"DescribeKey", "GenerateDataKeyWithoutPlaintext", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "CreateGrant"}

// operationsNamed returns the set of the named operations. It omits operations
// that a launch doesn't use.
func operationsNamed(names []string) operations {
	set := none
	for i, name := range operationNames {
		for _, n := range names {
			if n == name {
				set |= 1 << i
			}
		}
	}
	return set
}

// names of the operations, each after prefix.
func (o operations) names(prefix string) []string {
	var names []string
	for i, name := range operationNames {
		if o&(1<<i) != 0 {
			names = append(names, prefix+name)
		}
	}
	return names
}

// actions names the operations as policies do: kms:Decrypt, kms:CreateGrant.
func (o operations) actions() string { return strings.Join(o.names("kms:"), ", ") }

// first is the first of the operations.
func (o operations) first() operations { return 1 << bits.TrailingZeros8(uint8(o)) }

// decided holds an answer for each operation: yes, unknown (in may but not in yes), or
// no. may includes yes.
type decided struct{ yes, may operations }

func (d decided) and(o decided) decided { return decided{d.yes & o.yes, d.may & o.may} }
func (d decided) or(o decided) decided  { return decided{d.yes | o.yes, d.may | o.may} }
func (d decided) not() decided          { return decided{allNeeded &^ d.may, allNeeded &^ d.yes} }

// add raises the answer for the operations to at least a.
func (d *decided) add(o operations, a answer) {
	if a == yes {
		d.yes |= o
	}
	if a != no {
		d.may |= o
	}
}

// of returns the answer for one operation.
func (d decided) of(o operations) answer {
	switch {
	case d.yes&o != 0:
		return yes
	case d.may&o != 0:
		return unsure
	default:
		return no
	}
}

// answer is yes, no, or that it is not known. The least of several answers is
// their conjunction, the greatest their disjunction.
type answer int8

const (
	no answer = iota
	unsure
	yes
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}
