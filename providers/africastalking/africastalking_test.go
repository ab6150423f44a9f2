package africastalking

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const apiKey = "s3cr3t&key+1"

func account(t testing.TB, base string) *Provider {
	t.Helper()
	return open(t, Config{Endpoint: providers.Endpoint{BaseURL: base, Timeout: time.Minute}, Username: "acme & co", APIKey: apiKey})
}

func open(t testing.TB, cfg Config) *Provider {
	t.Helper()
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
	header            http.Header
}

// The function "answering" starts a server that returns the same answer to every request. It
// returns a provider for the server, and the requests that the server got.
func answering(t *testing.T, status int, contentType, body string) (*Provider, chan request) {
	t.Helper()
	seen := make(chan request, 16)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen <- request{r.Method, r.RequestURI, string(text), r.Header}
		w.Header().Set("Content-Type", contentType)
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
	e2 := *e
	e2.Err = nil
	return e2
}

func TestSend_RequestAsDocumented(t *testing.T) {
	t.Parallel()
	const usual = "username=acme+%26+co&to=%2B254711000001%2C%2B254733000002&message=Hello&from=ACME&bulkSMSMode=1&enqueue=1"
	for name, tc := range map[string]struct {
		batch   func(*providers.Batch)
		account func(*Config)
		options Options
		want    string // the expected form; empty if the usual form is expected
		accept  string
	}{
		"usual":              {},
		"no sender":          {batch: func(b *providers.Batch) { b.From = "" }, want: strings.Replace(usual, "&from=ACME", "", 1)},
		"flash is not there": {batch: func(b *providers.Batch) { b.Flash = true }},
		"no key is sent":     {batch: func(b *providers.Batch) { b.IdempotencyKey = "" }},
		"odd signs": {
			batch: func(b *providers.Batch) { b.Body = "a&b=c+d %é€漢😀\r\n" },
			want:  strings.Replace(usual, "Hello", "a%26b%3Dc%2Bd+%25%C3%A9%E2%82%AC%E6%BC%A2%F0%9F%98%80%0D%0A", 1),
		},
		"XML": {account: func(c *Config) { c.Format = XML }, accept: "application/xml"},
		"account's own": {account: func(c *Config) {
			c.Options = Options{BulkSMSMode: new(false), Enqueue: new(false), Keyword: "a b", RetryDurationInHours: 2}
		}, want: strings.Replace(usual, "bulkSMSMode=1&enqueue=1", "bulkSMSMode=0&enqueue=0&keyword=a+b&retryDurationInHours=2", 1)},
		"message's own": {options: Options{BulkSMSMode: new(false), Enqueue: new(false), Keyword: "k", LinkID: "l&1", RetryDurationInHours: 8760}, want: strings.Replace(usual, "bulkSMSMode=1&enqueue=1", "bulkSMSMode=0&enqueue=0&keyword=k&linkId=l%261&retryDurationInHours=8760", 1)},
		"message wins": {account: func(c *Config) {
			c.Options = Options{BulkSMSMode: new(false), Enqueue: new(false), Keyword: "a", RetryDurationInHours: 2}
		}, options: Options{BulkSMSMode: new(true), Enqueue: new(true), Keyword: "k", RetryDurationInHours: 3}, want: usual + "&keyword=k&retryDurationInHours=3"},
		"account remains": {account: func(c *Config) { c.Options = Options{Keyword: "a"} }, options: Options{LinkID: "l"}, want: usual + "&keyword=a&linkId=l"},
	} {
		p, seen := answering(t, 201, "application/json", jsonReply(row("+254711000001", "102", "Success", idA), row("+254733000002", "102", "Success", idB)))
		cfg := Config{Username: "acme & co", APIKey: apiKey}
		if tc.account != nil {
			tc.account(&cfg)
		}
		changed := open(t, cfg)
		changed.client, changed.premium = p.client, p.client
		b := batch(one, two)
		if tc.batch != nil {
			tc.batch(&b)
		}
		got, err := changed.SendWith(t.Context(), b, tc.options)
		if diff := cmp.Diff(res(accepted(idA), accepted(idB)), got); diff != "" || err != nil {
			t.Errorf("%s: got the error %v (-want +got):\n%s", name, err, diff)
		}
		r := <-seen
		want, accept := tc.want, tc.accept
		if want == "" {
			want = usual
		}
		if accept == "" {
			accept = "application/json"
		}
		checkRequest(t, name, r, want, accept)
		if len(seen) != 0 {
			t.Errorf("%s: got more than one request, want one", name)
		}
	}
}

// checkRequest compares a request with an expected request. The expected request has the given form
// and the given value of the header Accept.
func checkRequest(t *testing.T, name string, r request, form, accept string) {
	t.Helper()
	if diff := cmp.Diff(form, r.body); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
	wantHeader := http.Header{
		"Accept": {accept}, "Apikey": {apiKey}, "Content-Type": {"application/x-www-form-urlencoded"},
		"User-Agent": r.header["User-Agent"], "Content-Length": {fmt.Sprint(len(r.body))},
	}
	wantHeader["Accept-Encoding"] = r.header["Accept-Encoding"]
	if wantHeader["Accept-Encoding"] == nil {
		delete(wantHeader, "Accept-Encoding")
	}
	if diff := cmp.Diff(wantHeader, r.header); diff != "" || r.method != "POST" || r.uri != "/prefix/version1/messaging" {
		t.Errorf("%s: %s %s (-want +got):\n%s", name, r.method, r.uri, diff)
	}
	if strings.Contains(r.body, "s3cr3t") {
		t.Errorf("%s: the key is in the body, want it only in a header", name)
	}
}

func TestSendForm_OneAllocation(t *testing.T) {
	b := batch(manyNumbers(200)...)
	b.Body = strings.Repeat("₦", 400)
	o := Options{Keyword: "k&", LinkID: "l&", RetryDurationInHours: 24}
	if n := testing.AllocsPerRun(20, func() { sendForm("acme & co", b, o) }); n > 1 {
		t.Errorf("%v allocations, want 1", n)
	}
}

func TestStatus_VerdictOfEachHTTPStatus(t *testing.T) {
	t.Parallel()
	full := jsonReply(row("+254711000001", "102", "Success", idA))
	type e = providers.Error
	const json, text = "application/json", "text/plain; charset=utf-8"
	for name, tc := range map[string]struct {
		status          int
		contentType     string
		body            string
		want            e // zero: accepted
		unlikeOfBalance bool
	}{
		"200":                  {200, json, full, e{}, true},
		"201":                  {201, json, full, e{}, true},
		"JSON called HTML":     {201, "text/html", full, e{}, true},
		"XML called JSON":      {201, json, xmlReply(xmlRow("+254711000001", "102", "Success", idA)), e{}, true},
		"bad key":              {401, text, "The supplied authentication is invalid", e{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredentials, Code: "http 401"}, false},
		"bad request":          {400, text, "Must have value for to", e{Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused, Code: "http 400"}, false},
		"a web page":           {200, "text/html", "<!DOCTYPE html><html><body>254711000001</body></html>", e{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "http 200"}, false},
		"for another number":   {201, json, jsonReply(row("+254733000002", "102", "Success", idA)), e{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "http 201"}, true},
		"refused sender":       {201, json, `{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}`, e{Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused, Code: "InvalidSenderId"}, true},
		"no recipients at all": {201, json, `{"SMSMessageData":{"Message":"Sent to 0/1 Total Cost: 0","Recipients":[]}}`, e{Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNotUnderstood, Code: "http 201"}, true},
	} {
		p, _ := answering(t, tc.status, tc.contentType, tc.body)
		got, err := p.Send(t.Context(), batch(one))
		if tc.want.Outcome == providers.Unknown && tc.want.Cause == "" {
			if diff := cmp.Diff(res(accepted(idA)), got); diff != "" || err != nil {
				t.Errorf("%s: got the error %v (-want +got):\n%s", name, err, diff)
			}
		} else {
			tc.want.Op = "africastalking send"
			if diff := cmp.Diff(tc.want, verdict(t, err)); diff != "" || got != nil {
				t.Errorf("%s: got the results %v (-want +got):\n%s", name, got, diff)
			}
		}
		if tc.unlikeOfBalance {
			continue
		}
		tc.want.Op = "africastalking balance"
		_, err = p.Balance(t.Context())
		if diff := cmp.Diff(tc.want, verdict(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		tc.want.Op = "africastalking inbox"
		_, err = p.Inbox(t.Context(), "")
		if diff := cmp.Diff(tc.want, verdict(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSend_InvalidBatchMakesNoRequest(t *testing.T) {
	t.Parallel()
	p, seen := answering(t, 201, "application/json", "{}")
	for name, change := range map[string]func(*providers.Batch, *Options){
		"no recipients":  func(b *providers.Batch, _ *Options) { b.To = nil },
		"too many":       func(b *providers.Batch, _ *Options) { b.To = manyNumbers(201) },
		"no text":        func(b *providers.Batch, _ *Options) { b.Body = "" },
		"too many hours": func(_ *providers.Batch, o *Options) { o.RetryDurationInHours = MaxRetryHours + 1 },
		"negative hours": func(_ *providers.Batch, o *Options) { o.RetryDurationInHours = -1 },
	} {
		b, o := batch(one), Options{}
		change(&b, &o)
		_, err := p.SendWith(t.Context(), b, o)
		want := providers.Error{Op: "africastalking send", Outcome: providers.Rejected, Scope: providers.Campaign, Cause: providers.CauseRefused}
		if diff := cmp.Diff(want, verdict(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := p.Inbox(t.Context(), "12&x=1"); verdict(t, err).Outcome != providers.Rejected || verdict(t, err).Scope != providers.Call {
		t.Error(err)
	}
	if len(seen) != 0 {
		t.Errorf("got %d requests, want 0", len(seen))
	}
}

func TestBalance(t *testing.T) {
	t.Parallel()
	p, seen := answering(t, 200, "application/json", `{"UserData":{"balance":"KES 1785.50"}}`)
	got, err := p.Balance(t.Context())
	if want := (providers.Balance{Amount: 1785.5, Currency: "KES"}); err != nil || got != want {
		t.Errorf("balance: got %+v and the error %v, want 1785.5 KES", got, err)
	}
	r := <-seen
	if u, _ := url.ParseRequestURI(r.uri); r.method != "GET" || u.Path != "/prefix/version1/user" || u.RawQuery != "username=acme+%26+co" ||
		r.header.Get("Apikey") != apiKey || r.header.Get("Accept") != "application/json" || r.body != "" {
		t.Errorf("balance: got the request %+v, want a GET of version1/user with the key in a header", r)
	}
	for body, want := range map[string]providers.Balance{
		`{"userData":{"balance":"KES 1785.50"}}`:             {Amount: 1785.5, Currency: "KES"},
		`{"UserData":{"balance":"-3.25","name":"x"},"x":[]}`: {Amount: -3.25},
		`{"UserData":{"balance":0}}`:                         {},
		`{"UserData":{"balance":"KES 1,785.50"}}`:            {Amount: 1785.5, Currency: "KES"},
	} {
		if got, ok := parseBalance([]byte(body)); !ok || got != want {
			t.Errorf("%s: got %+v %v, want the balance of the case and true", body, got, ok)
		}
	}
	for _, body := range []string{
		``, `{}`, `null`, `[]`, `{"UserData":null}`, `{"UserData":[]}`, `{"UserData":{}}`, `{"UserData":{"balance":null}}`, `{"UserData":{"balance":""}}`,
		`{"UserData":{"balance":"KES"}}`, `{"UserData":{"balance":"KES 1,78"}}`, `{"UserData":{"balance":"1e9"}}`, `{"UserData":{"balance":1e9}}`,
		`{"UserData":{"balance":"kes 5"}}`, `{"UserData":{"balance":{"KES":5}}}`, `{"UserData":{"balance":true}}`,
		`{"UserData":{"balance":"KES 1","balance":"KES 2"}}`, `{"UserData":{"balance":"KES 1"},"userData":{"balance":"KES 2"}}`, `{"UserData":{"balance":"KES 1"}`,
	} {
		if got, ok := parseBalance([]byte(body)); ok {
			t.Errorf("%s: got %+v, want no balance", body, got)
		}
	}
}
