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

// The suite builds its logins, texts and phone numbers from these values. The secrecy check searches
// all output for these values.
const (
	user        = "demo"
	secret      = "s3cr3t&p+s%"
	wrongSecret = "wr0ng&p+s%"
	sender      = "TUMA"
	marker      = "Quokka" // part of every text
	text        = marker + " says hello"

	kenya, nigeria = 254712000000, 2348031000000
)

// exam is one check of one provider.
type exam struct {
	tester
	*suite
	check string
	used  int // used is the number of phone numbers that this check has used.
}

// settings returns the settings of an account with the given base URL. Apart from the base URL and
// the timeout, only the required fields are set.
func (x *exam) settings(base string) providers.Settings {
	s := providers.Settings{Endpoint: providers.Endpoint{BaseURL: base, Timeout: time.Minute}}
	x.kind.LogIn(&s, user, secret)
	return s
}

// The method "open" returns a provider for an account with the given base URL. The functions in the
// parameter "changes" first alter the account's settings.
func (x *exam) open(base string, changes ...func(*providers.Settings)) providers.Provider {
	x.Helper()
	s := x.settings(base)
	for _, change := range changes {
		change(&s)
	}
	p, err := x.kind.Open(s)
	if err != nil {
		x.noteError(err)
		x.Fatalf("cannot open an account with only the fields %q: %v", x.kind.Login(), err)
	}
	return p
}

// numbers returns n numbers that this check has not used yet, alternately from two countries.
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

// batch returns a batch to the given numbers, with a new idempotency key. The batch holds a copy of
// the slice.
func batch(numbers []sms.MSISDN) providers.Batch {
	key := fmt.Sprintf("7e57ab1e-0000-4000-8000-%012x", keys.Add(1))
	return providers.Batch{IdempotencyKey: key, From: sender, Body: text, To: slices.Clone(numbers)}
}

// newBatch returns a batch to n new numbers. If the provider p does not allow n recipients in a call,
// the batch has the maximum number of recipients.
func (x *exam) newBatch(p providers.Provider, n int) providers.Batch {
	return batch(x.numbers(min(n, p.Info().MaxRecipients)))
}

// answer holds the return values of Send for the recipients in the field "to". It has either
// results or an error.
type answer struct {
	to      []sms.MSISDN
	results []providers.Result
	err     *providers.Error
}

// The method "send" calls Send and checks the rules of the contract that hold for every answer.
func (x *exam) send(p providers.Provider, b providers.Batch) answer {
	x.Helper()
	return x.sendIn(x.Context(), p, b)
}

func (x *exam) sendIn(ctx context.Context, p providers.Provider, b providers.Batch) (a answer) {
	x.Helper()
	defer func() {
		if v := recover(); v != nil {
			x.Errorf("Send: panic: %v", v)
			a = answer{to: b.To, err: new(providers.Error)}
		}
	}()
	results, err := p.Send(ctx, b)
	a = answer{to: b.To, results: results}
	if err == nil {
		if len(results) != len(b.To) {
			x.Errorf("got %d results for %d recipients, want one for each", len(results), len(b.To))
			return answer{to: b.To, err: new(providers.Error)}
		}
		for _, r := range results {
			x.checkResult(r)
		}
		return a
	}
	if results != nil {
		x.Errorf("got results and the error %v, want only one of them", err)
	}
	a.err = x.checkError(err)
	return a
}

var aReason = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// longestCode is the contract's limit for Result.Code and Error.Code in bytes.
const longestCode = 64

func (x *exam) checkResult(r providers.Result) {
	x.Helper()
	x.note(fmt.Sprintf("%v %v %q %q %q %q", r.Outcome, r.Scope, r.Cause, r.Reason, r.Code, r.Currency))
	if r.Reason != "" && !aReason.MatchString(r.Reason) {
		x.Errorf("got the reason %q, want a single word in lower case", r.Reason)
	}
	if len(r.Code) > longestCode {
		x.Errorf("got a code of %d bytes, want at most %d", len(r.Code), longestCode)
	}
	if r.Outcome == providers.Accepted && (r.Reason != "" || r.Scope != providers.Recipient) || r.Outcome > providers.Retryable {
		x.Errorf("contradictory result %+v", r)
	}
	if r.Scope >= providers.Text && r.Cause == "" {
		x.Errorf("got outcome %v with scope %v and no cause, want a cause", r.Outcome, r.Scope)
	}
}

// checkError checks that err is a valid *Error and returns it.
func (x *exam) checkError(err error) *providers.Error {
	x.Helper()
	x.noteError(err)
	e, ok := err.(*providers.Error) //nolint:errorlint // the contract promises the type itself
	switch {
	case !ok || e == nil:
		x.Errorf("got an error of type %T, want an *Error", err)
		return new(providers.Error)
	case !strings.HasPrefix(e.Op, x.kind.Name+" ") || len(e.Code) > longestCode || e.RetryAfter < 0 || e.Cause == "":
		x.Errorf("got the error %#v, want an Op of the provider, a Cause, a Code of at most 64 bytes and no negative RetryAfter", e)
	case e.Outcome == providers.Accepted || e.Outcome > providers.Retryable:
		x.Errorf("got an error with outcome %v, want unknown, rejected or retryable", e.Outcome)
	}
	return e
}

// noteError prints err in every format and keeps these texts for the secrecy check.
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

// verdict returns the result of recipient i.
func (a answer) verdict(i int) providers.Result {
	if a.err != nil {
		return providers.Result{Outcome: a.err.Outcome, Scope: a.err.Scope, Cause: a.err.Cause, Code: a.err.Code}
	}
	return a.results[i]
}

// count returns how many recipients have the outcome o.
func (a answer) count(o providers.Outcome) (n int) {
	for i := range a.to {
		if a.verdict(i).Outcome == o {
			n++
		}
	}
	return n
}

// String describes the answer for failure messages.
func (a answer) String() string {
	if a.err != nil {
		return fmt.Sprintf("%v %v %q (%v)", a.err.Outcome, a.err.Scope, a.err.Cause, a.err)
	}
	const most = 4
	return fmt.Sprintf("%d results: %+v", len(a.results), a.results[:min(len(a.results), most)])
}

// wantAll fails unless every recipient has the outcome o.
func (x *exam) wantAll(a answer, o providers.Outcome, when string) {
	x.Helper()
	if a.count(o) != len(a.to) {
		x.Errorf("%s: want every recipient %v, got %v", when, o, a)
	}
}

// wantNoneAccepted fails if any recipient is Accepted.
func (x *exam) wantNoneAccepted(a answer, when string) {
	x.Helper()
	if a.count(providers.Accepted) > 0 {
		x.Errorf("%s: want no recipient accepted, got %v", when, a)
	}
}

// wantError fails unless the call ended with an error that has outcome o, scope s and cause c.
func (x *exam) wantError(a answer, o providers.Outcome, s providers.Scope, c providers.Cause, when string) {
	x.Helper()
	if e := a.err; e == nil || e.Outcome != o || e.Scope != s || e.Cause != c {
		x.Errorf("%s: want %v %v %q, got %v", when, o, s, c, a)
	}
}

// wantSeen fails unless a server received the expected number of requests. The parameter "seen" is
// the actual number.
func (x *exam) wantSeen(seen, want int64, when string) {
	x.Helper()
	if seen != want {
		x.Errorf("%s: the server saw %d requests, want %d", when, seen, want)
	}
}
