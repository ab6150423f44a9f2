package providers

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHowASendEnds(t *testing.T) {
	t.Parallel()
	r := &Reply{Status: 200, Body: []byte("{}")}
	some := []Result{{Outcome: Accepted}}
	verdict := func() *Error { return &Error{Outcome: Rejected, Scope: Campaign, Code: "x"} }
	said := verdict()
	said.Op = "a send"
	for name, tc := range map[string]struct {
		results []Result
		verdict *Error
		want    []Result
		err     *Error // nil: none
	}{
		"results":       {some, nil, some, nil},
		"a verdict":     {nil, verdict(), nil, said},
		"both":          {some, verdict(), nil, said},
		"neither":       {nil, nil, nil, r.NotUnderstood("a send")},
		"no recipients": {[]Result{}, nil, []Result{}, nil},
	} {
		got, err := r.Results("a send", tc.results, tc.verdict)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		e, _ := errors.AsType[*Error](err)
		if (err == nil) != (tc.err == nil) || tc.err != nil && e.Error() != tc.err.Error() {
			t.Errorf("%s: got %v, want %v", name, err, tc.err)
		}
	}
}
