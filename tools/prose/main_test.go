package main

import (
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
