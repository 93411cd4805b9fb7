package evaluate

import (
	"strconv"
	"strings"
	"unicode"
)

// printable replaces what would act on a terminal or hide text, such as escape
// characters, line breaks and marks that change the direction of writing, by its
// escape sequence.
func printable(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var safe strings.Builder
	for _, r := range text {
		if hidden(r) {
			safe.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		safe.WriteRune(r)
	}
	return safe.String()
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }
