package connectmedia

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
	"github.com/tuma-sms/tuma/providers/connectmedia/connectmediasim"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

const password = "s3cr3t&pass"

func account(t testing.TB, cfg Config) *Provider {
	t.Helper()
	cfg.Username, cfg.Password = "demo", password
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.CloseIdle)
	return p
}

// request holds the parts of a request that a test server got.
type request struct {
	method, uri, body string
	form              url.Values
	header            http.Header
}

// serve starts a server that returns the same answer to every request. It returns the server's
// address, and the requests that the server got.
func serve(t *testing.T, status int, body string) (string, <-chan request) {
	t.Helper()
	seen := make(chan request, 8)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		form, err := url.ParseQuery(string(sent))
		if err != nil {
			t.Error(err)
		}
		seen <- request{r.Method, r.RequestURI, string(sent), form, r.Header}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(web.Close)
	return web.URL, seen
}

func answering(t *testing.T, status int, body string) (*Provider, <-chan request) {
	t.Helper()
	base, seen := serve(t, status, body)
	return account(t, Config{Endpoint: providers.Endpoint{BaseURL: base + "/prefix/"}}), seen
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
	if strings.Contains(e.Error(), "s3cr3t") || strings.Contains(e.Error(), one.String()) {
		t.Fatalf("error %v holds a secret or a number, want neither", e)
	}
	plain := *e
	plain.Err = nil
	return plain
}

func TestSend_FormAsDocumented(t *testing.T) {
	t.Parallel()
	const login = "username=demo&password=s3cr3t%26pass&action=send&to=254712345678"
	const signs = "a+b %41 é€漢😀&\n~'!"
	for name, tc := range map[string]struct {
		change func(*providers.Batch)
		plain  bool
		want   string
	}{
		"plain":               {func(*providers.Batch) {}, false, "&sender=ACME&message=Hello"},
		"no sender":           {func(b *providers.Batch) { b.From = "" }, false, "&sender=ConectMedia&message=Hello"},
		"flash, no key":       {func(b *providers.Batch) { b.Flash, b.IdempotencyKey = true, "" }, false, "&sender=ACME&message=Hello"},
		"a space":             {func(b *providers.Batch) { b.Body = "a b" }, false, "&sender=ACME&message=a%2520b"},
		"a space, unencoded":  {func(b *providers.Batch) { b.Body = "a b" }, true, "&sender=ACME&message=a+b"},
		"signs":               {func(b *providers.Batch) { b.Body = signs }, false, "&sender=ACME&message=" + url.QueryEscape("a%2Bb%20%2541%20%C3%A9%E2%82%AC%E6%BC%A2%F0%9F%98%80%26%0A~%27%21")},
		"signs as they are":   {func(b *providers.Batch) { b.Body = signs }, true, "&sender=ACME&message=" + url.QueryEscape(signs)},
		"a space in a sender": {func(b *providers.Batch) { b.From = "AC ME" }, false, "&sender=AC+ME&message=Hello"},
	} {
		b := batch(one)
		tc.change(&b)
		base, seen := serve(t, 200, `{"code":"201"}`)
		p := account(t, Config{Endpoint: providers.Endpoint{BaseURL: base}, PlainMessage: tc.plain})
		if results, err := p.Send(t.Context(), b); err != nil || len(results) != 1 {
			t.Errorf("%s: got %d results and the error %v, want 1 result", name, len(results), err)
		}
		got := <-seen
		if want := login + tc.want; got.body != want {
			t.Errorf("%s:\n%s, want\n%s", name, got.body, want)
		}
		if got.method != http.MethodPost || got.uri != "/user-board/?api" || got.header.Get("Content-Type") != httpclient.FormContentType {
			t.Errorf("%s: got the request %s %s with headers %v, want a form by POST to /user-board/?api", name, got.method, got.uri, got.header)
		}
		if strings.Contains(fmt.Sprint(got.header), "s3cr3t") {
			t.Errorf("%s: the password is in a header, want it only in the body", name)
		}
	}
}

func TestPreEncode_SameForEveryDecoder(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for c := range 256 {
		all.WriteByte(byte(c))
	}
	for _, body := range []string{"", "a b+c", "100% + é € 漢 😀 %20 %2B", all.String()} {
		encoded := preEncode(body)
		asForm, err1 := url.QueryUnescape(encoded) // PHP's urldecode
		asURL, err2 := url.PathUnescape(encoded)   // PHP's rawurldecode, JavaScript's decodeURIComponent
		if err1 != nil || err2 != nil || asForm != body || asURL != body {
			t.Errorf("%q: PHP's urldecode reads %q and rawurldecode %q, want the original from both", body, asForm, asURL)
		}
	}
}

// TestPreEncode_MessageArrivesUnchanged sends to two gateways. Only one of them decodes
// messages a second time. The two gateways need different values of PlainMessage.
func TestPreEncode_MessageArrivesUnchanged(t *testing.T) {
	t.Parallel()
	const signs = "50% off + a&b; %41 é€漢😀"
	s := simulator.New(simulator.Options{}, map[string]simulator.NewVendor{"connectmedia": connectmediasim.New})
	web := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); web.Close() })
	for _, gatewayPlain := range []bool{false, true} {
		connectmediasim.Of(s).SetPlain(gatewayPlain)
		for option, clientPlain := range map[string]bool{"true": false, "false": true} {
			p, err := Kind().Open(providers.Settings{
				Endpoint: providers.Endpoint{BaseURL: web.URL + "/connectmedia"}, Login: map[string]string{"username": "demo"}, Secrets: map[string]providers.Secret{"password": password},
				Options: map[string]string{"pre_encode_message": option},
			})
			if err != nil {
				t.Fatal(err)
			}
			b := batch(one)
			b.Body = signs
			results, err := p.Send(t.Context(), b)
			if err != nil || len(results) != 1 || results[0].Outcome != providers.Accepted {
				t.Fatalf("got %v and the error %v, want one accepted message", results, err)
			}
			if got := s.Gateway(Name).LastAccepted().Body; (got == signs) != (clientPlain == gatewayPlain) {
				t.Errorf("pre_encode_message %s at a gateway that decodes (%v): got the text %q, want the original exactly if the two agree", option, !gatewayPlain, got)
			}
		}
	}
}

func TestVerdict_OfWholeCalls(t *testing.T) {
	t.Parallel()
	const unknown, rejected, retryable = providers.Unknown, providers.Rejected, providers.Retryable
	type e = providers.Error
	for name, tc := range map[string]struct {
		status int
		body   string
		want   e
	}{
		"login":        {200, `{"code":"100","message":"Invalid login details"}`, e{Outcome: retryable, Scope: providers.Account, Cause: providers.CauseCredentials, Code: "100"}},
		"credit":       {200, `{"code":"101","No enough balance to send message"}`, e{Outcome: retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: "101"}},
		"action":       {200, `{"code":103}`, e{Outcome: rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Code: "103"}},
		"another code": {200, `{"code":"200","1"}`, e{Outcome: unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "200"}},
		"trouble":      {500, `{"code":"201"}`, e{Outcome: unknown, Scope: providers.Call, Cause: providers.CauseGateway, Code: "http 500"}},
	} {
		p, seen := answering(t, tc.status, tc.body)
		results, err := p.Send(t.Context(), batch(one))
		tc.want.Op = "connectmedia send"
		if diff := cmp.Diff(tc.want, verdict(t, err)); diff != "" || results != nil {
			t.Errorf("%s: got %v (-want +got):\n%s", name, results, diff)
		}
		if len(seen) != 1 {
			t.Errorf("%s: got %d requests, want 1", name, len(seen))
		}
	}
}

func TestSend_InvalidBatchMakesNoRequest(t *testing.T) {
	t.Parallel()
	p, seen := answering(t, 200, "")
	for _, b := range []providers.Batch{batch(), batch(one, two)} {
		_, err := p.Send(t.Context(), b)
		want := providers.Error{Op: "connectmedia send", Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused}
		if diff := cmp.Diff(want, verdict(t, err)); diff != "" {
			t.Errorf("%d (-want +got):\n%s", len(b.To), diff)
		}
	}
	_, err := p.Report(t.Context(), "usage", time.Time{}, time.Time{})
	if e := verdict(t, err); e.Outcome != providers.Rejected || e.Scope != providers.Call {
		t.Errorf("an unknown report: got %+v, want rejected with scope call", e)
	}
	if len(seen) != 0 {
		t.Errorf("got %d requests, want 0", len(seen))
	}
}

func TestQuery_BalanceHistoryAndInbox(t *testing.T) {
	t.Parallel()
	login := url.Values{"username": {"demo"}, "password": {password}}
	asked := func(seen <-chan request, uri, action string) {
		t.Helper()
		login.Set("action", action)
		if got := <-seen; got.uri != uri || got.method != http.MethodPost || !cmp.Equal(got.form, login) {
			t.Errorf("got the request %s %s with the form %v, want a POST with the login", got.method, got.uri, got.form)
		}
	}
	p, seen := answering(t, 200, `{"code":"200","message":"12.5"}`)
	if got, err := p.Balance(t.Context()); err != nil || got != (providers.Balance{Amount: 12.5}) {
		t.Errorf("balance: got %+v and the error %v, want 12.5", got, err)
	}
	asked(seen, "/prefix/user-board/?api", "balance")

	p, seen = answering(t, 200, `{"1":{"message_id":"2"},"0":{"message_id":"1","message_status":"Delivered"},"code":"202"}`)
	if kinds := p.ReportKinds(); !slices.Equal(kinds, []string{"history"}) {
		t.Errorf("got the report kinds %v, want only history", kinds)
	}
	table, err := p.Report(t.Context(), "history", time.Now(), time.Now())
	want := providers.Table{
		Columns: []string{"message_id", "message_text", "message_date", "message_status", "message_error"},
		Rows:    [][]string{{"1", "", "", "Delivered", ""}, {"2", "", "", "", ""}},
	}
	if diff := cmp.Diff(want, table); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	table.Columns[0] = "spoilt"
	if table, _ = p.Report(t.Context(), "history", time.Time{}, time.Time{}); table.Columns[0] != "message_id" {
		t.Error("a change of one table's columns changed the next table's")
	}
	asked(seen, "/prefix/user-board/?api", "history")

	p, seen = answering(t, 200, `{"0":{"message_from":"254712345678","message_text":"STOP","message_datetime":"2016-06-11 06:00:27"},"code":302}`)
	inbox, err := p.Inbox(t.Context(), "7")
	if len(inbox) != 1 || err != nil || inbox[0].Text != "STOP" || inbox[0].ID != "" || inbox[0].At.Unix() != 1465614027 {
		t.Errorf("inbox: got %+v and the error %v, want the message STOP", inbox, err)
	}
	asked(seen, "/prefix/user-board/?api_v2", "inbox")
}

func TestQuery_EmptyHistoryAndInbox(t *testing.T) {
	t.Parallel()
	p, _ := answering(t, 200, `{"code":"202"}`)
	if table, err := p.Report(t.Context(), "history", time.Time{}, time.Time{}); err != nil || len(table.Rows) != 0 || len(table.Columns) != 5 {
		t.Errorf("an empty history: got %+v and the error %v, want 5 columns without rows", table, err)
	}
	p, _ = answering(t, 200, `{"code":"302"}`)
	if inbox, err := p.Inbox(t.Context(), ""); err != nil || len(inbox) != 0 {
		t.Errorf("an empty inbox: got %+v and the error %v, want no messages", inbox, err)
	}
}

func TestQuery_RefusalsAreErrors(t *testing.T) {
	t.Parallel()
	for op, ask := range map[string]func(*Provider) error{
		"connectmedia balance": func(p *Provider) error { _, err := p.Balance(t.Context()); return err },
		"connectmedia history": func(p *Provider) error {
			_, err := p.Report(t.Context(), "history", time.Time{}, time.Time{})
			return err
		},
		"connectmedia inbox": func(p *Provider) error { _, err := p.Inbox(t.Context(), ""); return err },
	} {
		for body, want := range map[string]providers.Error{
			`{"code":"100"}`: {Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials, Code: "100"},
			`{"code":"201"}`: {Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "201"},
			`<html>`:         {Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "http 200"},
		} {
			p, _ := answering(t, 200, body)
			want.Op = op
			if diff := cmp.Diff(want, verdict(t, ask(p))); diff != "" {
				t.Errorf("%s: the reply %s (-want +got):\n%s", op, body, diff)
			}
		}
		p, _ := answering(t, 503, `{"code":"200","1"}`)
		if e := verdict(t, ask(p)); e.Cause != providers.CauseGateway || e.Op != op {
			t.Errorf("got the verdict %+v, want the cause gateway and the operation of the call", e)
		}
	}
	p, _ := answering(t, 200, `{"code":"301","message":"Error in fetching data"}`)
	_, err := p.Inbox(t.Context(), "")
	if e := verdict(t, err); e.Cause != providers.CauseGateway || e.Code != "301" {
		t.Errorf("got the verdict %+v, want the cause gateway and the code 301", e)
	}
}

func ExampleProvider_Send() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := "201"
		if r.PostFormValue("to") != "254712345678" {
			code = "101"
		}
		_, _ = io.WriteString(w, `{"code":"`+code+`","message":"…"}`)
	}))
	defer gateway.Close()
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: gateway.URL}, Username: "demo", Password: "demopass"})
	if err != nil {
		fmt.Println(err)
		return
	}
	results, err := p.Send(context.Background(), providers.Batch{Body: "Hello", To: []sms.MSISDN{254712345678}})
	fmt.Println(results[0].Outcome, err)
	_, err = p.Send(context.Background(), providers.Batch{Body: "Hello", To: []sms.MSISDN{254787654321}})
	if e, ok := errors.AsType[*providers.Error](err); ok {
		fmt.Println(e.Outcome, e.Scope, e.Cause, e.Code)
	}
	// Output:
	// accepted <nil>
	// retryable account credit 101
}
