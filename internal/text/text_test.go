package text_test

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/orgami/packer-plugin-orgami/internal/text"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"You are not authorized. Größe": "You are not authorized. Größe",
		"naïve 🙂 \"quoted\" \\ 'x'":     "naïve 🙂 \"quoted\" \\ 'x'",
		"a\nb\r\tc":                     `a\nb\r\tc`,
		"\x1b[31mred\x1b]0;title\x07":   `\x1b[31mred\x1b]0;title\a`,
		"\u009b31m":                     `\u009b31m`, // the one-character form of ESC [
		"a\xff\xc3b":                    `a\xff\xc3b`,
		"\ufffd":                        "\ufffd", // valid
		"user\u202etxt.exe\u2066x":      `user\u202etxt.exe\u2066x`,
		"zero\u200bwidth\ufeff":         `zero\u200bwidth\ufeff`,
		"line\u2028end\u00a0x":          `line\u2028end\u00a0x`,
		"null\x00":                      `null\x00`,
	} {
		if got := text.Printable(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for _, test := range []struct {
		n           int
		thing, want string
	}{
		{1, "grant", "1 grant"},
		{0, "grant", "0 grants"},
		{2_000, "grant", "2,000 grants"},
		{2, "launch", "2 launches"},
		{2, "policy", "2 policies"},
		{2, "copy", "2 copies"},
		{2, "alias", "2 aliases"},
		{2, "key", "2 keys"},
		{2, "address", "2 addresses"},
	} {
		if got := text.Count(test.n, test.thing); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1_000: "1,000", 170_000: "170,000", 1_234_567: "1,234,567", -1_000: "-1,000", -100: "-100"} {
		if got := text.Number(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestFew(t *testing.T) {
	list := []string{"a", "b", "c", "d", "e"}
	for most, want := range map[int]string{5: "a, b, c, d, e", 4: "a, b, c, d, e", 3: "a, b, c, and 2 more", 1: "a, and 4 more"} {
		if got := text.Few(list, most); got != want {
			t.Errorf("%d: %q, want %q", most, got, want)
		}
	}
	if got := text.Few(nil, 3); got != "" {
		t.Errorf("none is %q", got)
	}
}

// A shell reads back the quoted argument.
func TestShellQuote(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	for _, in := range []string{
		"", "arn:aws:iam::123456789012:role/a", "two words", "it's", "$HOME `id` \"x\" \\", "*", "~", "#", "a\nb", "=ls", "{a,b}", "!x",
	} {
		out, err := exec.CommandContext(t.Context(), shell, "-c", "printf %s "+text.ShellQuote(in)).Output()
		if err != nil || string(out) != in {
			t.Errorf("%q reads %q, %v", in, out, err)
		}
	}
	if got, want := text.ShellQuote("arn:aws:iam::123456789012:role/a"), "arn:aws:iam::123456789012:role/a"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestPrintableLines(t *testing.T) {
	if got, want := text.PrintableLines("a\n  \x1b[31mb\r\n"), "a\n  \\x1b[31mb\\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := text.PrintableError(nil); err != nil {
		t.Error(err)
	}
	red := errors.New("a\n\x1b[31mb")
	if err := text.PrintableError(red); !errors.Is(err, red) || err.Error() != "a\n\\x1b[31mb" {
		t.Errorf("got %q", err)
	}
}
