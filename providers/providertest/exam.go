package providertest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// What every account, text and number of the suite is made of, so that it can be
// told where it must not be.
const (
	user        = "demo"
	secret      = "s3cr3t&p+s%"
	wrongSecret = "wr0ng&p+s%"
	sender      = "TUMA"
	marker      = "Quokka" // in every text
	text        = marker + " says hello"

	kenya, nigeria = 254712000000, 2348031000000
)

// exam is one check of one provider.
type exam struct {
	tester
	*suite
	check string
	used  int // numbers given out
}

// settings are those of an account at base, with what the kind requires and nothing else.
func (x *exam) settings(base string) providers.Settings {
	s := providers.Settings{Endpoint: providers.Endpoint{BaseURL: base, Timeout: time.Minute}}
	logIn(&s, x.kind.Required, user, secret)
	return s
}

// logIn fills the fields a kind requires.
func logIn(s *providers.Settings, required []string, user string, secret providers.Secret) {
	for _, field := range required {
		switch field {
		case "user":
			s.User = user
		case "username":
			s.Username = user
		case "pass":
			s.Pass = secret
		case "password":
			s.Password = secret
		case "api_key":
			s.APIKey = secret
		case "token":
			s.Token = secret
		default:
			if s.Options == nil {
				s.Options = map[string]string{}
			}
			s.Options[field] = user
		}
	}
}

// open opens an account at base.
func (x *exam) open(base string, changes ...func(*providers.Settings)) providers.Provider {
	x.Helper()
	s := x.settings(base)
	for _, change := range changes {
		change(&s)
	}
	p, err := x.kind.Open(s)
	if err != nil {
		x.noteError(err)
		x.Fatalf("open an account with %q alone: %v", x.kind.Required, err)
	}
	return p
}

// numbers returns n numbers that this check has not used, of two countries by turns.
func (x *exam) numbers(n int) []sms.MSISDN {
	to := make([]sms.MSISDN, n)
	for i := range to {
		to[i] = kenya + sms.MSISDN(x.used)
		if x.used%2 == 1 {
			to[i] = nigeria + sms.MSISDN(x.used)
		}
		x.used++
	}
	return to
}

var keys atomic.Uint64

// batch is a call to these numbers, in a list of its own, under a key of its own.
func batch(to []sms.MSISDN) providers.Batch {
	key := fmt.Sprintf("7e57ab1e-0000-4000-8000-%012x", keys.Add(1))
	return providers.Batch{IdempotencyKey: key, From: sender, Body: text, To: slices.Clone(to)}
}

// few is a call to so many new numbers, or as many as one call of p may carry.
func (x *exam) newBatch(p providers.Provider, n int) providers.Batch {
	return batch(x.numbers(min(n, p.Info().MaxRecipients)))
}

// answer is what Send has returned: results, or an error.
type answer struct {
	to      []sms.MSISDN
	results []providers.Result
	err     *providers.Error
}

// send sends, and checks what the contract asks of every answer.
func (x *exam) send(p providers.Provider, b providers.Batch) answer {
	x.Helper()
	return x.sendIn(x.Context(), p, b)
}

func (x *exam) sendIn(ctx context.Context, p providers.Provider, b providers.Batch) (a answer) {
	x.Helper()
	defer func() {
		if v := recover(); v != nil {
			x.Errorf("Send panicked: %v", v)
			a = answer{to: b.To, err: new(providers.Error)}
		}
	}()
	results, err := p.Send(ctx, b)
	a = answer{to: b.To, results: results}
	if err == nil {
		if len(results) != len(b.To) {
			x.Errorf("%d results for %d recipients", len(results), len(b.To))
			return answer{to: b.To, err: new(providers.Error)}
		}
		for _, r := range results {
			x.checkResult(r)
		}
		return a
	}
	if results != nil {
		x.Errorf("results beside the error %v", err)
	}
	a.err = x.checkError(err)
	return a
}

var aReason = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// longestCode is the contract's limit.
const longestCode = 64

func (x *exam) checkResult(r providers.Result) {
	x.Helper()
	x.note(fmt.Sprintf("%v %v %q %q %q %q", r.Outcome, r.Scope, r.Cause, r.Reason, r.Code, r.Currency))
	if r.Reason != "" && !aReason.MatchString(r.Reason) {
		x.Errorf("the reason %q is not one lower-case word", r.Reason)
	}
	if len(r.Code) > longestCode {
		x.Errorf("a code of %d bytes, at most %d are allowed", len(r.Code), longestCode)
	}
	if r.Outcome == providers.Accepted && (r.Reason != "" || r.Scope != providers.Recipient) || r.Outcome > providers.Retryable {
		x.Errorf("contradictory result %+v", r)
	}
	if (r.Scope == providers.Campaign || r.Scope == providers.Account) && r.Cause == "" {
		x.Errorf("%v for the %v without a cause", r.Outcome, r.Scope)
	}
}

// checkError returns err as the *Error it must be.
func (x *exam) checkError(err error) *providers.Error {
	x.Helper()
	x.noteError(err)
	e, ok := err.(*providers.Error) //nolint:errorlint // the contract promises the type itself
	switch {
	case !ok || e == nil:
		x.Errorf("the error is a %T and not an *Error", err)
		return new(providers.Error)
	case !strings.HasPrefix(e.Op, x.kind.Name+" ") || len(e.Code) > longestCode || e.RetryAfter < 0 || e.Cause == "":
		x.Errorf("the error lacks its operation or cause, or has an odd code or time: %#v", e)
	case e.Outcome == providers.Accepted || e.Outcome > providers.Retryable:
		x.Errorf("an error that says %v", e.Outcome)
	}
	return e
}

// hear notes all that an error can be made to say.
func (x *exam) noteError(err error) {
	for ; err != nil; err = errors.Unwrap(err) {
		x.note(err.Error())
		x.note(fmt.Sprintf("%v %+v %#v %q", err, err, err, err))
	}
}

func (x *exam) note(text string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.texts == nil {
		x.texts = map[string]string{}
	}
	x.texts[text] = x.check
}

// verdict is what the answer says of recipient i.
func (a answer) verdict(i int) providers.Result {
	if a.err != nil {
		return providers.Result{Outcome: a.err.Outcome, Scope: a.err.Scope, Cause: a.err.Cause, Code: a.err.Code}
	}
	return a.results[i]
}

// count returns how many recipients have the outcome.
func (a answer) count(o providers.Outcome) (n int) {
	for i := range a.to {
		if a.verdict(i).Outcome == o {
			n++
		}
	}
	return n
}

// String says what the answer was, for failures.
func (a answer) String() string {
	if a.err != nil {
		return fmt.Sprintf("%v %v %q (%v)", a.err.Outcome, a.err.Scope, a.err.Cause, a.err)
	}
	const most = 4
	return fmt.Sprintf("%d results: %+v", len(a.results), a.results[:min(len(a.results), most)])
}

// wantAll wants everyone to have the outcome.
func (x *exam) wantAll(a answer, o providers.Outcome, when string) {
	x.Helper()
	if a.count(o) != len(a.to) {
		x.Errorf("%s: want %v, got %v", when, o, a)
	}
}

// wantNobody wants nobody to be Accepted.
func (x *exam) wantNoneAccepted(a answer, when string) {
	x.Helper()
	if a.count(providers.Accepted) > 0 {
		x.Errorf("%s: accepted: %v", when, a)
	}
}

// wantError wants one verdict for the whole call.
func (x *exam) wantError(a answer, o providers.Outcome, s providers.Scope, c providers.Cause, when string) {
	x.Helper()
	if e := a.err; e == nil || e.Outcome != o || e.Scope != s || e.Cause != c {
		x.Errorf("%s: want %v %v %q, got %v", when, o, s, c, a)
	}
}

// wantSeen wants a server to have seen so many requests.
func (x *exam) wantSeen(seen, want int64, when string) {
	x.Helper()
	if seen != want {
		x.Errorf("%s: the server saw %d requests, want %d", when, seen, want)
	}
}
