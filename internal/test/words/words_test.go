package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const tree = "../../.."

// TestWords checks that the tree has no more hits than words.txt allows. It also fails if words.txt
// allows over a tenth more hits than the tree has: then the limit must be lowered.
func TestWords(t *testing.T) {
	t.Parallel()
	r, err := parseRules(list)
	if err != nil {
		t.Fatalf("words.txt: %v", err)
	}
	c, err := r.measure(tree, ".")
	if err != nil {
		t.Fatal(err)
	}
	if c.commentLines < 1000 {
		t.Fatalf("found only %d comment lines: the check reads the wrong folder", c.commentLines)
	}
	for _, message := range r.check(c) {
		t.Error(message)
	}
	t.Logf("%.1f hits per 1,000 comment lines, %d hits in Markdown", c.density(), len(c.inMarkdown))
}

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
