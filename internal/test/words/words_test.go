package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The samples are text files, so that TestWords does not count their phrases.
func sample(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// testRules allows one hit in Markdown and 500 per 1,000 comment lines.
func testRules(t *testing.T) rules {
	t.Helper()
	r, err := parseRules(string(sample(t, "rules.txt")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMeasure_ReadsEachKindOfFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for from, to := range map[string]string{
		"sample_go.txt": "a/a.go", "sample_lua.txt": "a/a.lua", "sample_md.txt": "docs/page.md",
		"sample_style.txt": "docs/style.md", "rules.txt": "a/rules.txt",
	} {
		to = filepath.Join(dir, filepath.FromSlash(to))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, sample(t, from), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := testRules(t)
	c, err := r.measure(dir, ".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range slices.Concat(c.inCode, c.inMarkdown) {
		got = append(got, h.String())
	}
	want := strings.Split(strings.TrimSpace(string(sample(t, "want.txt"))), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c.commentLines != 13 {
		t.Errorf("counted %d comment lines, want 13", c.commentLines)
	}
	c, err = r.measure(dir, "docs")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.inCode) != 0 || len(c.inMarkdown) == 0 {
		t.Errorf("one folder: %d hits in code, want 0; %d in Markdown, want some", len(c.inCode), len(c.inMarkdown))
	}
}

func TestCheck_FailsAboveAndWellBelowTheLimit(t *testing.T) {
	t.Parallel()
	r := testRules(t)
	hits := func(n int) []hit { return slices.Repeat([]hit{{"a.go", 1, "x", &r.phrases[0]}}, n) }
	for _, c := range []struct {
		name           string
		code, markdown int
		want           []string // the beginning of each message
	}{
		{"at the limits", 50, 1, nil},
		{"code above", 51, 1, []string{"510.0 hits per 1,000 comment lines, and words.txt allows 500.0"}},
		{"Markdown above", 50, 2, []string{"2 hits in Markdown, and words.txt allows 1"}},
		{"less than a tenth below", 46, 1, nil},
		{"a tenth below", 45, 1, []string{"450.0 hits per 1,000 comment lines: lower per-thousand in words.txt from 500.0 to 450.0"}},
		{"one hit below in Markdown", 50, 0, nil},
	} {
		got := r.check(count{100, hits(c.code), hits(c.markdown)})
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestParseRules_RejectsMistakes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "markdown: 1\na => b", "per-thousand: 1\nmarkdown: 1", "per-thousand: x\nmarkdown: 1\na => b",
		"per-thousand: 1\nmarkdown: 1\na", "per-thousand: 1\nmarkdown: 1\n( => b", "per-thousand: 1\nmarkdown: 1\nexcept a\na => b",
	} {
		if _, err := parseRules(text); err == nil {
			t.Errorf("parseRules accepts %q, want an error", text)
		}
	}
}

func TestTexts_AreSentencesOnly(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"a.go":      {Data: []byte("package a\n\n// one two three four five.\n// six\nvar x = \"the account is held until %s\"\n\n//go:build linux\nvar y = \"GET /v1/x\"\n")},
		"a_test.go": {Data: []byte("package a\n\n//nolint:gosec // the test needs a number that is too big\nvar z = \"a test has other texts than the program\"\n")},
		"a.lua":     {Data: []byte("-- The script settles one call.\nlocal x = 1\nlocal y = 2 -- the number of calls that wait\n")},
	}
	comments, messages, err := texts(tree)
	if err != nil {
		t.Fatal(err)
	}
	want := []text{{"a.go", 3, "one two three four five.\nsix", `var x = "the account is held until %s"`}, {"a.lua", 1, "The script settles one call.", "local x = 1"}, {"a.lua", 3, "the number of calls that wait", "local y = 2"}}
	if !slices.Equal(comments, want) || !slices.Equal(messages, []text{{"a.go", 5, "the account is held until %s", ""}}) {
		t.Errorf("got the comments %+v and the messages %+v", comments, messages)
	}
}
