package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// uniqueKeys refuses a JSON value in which an object has two keys that differ in
// case at most. Which of the two counts would be anybody's guess, ours and AWS's,
// and a statement could mean more than was checked.
func uniqueKeys(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	type object struct {
		keys map[string]bool // nil for a list
		key  bool            // the next token is a key
	}
	var open []object
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil //nolint:nilerr // the end, or what decoding the value reports better
		}
		top := len(open) - 1
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				open = append(open, object{map[string]bool{}, true})
				continue
			case '[':
				open = append(open, object{})
				continue
			default: // the end of one, which was a value
				open = open[:top]
				top--
			}
		case string:
			if top >= 0 && open[top].key {
				folded := strings.ToLower(strings.ToUpper(token))
				if open[top].keys[folded] {
					return fmt.Errorf("it has the key %q twice in one object", token)
				}
				open[top].keys[folded], open[top].key = true, false
				continue
			}
		}
		if top >= 0 {
			open[top].key = open[top].keys != nil
		}
	}
}
