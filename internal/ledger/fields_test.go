package ledger

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// rawField matches the name of a field that is built outside fields.go.
var rawField = regexp.MustCompile(`"(?:[bgirwxltmfqnekp]|nb:|ob:|cb:|h:|z:|x:|to:)" ?\+`)

func TestFieldNamesComeFromOneFile(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") || f == "fields.go" }) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if raw := rawField.Find(b); raw != nil {
			t.Errorf("%s puts the name of a field together (%s…); use a function of fields.go", file, raw)
		}
	}
}
