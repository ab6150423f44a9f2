package qserve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const apiKey = "s3cr3t\"<&key"

func account(t testing.TB, base string) *Provider {
	t.Helper()
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: base}, Username: "demo", APIKey: apiKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.CloseIdle)
	return p
}

// request holds the parts of a request that a test server got.
type request struct {
	method, uri, body string
	header            http.Header
}

// answering starts a server that returns the same answer to every request. It returns a provider
// for the server, and the requests that the server got.
func answering(t *testing.T, status int, body string) (*Provider, <-chan request) {
	t.Helper()
	seen := make(chan request, 8)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		seen <- request{r.Method, r.RequestURI, string(sent), r.Header}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(web.Close)
	return account(t, web.URL+"/prefix/"), seen
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

func TestSend_BodyAsDocumented(t *testing.T) {
	t.Parallel()
	const login = `{"username":"demo","api_key":"s3cr3t\"<&key"`
	for name, tc := range map[string]struct {
		change func(*providers.Batch)
		want   string
	}{
		"plain":        {func(*providers.Batch) {}, `"sender_id":"ACME","phone":"254725656565,254722998999","message":"Hello"`},
		"one number":   {func(b *providers.Batch) { b.To = b.To[:1] }, `"sender_id":"ACME","phone":"254725656565","message":"Hello"`},
		"no sender":    {func(b *providers.Batch) { b.From = "" }, `"sender_id":"254sms","phone":"254725656565,254722998999","message":"Hello"`},
		"signs":        {func(b *providers.Batch) { b.Body = "a&b<c>+ %41 €\n\"é漢😀" }, `"sender_id":"ACME","phone":"254725656565,254722998999","message":"a&b<c>+ %41 €\n\"é漢😀"`},
		"broken UTF-8": {func(b *providers.Batch) { b.Body = "a\xff" }, `"sender_id":"ACME","phone":"254725656565,254722998999","message":"a\ufffd"`},
		"flash, key":   {func(b *providers.Batch) { b.Flash, b.IdempotencyKey = true, "" }, `"sender_id":"ACME","phone":"254725656565,254722998999","message":"Hello"`},
	} {
		b := batch(one, two)
		tc.change(&b)
		p, seen := answering(t, 200, reply(sentRow(one), sentRow(two)))
		if results, err := p.Send(t.Context(), b); err != nil || len(results) != len(b.To) {
			t.Errorf("%s: got %d results and the error %v, want one result for each recipient", name, len(results), err)
		}
		got := <-seen
		if want := login + "," + tc.want + "}"; got.body != want {
			t.Errorf("%s:\n%s, want\n%s", name, got.body, want)
		}
		if got.method != http.MethodPost || got.uri != "/prefix/version1/sendsms" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got the request %s %s with headers %v, want JSON by POST to /prefix/version1/sendsms", name, got.method, got.uri, got.header)
		}
		if strings.Contains(fmt.Sprint(got.header), "s3cr3t") {
			t.Errorf("%s: the key is in a header, want it only in the body", name)
		}
	}
}

func TestSend_ResultForEachRecipient(t *testing.T) {
	t.Parallel()
	body := strings.Replace(reply(sentRow(three), sentRow(one)), `"statusCode":101`, `"statusCode":101,"Balance":8823`, 1)
	p, seen := answering(t, 200, body)
	got, err := p.Send(t.Context(), batch(one, two, three))
	first := accepted
	first.Balance = &providers.Balance{Amount: 8823}
	if diff := cmp.Diff(res(first, missing, accepted), got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	if len(seen) != 1 {
		t.Errorf("got %d requests, want 1", len(seen))
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
		"key":          {200, `[{"statusCode":"X001","statusMessage":"Unknown or unvalid secret_key"}]`, e{Outcome: retryable, Scope: providers.Account, Cause: providers.CauseCredentials, Code: "X001"}},
		"parameters":   {200, `{"code":"X000"}`, e{Outcome: rejected, Scope: providers.Text, Cause: providers.CauseRefused, Code: "X000"}},
		"another code": {200, `[{"statusCode":102}]`, e{Outcome: unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "102"}},
		"no rows":      {200, `[{"statusCode":101}]`, e{Outcome: unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "http 200"}},
		"login":        {401, `{"code":"X001"}`, e{Outcome: retryable, Scope: providers.Account, Cause: providers.CauseCredentials, Code: "X001"}},
		"text":         {401, `{"code":"X000"}`, e{Outcome: rejected, Scope: providers.Text, Cause: providers.CauseRefused, Code: "X000"}},
	} {
		p, seen := answering(t, tc.status, tc.body)
		results, err := p.Send(t.Context(), batch(one))
		tc.want.Op = "qserve send"
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
	for _, n := range []int{0, 101} {
		b := batch(make([]sms.MSISDN, n)...)
		_, err := p.Send(t.Context(), b)
		want := providers.Error{Op: "qserve send", Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused}
		if diff := cmp.Diff(want, verdict(t, err)); diff != "" {
			t.Errorf("%d (-want +got):\n%s", n, diff)
		}
	}
	if len(seen) != 0 {
		t.Errorf("got %d requests, want 0", len(seen))
	}
}

func TestBalance(t *testing.T) {
	t.Parallel()
	p, seen := answering(t, 200, `[{"credits":"345","statusCode":101}]`)
	if got, err := p.Balance(t.Context()); err != nil || got != (providers.Balance{Amount: 345}) {
		t.Errorf("credits: got %+v and the error %v, want 345", got, err)
	}
	asked := <-seen
	if asked.uri != "/prefix/version1/credits" || asked.body != `{"username":"demo","api_key":"s3cr3t\"<&key"}` || asked.header.Get("Content-Type") != "application/json" {
		t.Errorf("credits: got the request %+v, want the login as JSON to /prefix/version1/credits", asked)
	}
	for body, want := range map[string]providers.Error{
		`[{"code":"X003"}]`: {Op: "qserve balance", Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials, Code: "X003"},
		`[{"credits":""}]`:  {Op: "qserve balance", Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "http 200"},
	} {
		p, _ := answering(t, 200, body)
		_, err := p.Balance(t.Context())
		if diff := cmp.Diff(want, verdict(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	p, _ = answering(t, 503, "")
	_, err := p.Balance(t.Context())
	if e := verdict(t, err); e.Cause != providers.CauseGateway || e.Op != "qserve balance" {
		t.Errorf("got the verdict %+v, want the cause gateway and the operation \"qserve balance\"", e)
	}
}

func TestKind_ReportsEveryMistake(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		settings providers.Settings
		want     []string
	}{
		"nothing":       {providers.Settings{}, []string{"username", "api_key"}},
		"good":          {providers.Settings{Login: map[string]string{"username": "u"}, Secrets: map[string]providers.Secret{"api_key": "k"}}, nil},
		"limit lowered": {providers.Settings{Endpoint: providers.Endpoint{MaxRecipients: 1}, Login: map[string]string{"username": "u"}, Secrets: map[string]providers.Secret{"api_key": "k"}}, nil},
		"limit raised":  {providers.Settings{Endpoint: providers.Endpoint{MaxRecipients: 101}, Login: map[string]string{"username": "u"}, Secrets: map[string]providers.Secret{"api_key": "k"}}, []string{"max_recipients"}},
		"http":          {providers.Settings{Endpoint: providers.Endpoint{BaseURL: "http://api.qserve.co.ke"}, Login: map[string]string{"username": "u"}, Secrets: map[string]providers.Secret{"api_key": "k"}}, []string{"base_url"}},
		"a password":    {providers.Settings{Login: map[string]string{"username": "u"}, Secrets: map[string]providers.Secret{"api_key": "k", "password": "p"}}, []string{"password"}},
		"an option":     {providers.Settings{Login: map[string]string{"username": "u"}, Secrets: map[string]providers.Secret{"api_key": "k"}, Options: map[string]string{"flash": "true"}}, []string{"flash"}},
	} {
		p, err := Kind().Open(tc.settings)
		var got []string
		for m := range providers.Mistakes(err) {
			got = append(got, m.Field)
		}
		if !slices.Equal(got, tc.want) || (p == nil) != (tc.want != nil) {
			t.Errorf("%s: got mistakes in %v, want %v", name, got, tc.want)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	info := func(c Config) providers.Info {
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return p.Info()
	}
	got := info(Config{Username: "u", APIKey: "k"})
	want := providers.Info{Name: "qserve", Fingerprint: got.Fingerprint, MaxRecipients: 100, SenderOptional: true}
	if diff := cmp.Diff(want, got); diff != "" || got.Fingerprint == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := info(Config{Endpoint: providers.Endpoint{MaxRecipients: 20}, Username: "u", APIKey: "k"}).MaxRecipients; n != 20 {
		t.Errorf("max_recipients 20: got MaxRecipients %d, want 20", n)
	}
	if info(Config{Username: "u", APIKey: "other"}) != got || info(Config{Username: "u2", APIKey: "k"}) == got {
		t.Error("the fingerprint depends on the key, or not on the user; want only the user to count")
	}
}

func TestProvider_NeverPrintsItsLogin(t *testing.T) {
	t.Parallel()
	cfg := Config{Username: "u", APIKey: apiKey}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		if text := fmt.Sprintf(verb, *p) + fmt.Sprintf(verb, p) + fmt.Sprintf(verb, cfg); strings.Contains(text, "s3cr3t") {
			t.Errorf("%s: the printed text holds the key, want it masked: %s", verb, text)
		}
	}
}

func ExampleProvider_Send() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `[{"recipientsCount":2,"statusMessage":"Success","statusCode":101,"Balance":8823,"messageDetails":[
			{"recipient":"254725656565","message":"Hello","statusCode":"Successfully Sent","statusMessage":2}]}]`)
	}))
	defer gateway.Close()
	p, err := New(Config{Endpoint: providers.Endpoint{BaseURL: gateway.URL}, Username: "demo", APIKey: "k"})
	if err != nil {
		fmt.Println(err)
		return
	}
	b := providers.Batch{Body: "Hello", To: []sms.MSISDN{254725656565, 254722998999}}
	results, _ := p.Send(context.Background(), b)
	for i, r := range results {
		fmt.Printf("%s %s %q\n", b.To[i].Masked(), r.Outcome, r.Reason)
	}
	fmt.Println(results[0].Balance.Amount)
	b.To = nil
	_, err = p.Send(context.Background(), b)
	if e, ok := errors.AsType[*providers.Error](err); ok {
		fmt.Println(e.Outcome, e.Scope, e.Err)
	}
	// Output:
	// 2547****6565 accepted ""
	// 2547****8999 unknown "not_in_reply"
	// 8823
	// rejected campaign no recipients
}
