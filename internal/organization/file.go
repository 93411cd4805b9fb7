package organization

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgami/packer-plugin-orgami/internal/config/pattern"
	"github.com/orgami/packer-plugin-orgami/internal/text"
)

// Parse reads the account IDs in a file. The file contains one of these:
//   - IDs, separated by spaces, commas or line breaks, and comments that start with #,
//   - a JSON list of IDs,
//   - the output of `aws organizations list-accounts`, or its list of accounts. Only
//     active accounts count, as in [Accounts].
//
// The error lists every invalid ID with its line. The IDs are sorted, without
// duplicates.
func Parse(content []byte) ([]string, error) {
	content, err := text.DecodeFile(content)
	if err != nil {
		return nil, err
	}
	var r reading
	if start := bytes.TrimSpace(content); len(start) > 0 && (start[0] == '[' || start[0] == '{') {
		if defect, found := errors.AsType[*text.JSONError](text.CheckJSON(content)); found {
			return nil, fmt.Errorf("%s: this is not valid JSON: %w", text.Place(content, defect.Offset), defect)
		}
		r.json(content, start[0] == '{')
	} else {
		r.lines(string(content))
	}
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	if len(r.ids) == 0 && r.inactive > 0 {
		return nil, errors.New("it lists no active account")
	}
	if len(r.ids) == 0 {
		return nil, errors.New("it lists no account")
	}
	slices.Sort(r.ids)
	return slices.Compact(r.ids), nil
}

// reading collects the IDs and problems in a file.
type reading struct {
	ids      []string
	inactive int
	problems []error
}

func (r *reading) problemf(line int, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...))
}

func (r *reading) add(line int, id string) {
	switch {
	case pattern.Account.Match(id):
		r.ids = append(r.ids, id)
	case len(id) < 12 && id != "" && strings.Trim(id, "0123456789") == "":
		r.problemf(line, "%q is not an account ID. Write 12 digits. Programs that read IDs as numbers drop leading zeros", id)
	default:
		r.problemf(line, "%q is not an account ID. Write 12 digits", id)
	}
}

func (r *reading) lines(content string) {
	number := 0
	for line := range strings.Lines(content) {
		number++
		ids, _, _ := strings.Cut(line, "#")
		for _, id := range strings.FieldsFunc(ids, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n' }) {
			r.add(number, id)
		}
	}
}

// json reads valid JSON: a list, or an object as ListAccounts returns it.
func (r *reading) json(content []byte, object bool) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	next := func() any {
		token, _ := decoder.Token() // the content is valid
		return token
	}
	value := func() (raw json.RawMessage, line int) {
		_ = decoder.Decode(&raw)
		return raw, 1 + bytes.Count(content[:int(decoder.InputOffset())-len(raw)], []byte("\n"))
	}
	list := func() {
		for next(); decoder.More(); {
			raw, line := value()
			r.item(raw, line)
		}
		next()
	}
	if !object {
		list()
		return
	}
	found := false
	for next(); decoder.More(); {
		name := next()
		at := int(decoder.InputOffset())
		if rest := bytes.TrimLeft(content[at:], ": \t\r\n"); name == "Accounts" && rest[0] == '[' {
			found = true
			list()
			continue
		}
		if raw, line := value(); name == "NextToken" && string(raw) != "null" {
			r.problemf(line, "NextToken says that accounts are missing. Run 'aws organizations list-accounts' without --max-items and --no-paginate")
		}
	}
	if !found {
		r.problemf(1, "the object has no list of Accounts. Write the output of 'aws organizations list-accounts', or a list of IDs")
	}
}

// item reads an ID, or an account as ListAccounts describes it. A number of 12 digits
// can only be one ID.
func (r *reading) item(raw json.RawMessage, line int) {
	var id string
	var account struct {
		ID            string `json:"Id"`
		State, Status string
	}
	switch {
	case json.Unmarshal(raw, &id) == nil && string(raw) != "null":
		r.add(line, id)
	case raw[0] >= '0' && raw[0] <= '9':
		r.add(line, string(raw))
	case raw[0] != '{' || json.Unmarshal(raw, &account) != nil:
		r.problemf(line, "expected an account ID. Write 12 digits in double quotes")
	default:
		switch state := cmp.Or(account.State, account.Status); types.AccountState(state) {
		case "":
			r.problemf(line, "the account has no State. Write the whole output of 'aws organizations list-accounts', or only the IDs")
		case types.AccountStateActive:
			r.add(line, account.ID)
		default:
			r.inactive++
		}
	}
}
