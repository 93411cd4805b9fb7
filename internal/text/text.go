// Package text formats values for readers: counts, lists, and arguments of shell
// commands. It fills in references in texts of the configuration, reads files that
// users wrote, and escapes text from outside, which must not control the terminal.
package text

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Count returns "1 grant" or "2,000 grants".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	switch {
	case strings.HasSuffix(thing, "ch"), strings.HasSuffix(thing, "s"):
		thing += "e"
	case consonantY.MatchString(thing):
		thing = strings.TrimSuffix(thing, "y") + "ie"
	}
	return Number(n) + " " + thing + "s"
}

var consonantY = regexp.MustCompile(`[^aeiou]y$`)

// Number groups the digits of n by thousands.
func Number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Few returns the first elements of a list, separated by commas, and how many
// others there are: "a, b, and 37 more". It never replaces a single element by
// its count.
func Few(list []string, most int) string {
	if len(list) <= most+1 {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:most], ", ") + ", and " + Number(len(list)-most) + " more"
}

// Regions names the Regions if they are few, else it counts them.
func Regions(regions []string) string {
	if len(regions) > 4 {
		return Count(len(regions), "Region")
	}
	return strings.Join(regions, ", ")
}

// Printable returns s with every character escaped, as Go escapes it in a string
// literal, that a terminal would act on or not show: control characters and
// escape sequences, line breaks, invalid UTF-8, and the marks that reverse the
// direction of text. Use it for text from AWS and from files before printing it.
func Printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for rest := s; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if unprintable(r) || r == utf8.RuneError && size == 1 {
			quoted := strconv.QuoteToASCII(rest[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return b.String()
}

// PrintableLines is [Printable] for text with line breaks of our own: it keeps
// them. Escape the parts that come from outside first, so that they add no line.
func PrintableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n")
}

// PrintableError returns err with [PrintableLines] for its text, or nil.
func PrintableError(err error) error {
	if err == nil {
		return nil
	}
	return printableError{err}
}

type printableError struct{ err error }

func (e printableError) Error() string { return PrintableLines(e.err.Error()) }
func (e printableError) Unwrap() error { return e.err }

// unprintable includes the format characters (Cf), to which the bidirectional
// marks and the zero-width characters belong, and every space but ' '.
func unprintable(r rune) bool { return !unicode.IsPrint(r) }

var plain = regexp.MustCompile(`^[a-zA-Z0-9:/_.@%+=,-]+$`)

// ShellQuote returns the argument as a POSIX shell and zsh read it, in single
// quotes unless it needs none.
func ShellQuote(argument string) string {
	// zsh replaces an argument such as =word by the path of a command.
	if plain.MatchString(argument) && argument[0] != '=' {
		return argument
	}
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}
