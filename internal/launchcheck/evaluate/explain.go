package evaluate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Placeholder stands for the account ID in the links of a [Case]. Output for
// readers never contains it.
const Placeholder = "{account}"

// anAccount is what readers see instead of the account if there are several.
const anAccount = "ACCOUNT"

// withCredentials is the note of a remedy that needs the credentials of an account,
// up to its ID.
const withCredentials = "with credentials of the account "

// CredentialsOf is the [Link.Note] of a remedy that requires the credentials of
// the account.
func CredentialsOf(account string) string { return withCredentials + account }

// In returns the link with the account's ID filled in.
func (l Link) In(account string) Link {
	if account == AnyOther {
		account = anAccount
	}
	for _, text := range []*string{&l.Because, &l.Remedy, &l.Note} {
		*text = strings.ReplaceAll(*text, Placeholder, account)
	}
	return l
}

// Explained returns the links for readers. If the case has several accounts, a
// command becomes a loop over them, and a policy snippet lists them.
func (c Case) Explained() []Link { return c.explained(c.Accounts) }

// explained has remedies for some of the case's accounts.
func (c Case) explained(accounts []string) []Link {
	links := slices.Clone(c.Links)
	for i, l := range links {
		if len(c.Accounts) == 1 {
			links[i] = l.In(c.Accounts[0])
			continue
		}
		links[i] = l.forEach(accounts)
	}
	return links
}

// quotedPlaceholder is a JSON string with the placeholder.
var quotedPlaceholder = regexp.MustCompile(`"[^"]*\{account\}[^"]*"`)

// forEach returns the link for several accounts.
func (l Link) forEach(accounts []string) Link {
	ids := make([]string, len(accounts))
	for i, account := range accounts {
		if ids[i] = account; account == AnyOther {
			ids[i] = anAccount
		}
	}
	byMembers := l.Note == withCredentials+Placeholder
	switch {
	case strings.HasPrefix(l.Remedy, "{"):
		l.Remedy = quotedPlaceholder.ReplaceAllStringFunc(l.Remedy, func(text string) string {
			list := make([]string, len(ids))
			for i, id := range ids {
				list[i] = strings.ReplaceAll(text, Placeholder, id)
			}
			return "[" + strings.Join(list, ",") + "]"
		})
	case l.Remedy != "" && (byMembers || strings.Contains(l.Remedy, Placeholder)):
		// The quotes keep zsh from taking a colon that follows for a modifier. Within
		// quotes, they end and resume them.
		command := strings.ReplaceAll(l.Remedy, Placeholder, `"$account"`)
		if byMembers {
			command = `(export AWS_PROFILE="$account"; ` + command + ")"
		}
		l.Remedy = fmt.Sprintf("for account in %s; do %s; done", strings.Join(ids, " "), command)
	}
	if byMembers {
		l.Note = "with an AWS CLI profile for each account that has the account's ID as its name"
	}
	l.Because = strings.ReplaceAll(l.Because, Placeholder, anAccount)
	l.Note = strings.ReplaceAll(l.Note, "the account "+Placeholder, "each account")
	l.Note = strings.ReplaceAll(l.Note, Placeholder, "each account")
	return l
}

// loops reports whether the remedy is for the accounts that it names.
func (l Link) loops() bool {
	return strings.HasPrefix(l.Remedy, "for account in ") || strings.HasPrefix(l.Remedy, "{") && strings.Contains(l.Remedy, `":["arn:`)
}

// MarshalJSON writes the case with its links for readers.
func (c Case) MarshalJSON() ([]byte, error) {
	type plain Case
	c.Links = c.Explained()
	return json.Marshal(plain(c))
}
