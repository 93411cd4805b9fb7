package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestLiterals(t *testing.T) {
	t.Parallel()
	lines, err := literals("x.go", []byte("package x\n\n// A comment.\nvar a = \"two words\" + \"word\"\n\nvar b = `first line\n\nthird line` // and \"a comment\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "|||two words||first line||third line|"
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestComments(t *testing.T) {
	t.Parallel()
	const source = "# First.\r\na = 1 # second\nb = \"no#comment\"\n\n## third\n#!/bin/sh\n"
	const want = "First.|second|||third|"
	if got := strings.Join(comments([]byte(source)), "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"One two three four. Five six\nseven eight.":         "One two three four.|Five six seven eight.",
		"Too short. The rest has e.g. v1.2 of four words":    "The rest has e.g. v1.2 of four words",
		"Is it (really, truly) so? \"Yes, it is so.\" It is": "Is it (really, truly) so?|\"Yes, it is so.\"",
		"can't copy image %s to %s: %w. %s stays as it is":   "can't copy image %s to %s: %w.|%s stays as it is",
	} {
		if got := strings.Join(split(text), "|"); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestParagraphs(t *testing.T) {
	t.Parallel()
	const document = "# Title\nText that\ncontinues.\n\n```sh\n# code\n```\n- item\n  goes on\n- next\n\n| a | b \\| c |\n| --- | --- |\n"
	const want = "1 Title|2 Text that continues.|8 item goes on|10 next|12 a|12 b \\| c"
	blocks, err := paragraphs([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range blocks {
		if text := strings.TrimSpace(b.text); text != "" {
			got = append(got, fmt.Sprintf("%d %s", b.line, text))
		}
	}
	if got := strings.Join(got, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTextsOfGo(t *testing.T) {
	t.Parallel()
	source := []byte("// Package x is one.\npackage x\n\n//go:generate two\n\ntype t struct {\n\ta int `json:\"a b\"` // Three.\n}\n\nvar b = \"four five\" + \"six\"\n")
	for name, test := range map[string]struct {
		texts func([]byte) ([]block, error)
		want  string
	}{
		"comments": {goComments, "1 Package x is one.|7 Three."},
		"messages": {messages, "10 four five"},
	} {
		blocks, err := test.texts(source)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range blocks {
			if text := strings.TrimSpace(b.text); text != "" {
				got = append(got, fmt.Sprintf("%d %s", b.line, text))
			}
		}
		if got := strings.Join(got, "|"); got != test.want {
			t.Errorf("%s: got  %s\nwant %s", name, got, test.want)
		}
	}
}
