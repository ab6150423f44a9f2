package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the folder of the repository.
var root = filepath.Join("..", "..", "..")

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadme_LengthAndOrder checks that README.md has at most 250 lines, and that its sections are
// in the order in which people need them.
func TestReadme_LengthAndOrder(t *testing.T) {
	t.Parallel()
	text := readPage(t, "README.md")
	if n := strings.Count(text, "\n"); n > 250 {
		t.Errorf("README.md has %d lines, want at most 250: move a part to a page in docs", n)
	}
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(text, -1) {
		sections = append(sections, m[1])
	}
	want := []string{"The two commands", "Send your own spreadsheet", "In a Go service", "In production", "More"}
	if !slices.Equal(sections, want) {
		t.Errorf("README.md has the sections %q, want %q", sections, want)
	}
}

// TestReadme_SendsAFileAndCountsIt checks that README.md starts tuma dev, writes a list, sends the
// list, and shows the counts of the sandbox. So `make readme` proves that a reader of README.md
// can send a campaign.
func TestReadme_SendsAFileAndCountsIt(t *testing.T) {
	t.Parallel()
	steps, err := parse("README.md", readPage(t, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for _, want := range []struct {
		kind kind
		text string
	}{
		{stays, "tuma dev"},
		{file, "phone"},
		{runs, "--file customers.csv --wait"},
		{runs, "/_sandbox/stats"},
		{prints, `"accepted":4,…"duplicates":0`},
	} {
		i := slices.IndexFunc(steps[next:], func(s step) bool { return s.kind == want.kind && strings.Contains(s.text, want.text) })
		if i < 0 {
			t.Fatalf("README.md has no step %q with %q after step %d", want.kind, want.text, next)
		}
		next += i
	}
}

// TestDocs_EveryPageWithCommandsIsFollowed checks that `make readme` follows every page that has
// commands.
func TestDocs_EveryPageWithCommandsIsFollowed(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(names) < 10 {
		t.Fatalf("found the pages %v, error %v, want at least 10 pages", names, err)
	}
	makefile := readPage(t, "Makefile")
	for _, name := range names {
		page := "docs/" + filepath.Base(name)
		if strings.Contains(readPage(t, page), "<!-- run") && !strings.Contains(makefile, " "+page) {
			t.Errorf("%s has commands, but the target readme of the Makefile does not name it", page)
		}
		if index := readPage(t, "docs/README.md"); page != "docs/README.md" && !strings.Contains(index, "]("+filepath.Base(name)+")") {
			t.Errorf("docs/README.md has no link to %s", page)
		}
	}
}
