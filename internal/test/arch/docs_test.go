package main

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docLink matches a link of a Markdown page. Its groups are the text of the link, and the target
// without the anchor.
var docLink = regexp.MustCompile(`\[([^\[\]]+)\]\(([^()#\s]+)[^()\s]*\)`)

// docTest matches a folder and names of tests in that folder, in the form of docs/guarantees.md:
// `internal/test/e2e` *TestKill*, *TestPause*.
var docTest = regexp.MustCompile("`([a-z0-9/]+)` (\\*[A-Za-z0-9_]+\\*(?:, \\*[A-Za-z0-9_]+\\*)*)")

// docPages returns the paths of all Markdown pages outside testdata folders.
func docPages(t *testing.T) []string {
	t.Helper()
	var pages []string
	for _, name := range sources(t, ".md") {
		if !strings.Contains(name, "testdata/") {
			pages = append(pages, name)
		}
	}
	return pages
}

// TestDocs_LinkedNamesExist checks every link of a Markdown page to a file. The file must exist. If
// the link is to a Go file, the file must declare each function, method or type that the text of
// the link names, as in [`Client.Enqueue`](../producer/enqueue.go).
func TestDocs_LinkedNamesExist(t *testing.T) {
	t.Parallel()
	names := 0
	for _, page := range docPages(t) {
		for _, m := range docLink.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[2], ":") { // a URL
				continue
			}
			target := path.Join(path.Dir(page), m[2])
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s links to %s, which does not exist: correct the link", page, target)
				continue
			}
			if !strings.HasSuffix(target, ".go") {
				continue
			}
			declares := declared(t, filepath.Join(root, filepath.FromSlash(target)))
			for _, x := range code.FindAllStringSubmatch(m[1], -1) {
				if names++; !declares[x[1]] {
					t.Errorf("%s has a link with the text %s to %s, which does not declare that name: correct the name or the link", page, x[1], target)
				}
			}
		}
	}
	if names < 40 {
		t.Errorf("checked only %d names in links to Go files, want at least 40: docLink may no longer match the links", names)
	}
}

// TestDocs_NamedTestsExist checks the tests that docs/guarantees.md names after a folder. Each name
// must be a test in that folder, or a Go file in that folder without its extension.
func TestDocs_NamedTestsExist(t *testing.T) {
	t.Parallel()
	const page = "docs/guarantees.md"
	named := 0
	for _, m := range docTest.FindAllStringSubmatch(read(t, page), -1) {
		folder := filepath.Join(root, filepath.FromSlash(m[1]))
		declares := declared(t, filepath.Join(folder, "*.go"))
		for name := range strings.SplitSeq(m[2], ", ") {
			name = strings.Trim(name, "*")
			_, err := os.Stat(filepath.Join(folder, name+".go"))
			if named++; err != nil && !declares[name] {
				t.Errorf("%s names the test %s, which is not in %s: correct the name or the folder", page, name, m[1])
			}
		}
	}
	if named < 10 {
		t.Errorf("%s: checked only %d names of tests, want at least 10: docTest may no longer match them", page, named)
	}
}
