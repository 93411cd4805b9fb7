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
	if isPlain(text) { // as nearly all of very many texts are
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

// isPlain reports whether the text is printable ASCII.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }
