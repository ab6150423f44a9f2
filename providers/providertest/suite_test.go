package providertest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/sms"
)

func TestSuite_CorrectProviderPasses(t *testing.T) {
	t.Parallel()
	wantFailing(t, kobo.Kind())
}

// withSend is a correct provider whose method Send is replaced.
type withSend struct {
	*kobo.Provider
	base string
	send sendFunc
}

type sendFunc func(ctx context.Context, w withSend, b providers.Batch) ([]providers.Result, error)

// Send calls w.send.
func (w withSend) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	return w.send(ctx, w, b)
}

func kindWithSend(send sendFunc) providers.Kind {
	return kindOpening(func(p *kobo.Provider, s providers.Settings) providers.Provider { return withSend{p, s.BaseURL, send} })
}

// alwaysSucceeds is a provider whose reads succeed for every answer of the gateway.
type alwaysSucceeds struct{ *kobo.Provider }

// Balance calls kobo's Balance and ignores its error.
func (g alwaysSucceeds) Balance(ctx context.Context) (providers.Balance, error) {
	balance, _ := g.Provider.Balance(ctx)
	return balance, nil
}

// MessageStatus reports every message as delivered.
func (g alwaysSucceeds) MessageStatus(context.Context, string) (providers.MessageStatus, error) {
	return providers.MessageStatus{Final: true, Delivered: true, State: "DELIVRD"}, nil
}

// emptyInbox is a provider whose inbox is empty for every answer of the gateway.
type emptyInbox struct{ *kobo.Provider }

// Inbox sends a request and ignores the reply and the error.
func (g emptyInbox) Inbox(ctx context.Context, _ string) ([]providers.Inbound, error) {
	_, _ = g.Balance(ctx)
	return nil, nil
}

// printsItsSecret is a provider that prints its secret. Its fingerprint contains a part of the secret.
type printsItsSecret struct {
	*kobo.Provider
	Pass string
}

// Info returns a fingerprint that depends on the password.
func (c printsItsSecret) Info() providers.Info {
	info := c.Provider.Info()
	info.Fingerprint += url.QueryEscape(c.Pass)[:2]
	return info
}

func kindOpening(open func(p *kobo.Provider, s providers.Settings) providers.Provider) providers.Kind {
	kind := kobo.Kind()
	honest := kind.New
	kind.New = func(s providers.Settings) (providers.Provider, error) {
		p, err := honest(s)
		if err != nil {
			return nil, err
		}
		return open(p.(*kobo.Provider), s), nil
	}
	return kind
}

func TestSuite_WrongReadsFailTheRightCheck(t *testing.T) {
	t.Parallel()
	wantFailing(t, kindOpening(func(p *kobo.Provider, _ providers.Settings) providers.Provider { return alwaysSucceeds{p} }),
		"reading the balance with a wrong password is an error", "the status of a message", "a read without an answer is an error",
		"a read with an invalid answer", "a read with an ended context", "a read whose reply never ends")
}

func TestSuite_EmptyListsFailTheRightCheck(t *testing.T) {
	t.Parallel()
	wantFailing(t, kindOpening(func(p *kobo.Provider, _ providers.Settings) providers.Provider { return emptyInbox{p} }),
		"a read without an answer is an error", "a list that is not in the gateway's form is an error", "a read with an ended context", "a read whose reply never ends")
}

func TestSuite_PrintedSecretsFailTheRightCheck(t *testing.T) {
	t.Parallel()
	wantFailing(t, kindOpening(func(p *kobo.Provider, s providers.Settings) providers.Provider {
		return printsItsSecret{p, s.Secrets["pass"].Reveal()}
	}),
		"a printed provider shows no secret", "the fingerprint depends on the login and not on the secret", secrecyCheck.name)
}

// sendWithChangedError returns a method Send that is correct, except that the function "change" alters the
// error of the whole call.
func sendWithChangedError(change func(e *providers.Error)) sendFunc {
	return func(ctx context.Context, w withSend, b providers.Batch) ([]providers.Result, error) {
		results, err := w.Provider.Send(ctx, b)
		if e, ok := err.(*providers.Error); ok {
			judged := *e
			change(&judged)
			return nil, &judged
		}
		return results, err
	}
}

// The function "answering" returns a method Send that is correct, except that the function "change" alters the results.
func answering(change func(b providers.Batch, results []providers.Result)) sendFunc {
	return func(ctx context.Context, w withSend, b providers.Batch) ([]providers.Result, error) {
		results, err := w.Provider.Send(ctx, b)
		if err == nil {
			change(b, results)
		}
		return results, err
	}
}

// Each list has the checks that fail for one kind of mistake.
var (
	bySilence = []string{
		"the connection is closed after the request was read", "the connection is reset after the request was read",
		"the connection is closed half-way through the reply", "the connection is closed half-way through a reply in chunks",
		"the connection is closed half-way through the headers", "the connection is closed after an interim answer",
		"an answer that is not HTTP", "an answer without headers",
		"the server hangs until the deadline", "the server hangs until the call is cancelled",
		"the server hangs half-way through the reply until the deadline", "the server hangs half-way through the reply until the call is cancelled",
		"a reused connection is closed after the second request was read", "no goroutine is left behind",
		"fifty calls at once to a gateway that fails at random",
	}
	byStatus   = []string{"every status other than success", "every status with the body of an accepted call"}
	byNonsense = []string{
		"every status 2xx with a body that has no result", "replies without a result", "replies of ten megabytes", "a reply that repeats the request",
		"a reply cut anywhere", "a refusal cut anywhere", "a reply for other recipients", "the sandbox breaks its replies", "fifty calls at once to a gateway that fails at random",
	}
)

// retrying is a wrong Send method: it sends the batch again after an unknown answer.
func retrying(ctx context.Context, w withSend, b providers.Batch) ([]providers.Result, error) {
	results, err := w.Provider.Send(ctx, b)
	if e, ok := err.(*providers.Error); ok && e.Outcome == providers.Unknown {
		return w.Provider.Send(ctx, b)
	}
	return results, err
}

// reorder sorts the results by the numbers of their recipients.
func reorder(b providers.Batch, results []providers.Result) {
	places := map[sms.MSISDN]int{}
	for i, number := range b.To {
		places[number] = i
	}
	was := slices.Clone(results)
	for i, number := range slices.Sorted(slices.Values(b.To)) {
		results[i] = was[places[number]]
	}
}

// followingRedirects is a wrong Send method: after a redirect it sends the batch again, with a client
// that follows redirects.
func followingRedirects(ctx context.Context, w withSend, b providers.Batch) ([]providers.Result, error) {
	results, err := w.Provider.Send(ctx, b)
	if e, ok := err.(*providers.Error); ok && e.Cause == providers.CauseConfiguration {
		form := url.Values{"user": {user}, "pass": {secret}, "from": {b.From}, "to": {b.To[0].String()}, "msg": {b.Body}}
		if resp, err := http.PostForm(w.base+"/api/send/", form); err == nil {
			_ = resp.Body.Close()
		}
	}
	return results, err
}

// Each entry of the map "wrongSends" has a function that replaces the method Send and makes one mistake. The
// entry also lists the checks that must find the mistake.
var wrongSends = map[string]struct {
	send sendFunc
	by   []string
}{
	"it retries": {retrying, slices.Concat(bySilence, byStatus, []string{"every status 2xx with a body that has no result", "the sandbox breaks its replies", "redirects are not followed"})},
	"5xx is Retryable": {sendWithChangedError(func(e *providers.Error) {
		if e.Cause == providers.CauseGateway && e.Outcome == providers.Unknown {
			e.Outcome, e.Scope = providers.Retryable, providers.Account
		}
	}), slices.Concat(byStatus, []string{"the sandbox breaks its replies", "fifty calls at once to a gateway that fails at random"})},
	"a parse error is Rejected": {sendWithChangedError(func(e *providers.Error) {
		if e.Cause == providers.CauseNotUnderstood {
			e.Outcome, e.Cause = providers.Rejected, providers.CauseRefused
		}
	}), byNonsense},
	"no answer is Retryable": {sendWithChangedError(func(e *providers.Error) {
		if e.Cause == providers.CauseNoAnswer {
			e.Outcome, e.Scope, e.Cause = providers.Retryable, providers.Account, providers.CauseConnection
		}
	}), slices.Concat(bySilence, byStatus, []string{"the sandbox breaks its replies"})},
	"it panics after a reply that it does not understand": {sendWithChangedError(func(e *providers.Error) {
		if e.Cause == providers.CauseNotUnderstood {
			panic("index out of range")
		}
	}), byNonsense},
	"a refused text counts for the campaign": {sendWithChangedError(func(e *providers.Error) {
		if e.Outcome == providers.Rejected && e.Scope == providers.Text {
			e.Scope = providers.Campaign
		}
	}), []string{"a refused text does not count against the campaign or the account"}},
	"its error holds the password": {sendWithChangedError(func(e *providers.Error) {
		e.Err = fmt.Errorf("login %s, %s: %w", user, secret, e.Err)
	}), []string{secrecyCheck.name}},
	"its result holds the number": {answering(func(b providers.Batch, results []providers.Result) {
		if results[0].Outcome == providers.Unknown {
			results[0].Code = b.To[0].String()
		}
	}), []string{secrecyCheck.name}},
	"a recipient that is not in the reply is Accepted": {answering(func(_ providers.Batch, results []providers.Result) {
		for i := range results {
			results[i] = providers.Result{MessageID: results[i].MessageID, Outcome: providers.Accepted}
		}
	}), []string{
		"a reply without one recipient", "a reply cut anywhere", "a reply with bytes changed", "a reply that is repeated", "the sandbox breaks its replies",
	}},
	"the results are in another order": {answering(reorder), []string{
		"a reply without one recipient", "a reply in another order", "a reply cut anywhere", "a reply with bytes changed", "the sandbox breaks its replies",
	}},
	"it follows redirects": {followingRedirects, slices.Concat(byStatus, []string{"redirects are not followed"})},
	"it changes the batch": {func(ctx context.Context, w withSend, b providers.Batch) ([]providers.Result, error) {
		slices.SortFunc(b.To, func(x, y sms.MSISDN) int { return cmp.Compare(x%10, y%10) })
		return w.Provider.Send(ctx, b)
	}, []string{"the batch is not changed"}},
	"it sends too much": {func(ctx context.Context, w withSend, b providers.Batch) ([]providers.Result, error) {
		b.To = b.To[:min(len(b.To), w.Info().MaxRecipients)]
		return w.Provider.Send(ctx, b)
	}, []string{"refuses more recipients than a call may have, and sends no request"}},
}

func TestSuite_WrongSendsFailTheRightCheck(t *testing.T) {
	t.Parallel()
	for name, tc := range wrongSends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFailing(t, kindWithSend(tc.send), tc.by...)
		})
	}
}

func TestALeakedGoroutineIsCaughtByTheRightCheck(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	leaking := func(ctx context.Context, w withSend, b providers.Batch) ([]providers.Result, error) {
		go func() { <-ended }()
		return w.Provider.Send(ctx, b)
	}
	wantFailing(t, kindWithSend(leaking), "no goroutine is left behind")
}

// parsesNothing is a provider whose parser returns neither messages nor an error.
type parsesNothing struct{ *kobo.Provider }

// ParseInbound returns nothing.
func (parsesNothing) ParseInbound(providers.Callback) ([]providers.Inbound, error) { return nil, nil }

// passesOn is a provider whose parser returns the unchecked content of a callback.
type passesOn struct{ *kobo.Provider }

// ParseDelivery returns a DLR with the body as its ID.
func (passesOn) ParseDelivery(c providers.Callback) ([]providers.DLR, error) {
	if c.Method != http.MethodPost && c.Method != http.MethodGet {
		return nil, providers.ErrCallbackMethod
	}
	return []providers.DLR{{MessageID: string(c.Body)}}, nil
}

func TestSuite_WrongCallbackParsersFailTheRightCheck(t *testing.T) {
	t.Parallel()
	wantFailing(t, kindOpening(func(p *kobo.Provider, _ providers.Settings) providers.Provider { return parsesNothing{p} }),
		"a callback with any content is parsed or refused", "a callback with another method is refused", "a callback that is empty, too large or not a form")
	wantFailing(t, kindOpening(func(p *kobo.Provider, _ providers.Settings) providers.Provider { return passesOn{p} }),
		"a callback with any content is parsed or refused", "variants of a callback with a delivery report", "a callback that is empty, too large or not a form")
}
