package kobo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
	"github.com/tuma-sms/tuma/sms"
)

const password = "s3cr3t&pass"

var simulated = map[string]simulator.NewVendor{"kobo": kobosim.New}

// gateway starts a server with the simulator. It returns the server, and a provider for an account
// at this server.
func gateway(t testing.TB, o simulator.Options) (*simulator.Server, *Provider) {
	t.Helper()
	if o.Users == nil {
		o.Users = map[string]string{"demo": password}
	}
	s := simulator.New(o, simulated)
	web := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); web.Close() })
	return s, account(t, web.URL)
}

func account(t testing.TB, base string) *Provider {
	t.Helper()
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: base, Timeout: time.Minute}, User: "demo", Pass: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.CloseIdle)
	return p
}

// The function "answering" starts a server that returns the same answer to every request. It returns a provider for
// this server.
func answering(t *testing.T, status int, header http.Header, body string) *Provider {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(web.Close)
	return account(t, web.URL)
}

func batch(to ...sms.MSISDN) providers.Batch {
	return providers.Batch{IdempotencyKey: "58c0d0f9-7dc6-4ce0-91ae-2d84c5880713", From: "ACME", Body: "Hello", To: to}
}

func verdict(t *testing.T, err error) providers.Error {
	t.Helper()
	e, ok := err.(*providers.Error)
	if !ok {
		t.Fatalf("error %v (%T), want an *Error", err, err)
	}
	if strings.Contains(e.Error(), "s3cr3t") || strings.Contains(e.Error(), "2348030000000") {
		t.Fatalf("error %v holds a secret or a number, want neither", e)
	}
	e2 := *e
	e2.Err = nil
	return e2
}

func TestSend_FormAsDocumented(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change   func(*providers.Batch)
		wantType string
	}{
		"plain":            {func(*providers.Batch) {}, "0"},
		"signs":            {func(b *providers.Batch) { b.Body = "a&b=c+d %/?#~\n€{}" }, "0"},
		"not GSM-7":        {func(b *providers.Batch) { b.Body = "₦500 – ẹ ṣé" }, "2"},
		"flash":            {func(b *providers.Batch) { b.Flash = true }, "1"},
		"flash, not GSM-7": {func(b *providers.Batch) { b.Flash, b.Body = true, "₦" }, "2"},
		"broken UTF-8":     {func(b *providers.Batch) { b.Body = "a\xff" }, "2"},
		"many":             {func(b *providers.Batch) { b.To = manyNumbers(500) }, "0"},
	} {
		b := batch(one, two)
		tc.change(&b)
		got := make(chan *http.Request, 1)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				t.Errorf("%s: parse the form: %v", name, err)
			}
			got <- r
			_, _ = io.WriteString(w, "sent")
		}))
		results, err := account(t, web.URL+"/prefix/").Send(t.Context(), b)
		if err != nil || len(results) != len(b.To) {
			t.Errorf("%s: got %d results and the error %v, want one result for each recipient", name, len(results), err)
		}
		r := <-got
		web.Close()
		var to []string
		for _, n := range b.To {
			to = append(to, n.String())
		}
		want := url.Values{
			"user": {"demo"}, "pass": {password}, "from": {"ACME"}, "to": {strings.Join(to, ",")}, "msg": {b.Body},
			"type": {tc.wantType}, "enable_msg_id": {"1"}, "message_uuid": {b.IdempotencyKey},
		}
		if diff := cmp.Diff(want, r.PostForm); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if r.Method != http.MethodPost || r.RequestURI != "/prefix/api/send/" || r.Header.Get("Content-Type") != httpclient.FormContentType {
			t.Errorf("%s: got the request %s %s with headers %v, want a form by POST to /prefix/api/send/", name, r.Method, r.RequestURI, r.Header)
		}
		if strings.Contains(fmt.Sprint(r.Header), "s3cr3t") {
			t.Errorf("%s: the password is in a header, want it only in the body", name)
		}
	}
}

func TestSend_EachRecipientGetsItsMessageID(t *testing.T) {
	t.Parallel()
	s, p := gateway(t, simulator.Options{Seed: 7})
	b := batch(manyNumbers(500)...)
	results, err := p.Send(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for i, r := range results {
		if r.Outcome != providers.Accepted || len(r.MessageID) != 36 || r.Reason != "" {
			t.Fatalf("recipient %d: got %+v, want accepted with an ID of 36 bytes", i, r)
		}
		ids[r.MessageID] = true
		if n := s.Accepted(uint64(b.To[i])); n != 1 {
			t.Fatalf("recipient %d: the gateway accepted %d messages, want 1", i, n)
		}
	}
	if len(ids) != 500 {
		t.Errorf("got %d different IDs, want 500", len(ids))
	}
	// A repeated call with the same key must not create new messages.
	again, err := p.Send(t.Context(), b)
	if err != nil || !slices.Equal(results, again) {
		t.Errorf("the same call again: got error %v, same results %v, want none and true", err, slices.Equal(results, again))
	}
	if st := s.Stats(); st.Accepted != 500 || st.Duplicates != 0 || st.Replays != 1 || st.Conflicts != 0 || st.Requests != 2 {
		t.Errorf("got the statistics %+v, want 500 accepted, 1 replay and 2 requests", st)
	}
}

func TestVerdict_OfGatewayFaults(t *testing.T) {
	t.Parallel()
	const unknown, retryable = providers.Unknown, providers.Retryable
	type e = providers.Error
	for name, tc := range map[string]struct {
		fault string
		want  e
		taken int64
	}{
		"closed after accepting":  {"accept_close", e{Outcome: unknown, Scope: providers.Call, Cause: providers.CauseNoAnswer}, 2},
		"cut after accepting":     {"cut", e{Outcome: unknown, Scope: providers.Call, Cause: providers.CauseNoAnswer}, 2},
		"502 after accepting":     {"accept_502", e{Outcome: unknown, Scope: providers.Call, Cause: providers.CauseGateway, Code: "http 502", RetryAfter: 9 * time.Second}, 2},
		"a web page, accepted":    {"accept_html", e{Outcome: unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "http 200"}, 2},
		"error_gw":                {"error_gw", e{Outcome: retryable, Scope: providers.Account, Cause: providers.CauseGateway, Code: "error_gw", KeepKey: true}, 0},
		"error_gw, accepted":      {"accept_error_gw", e{Outcome: retryable, Scope: providers.Account, Cause: providers.CauseGateway, Code: "error_gw", KeepKey: true}, 2},
		"error_billing":           {"error_billing", e{Outcome: retryable, Scope: providers.Account, Cause: providers.CauseBilling, Code: "error_billing"}, 0},
		"an error not documented": {"error_unheard_of", e{Outcome: unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "error_unheard_of"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := gateway(t, simulator.Options{})
			if err := s.Fail(simulator.Fault{Name: tc.fault, N: 1, RetryAfter: 9 * time.Second}); err != nil {
				t.Fatal(err)
			}
			results, err := p.Send(t.Context(), batch(one, two))
			if results != nil {
				t.Errorf("got results %v, want none", results)
			}
			tc.want.Op = "kobo send"
			if diff := cmp.Diff(tc.want, verdict(t, err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if st := s.Stats(); st.Requests != 1 || st.Accepted != tc.taken {
				t.Errorf("got the statistics %+v, want 1 request and the accepted messages of the case", st)
			}
			// After a repeated call each recipient still has exactly one message.
			if _, err := p.Send(t.Context(), batch(one, two)); err != nil {
				t.Fatal(err)
			}
			if st := s.Stats(); st.Requests != 2 || st.Accepted != 2 || st.Duplicates != 0 || st.Conflicts != 0 {
				t.Errorf("after a repeated call: got the statistics %+v, want 2 accepted and 2 requests", st)
			}
		})
	}
}

func TestVerdict_OfGatewayRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		arrange func(*simulator.Server)
		change  func(*providers.Batch)
		code    string
	}{
		"password":       {arrange: func(s *simulator.Server) { s.SetPassword("demo", "other") }, code: "error_user"},
		"credit":         {arrange: func(s *simulator.Server) { s.SetCredit(1) }, code: "error_credit"},
		"invalid number": {arrange: func(s *simulator.Server) { kobosim.Of(s).SetInvalid("", uint64(two)) }, code: "error_limit"},
		"error_number":   {arrange: func(s *simulator.Server) { kobosim.Of(s).SetInvalid("error_number", uint64(two)) }, code: "error_number"},
		"no body":        {change: func(b *providers.Batch) { b.Body = "" }, code: "error_param"},
		"no sender":      {change: func(b *providers.Batch) { b.From = "" }, code: "error_param"},
		"short key":      {func(s *simulator.Server) { _, _ = kobosim.Of(s).SetOption("min_uuid", "24") }, func(b *providers.Batch) { b.IdempotencyKey = "short" }, "error_msgid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := gateway(t, simulator.Options{})
			b := batch(one, two)
			if tc.arrange != nil {
				tc.arrange(s)
			}
			if tc.change != nil {
				tc.change(&b)
			}
			_, err := p.Send(t.Context(), b)
			want := answers[tc.code]
			want.Op, want.Code = "kobo send", tc.code
			if diff := cmp.Diff(want, verdict(t, err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if st := s.Stats(); st.Accepted != 0 || st.Requests != 1 || st.Rejected != 1 {
				t.Errorf("got the statistics %+v, want 1 request, which was rejected", st)
			}
		})
	}
}

func TestIdempotencyKey_RepeatMayBeAnError(t *testing.T) {
	t.Parallel()
	s, p := gateway(t, simulator.Options{})
	kobosim.Of(s).SetRepeat(simulator.RepeatError)
	s.FailNext(1, "accept_close")
	if e := func() error { _, err := p.Send(t.Context(), batch(one)); return err }(); verdict(t, e).Outcome != providers.Unknown {
		t.Fatal(e)
	}
	_, err := p.Send(t.Context(), batch(one))
	if e := verdict(t, err); e.Code != "error_msgid" || e.Outcome != providers.Rejected {
		t.Errorf("got the verdict %+v, want rejected with error_msgid", e)
	}
	if st := s.Stats(); st.Accepted != 1 {
		t.Errorf("got the statistics %+v, want 1 accepted", st)
	}
}

func TestSend_InvalidBatchMakesNoRequest(t *testing.T) {
	t.Parallel()
	s, _ := gateway(t, simulator.Options{})
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: web.URL, MaxRecipients: 2}, User: "demo", Pass: password})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*providers.Batch){
		"no recipients": func(b *providers.Batch) { b.To = nil },
		"too many":      func(b *providers.Batch) { b.To = manyNumbers(3) },
		"no key":        func(b *providers.Batch) { b.IdempotencyKey = "" },
		"key too long":  func(b *providers.Batch) { b.IdempotencyKey = strings.Repeat("k", 65) },
	} {
		b := batch(one)
		change(&b)
		_, err := p.Send(t.Context(), b)
		want := providers.Error{Op: "kobo send", Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused}
		if diff := cmp.Diff(want, verdict(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if st := s.Stats(); st.Requests != 0 {
		t.Errorf("got the statistics %+v, want 0 requests", st)
	}
}

func TestSend_UnansweredRecipientsAreUnknown(t *testing.T) {
	t.Parallel()
	p := answering(t, 200, nil, "2348030000011,"+idB)
	got, err := p.Send(t.Context(), batch(one, two))
	if diff := cmp.Diff(res(missing, accepted(idB)), got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
}

func TestBalance(t *testing.T) {
	t.Parallel()
	s, p := gateway(t, simulator.Options{Credit: 120.5})
	if got, err := p.Balance(t.Context()); err != nil || got != (providers.Balance{Amount: 120.5}) {
		t.Errorf("balance: got %+v and the error %v, want 120.5", got, err)
	}
	if _, err := p.Send(t.Context(), batch(one, two)); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Balance(t.Context()); err != nil || got.Amount != 118.5 {
		t.Errorf("balance after a send: got %+v and the error %v, want 118.5", got, err)
	}
	s.SetPassword("demo", "other")
	_, err := p.Balance(t.Context())
	if e := verdict(t, err); e.Code != "error_user" || e.Cause != providers.CauseCredentials || e.Op != "kobo balance" {
		t.Errorf("got the verdict %+v, want error_user with the cause credentials", e)
	}
	for body, want := range map[string]providers.Cause{"<html>": providers.CauseNotUnderstood, "sent": providers.CauseNotUnderstood} {
		_, err := answering(t, 200, nil, body).Balance(t.Context())
		if e := verdict(t, err); e.Cause != want || e.Outcome != providers.Unknown {
			t.Errorf("the balance %q: got the verdict %+v, want unknown and the cause of the case", body, e)
		}
	}
	_, err = answering(t, 503, http.Header{"Retry-After": {"5"}}, "").Balance(t.Context())
	if e := verdict(t, err); e.Cause != providers.CauseGateway || e.RetryAfter != 5*time.Second {
		t.Errorf("got the verdict %+v, want the cause gateway and a wait of 5s", e)
	}
}

func TestMessageStatus(t *testing.T) {
	t.Parallel()
	s, p := gateway(t, simulator.Options{})
	results, err := p.Send(t.Context(), batch(one))
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.MessageStatus(t.Context(), results[0].MessageID)
	if want := (providers.MessageStatus{Final: true, Delivered: true, State: "DELIVRD"}); err != nil || got != want {
		t.Errorf("a delivered message: got %+v and the error %v, want the state DELIVRD", got, err)
	}
	kobosim.Of(s).SetReport("ENROUTE")
	if got, err = p.MessageStatus(t.Context(), results[0].MessageID); err != nil || got.Final {
		t.Errorf("a message on its way: got %+v and the error %v, want a status that is not final", got, err)
	}
	_, err = p.MessageStatus(t.Context(), "24137cf8-eccc-469c-80af-109538857e53&x")
	if e := verdict(t, err); e.Code != "error_msgid" || e.Op != "kobo report" {
		t.Errorf("an invalid message ID: got the verdict %+v, want error_msgid", e)
	}
	before := s.Stats().Requests
	_, err = p.MessageStatus(t.Context(), "")
	if e := verdict(t, err); e.Outcome != providers.Rejected || s.Stats().Requests != before {
		t.Errorf("an empty message ID: got the verdict %+v, want rejected without a request", e)
	}
	_, err = answering(t, 200, nil, "WHO KNOWS").MessageStatus(t.Context(), idA)
	if e := verdict(t, err); e.Cause != providers.CauseNotUnderstood {
		t.Errorf("got the verdict %+v, want the cause not_understood", e)
	}
}

func ExampleProvider_Send() {
	server := httptest.NewServer(simulator.New(simulator.Options{Seed: 1, Credit: 3}, simulated))
	defer server.Close()
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: server.URL}, User: "demo", Pass: "demopass"})
	if err != nil {
		fmt.Println(err)
		return
	}
	b := providers.Batch{IdempotencyKey: "58c0d0f9-7dc6-4ce0-91ae-2d84c5880713", From: "ACME", Body: "Hello", To: []sms.MSISDN{2348030000000, 2348030000011}}
	results, _ := p.Send(context.Background(), b)
	for i, r := range results {
		fmt.Println(b.To[i].Masked(), r.Outcome, len(r.MessageID))
	}
	b.IdempotencyKey = "0d4a2c1e-2f5e-4a8b-b6a4-6d1d3c5c7a11"
	_, err = p.Send(context.Background(), b)
	if e, ok := errors.AsType[*providers.Error](err); ok {
		fmt.Println(e.Outcome, e.Scope, e.Cause, e.Code)
	}
	// Output:
	// 2348****0000 accepted 36
	// 2348****0011 accepted 36
	// retryable account credit error_credit
}

func BenchmarkSend500(b *testing.B) {
	_, p := gateway(b, simulator.Options{NoCount: true})
	call := batch(manyNumbers(500)...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		call.IdempotencyKey = fmt.Sprintf("58c0d0f9-7dc6-4ce0-91ae-%012d", i)
		if _, err := p.Send(context.Background(), call); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(500*b.N)/b.Elapsed().Seconds(), "messages/s")
}
