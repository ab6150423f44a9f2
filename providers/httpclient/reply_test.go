package httpclient

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

// Under an error status, a documented body decides the outcome of the call. There is one
// exception: if the body accepts recipients without naming them, the outcome is Unknown.
func TestReplyResults_BodyDecidesUnderAnErrorStatus(t *testing.T) {
	t.Parallel()
	accepted := []providers.Result{{Outcome: providers.Accepted}}
	refused := []providers.Result{{Outcome: providers.Rejected, Reason: "do_not_disturb"}}
	credit := &providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: "101"}
	odd := &providers.Error{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "999"}
	for _, tc := range []struct {
		name    string
		status  int
		results []providers.Result
		verdict *providers.Error
		named   bool
		want    string // the outcome and cause of the error, or "results"
	}{
		{"named recipients", 409, refused, nil, true, "results"},
		{"named recipients accepted", 500, accepted, nil, true, "results"},
		{"accepted without a name", 500, accepted, nil, false, "unknown gateway"},
		{"accepted without a name, by a status that means not sent", 429, accepted, nil, false, "unknown gateway"},
		{"refused without a name", 409, refused, nil, false, "results"},
		{"an error code", 500, nil, credit, true, "retryable credit"},
		{"an unknown code", 401, nil, odd, true, "retryable credentials"},
		{"nothing", 503, nil, nil, true, "unknown gateway"},
		{"a redirect", 302, accepted, nil, true, "unknown configuration"},
	} {
		r := &Reply{Status: tc.status, RetryAfter: time.Second}
		got, err := r.Results("a send", tc.results, tc.verdict, tc.named)
		said := "results"
		if e, ok := errors.AsType[*providers.Error](err); ok {
			said = e.Outcome.String() + " " + string(e.Cause)
			if e.Op != "a send" || e.RetryAfter != time.Second {
				t.Errorf("%s: got the error %+v, want the operation and the wait of the reply", tc.name, e)
			}
		}
		if said != tc.want || (err == nil) != (got != nil) {
			t.Errorf("%s under status %d: got %v and %s, want %s", tc.name, tc.status, got, said, tc.want)
		}
	}
}

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
		got, err := r.Results("a send", tc.results, tc.verdict, true)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		e, _ := errors.AsType[*providers.Error](err)
		if (err == nil) != (tc.err == nil) || tc.err != nil && e.Error() != tc.err.Error() {
			t.Errorf("%s: got %v, want %v", name, err, tc.err)
		}
	}
}
