package console

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable_PlainWithoutATerminal(t *testing.T) {
	t.Parallel()
	g := Table{Header: []string{"NAME", "N", "NOTE"}, Right: []int{1}}
	g.Add("Ọlá", "5", "")
	g.Add("Jane", "1,000", "x")
	var out bytes.Buffer
	if err := g.Print(&out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("NAME      N  NOTE\nỌlá       5\nJane  1,000  x\n", out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	if err := g.Draw(&out); err != nil || !strings.Contains(out.String(), "1,000") {
		t.Errorf("draw: error %v, got\n%s", err, out.String())
	}
}
