package httpclient

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

func TestReplyResults_VerdictComesFirst(t *testing.T) {
	t.Parallel()
	r := &Reply{Status: 200, Body: []byte("{}")}
	some := []providers.Result{{Outcome: providers.Accepted}}
	verdict := func() *providers.Error {
		return &providers.Error{Outcome: providers.Rejected, Scope: providers.Campaign, Code: "x"}
	}
	said := verdict()
	said.Op = "a send"
	for name, tc := range map[string]struct {
		results []providers.Result
		verdict *providers.Error
		want    []providers.Result
		err     *providers.Error // nil: none
	}{
		"results":       {some, nil, some, nil},
		"a verdict":     {nil, verdict(), nil, said},
		"both":          {some, verdict(), nil, said},
		"neither":       {nil, nil, nil, r.NotUnderstood("a send")},
		"no recipients": {[]providers.Result{}, nil, []providers.Result{}, nil},
	} {
		got, err := r.Results("a send", tc.results, tc.verdict)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		e, _ := errors.AsType[*providers.Error](err)
		if (err == nil) != (tc.err == nil) || tc.err != nil && e.Error() != tc.err.Error() {
			t.Errorf("%s: got %v, want %v", name, err, tc.err)
		}
	}
}
