package africastalking

import (
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
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

// answering starts a server that gives every request the same answer. It returns a provider for the
// server, and the requests that the server got.
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
		t.Fatalf("error %v holds a secret or a number", e)
	}
	e2 := *e
	e2.Err = nil
	return e2
}

func TestTheRequestIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	const usual = "username=acme+%26+co&to=%2B254711000001%2C%2B254733000002&message=Hello&from=ACME&bulkSMSMode=1&enqueue=1"
	for name, tc := range map[string]struct {
		batch   func(*providers.Batch)
		account func(*Config)
		options Options
		want    string // the expected form, if it differs from usual
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
		changed.client = p.client
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
		if diff := cmp.Diff(want, r.body); diff != "" {
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
		if strings.Contains(r.body, "s3cr3t") || len(seen) != 0 {
			t.Errorf("%s: the key is in the body, or there was another request", name)
		}
	}
}

func TestTheFormIsBuiltInOneBuffer(t *testing.T) {
	b := batch(manyNumbers(200)...)
	b.Body = strings.Repeat("₦", 400)
	o := Options{Keyword: "k&", LinkID: "l&", RetryDurationInHours: 24}
	if n := testing.AllocsPerRun(20, func() { sendForm("acme & co", b, o) }); n > 1 {
		t.Errorf("%v allocations, want 1", n)
	}
}

func TestStatusesAndWhatTheyMean(t *testing.T) {
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

func TestABatchThatIsNoCallMakesNoRequest(t *testing.T) {
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

func TestNewTellsEveryMistake(t *testing.T) {
	t.Parallel()
	good := func(change func(*Config)) Config {
		c := Config{Username: "u", APIKey: apiKey}
		change(&c)
		return c
	}
	for name, tc := range map[string]struct {
		cfg  Config
		want []string
	}{
		"nothing":            {Config{}, []string{"username", "api_key"}},
		"good":               {good(func(*Config) {}), nil},
		"limit lowered":      {good(func(c *Config) { c.MaxRecipients = 1 }), nil},
		"limit raised":       {good(func(c *Config) { c.MaxRecipients = 201 }), []string{"max_recipients"}},
		"http":               {good(func(c *Config) { c.BaseURL = "http://api.africastalking.com" }), []string{"base_url"}},
		"http asked for":     {good(func(c *Config) { c.BaseURL, c.AllowHTTP = "http://api.africastalking.com", true }), nil},
		"key with a newline": {good(func(c *Config) { c.APIKey = "s3cr3t\nX-Other: 1" }), []string{"api_key"}},
		"key with a space":   {good(func(c *Config) { c.APIKey = "s3cr3t " }), []string{"api_key"}},
		"format":             {good(func(c *Config) { c.Format = "yaml" }), []string{"format"}},
		"hours":              {good(func(c *Config) { c.Options.RetryDurationInHours = -1 }), []string{"retry_duration_in_hours"}},
		"too many hours":     {good(func(c *Config) { c.Options.RetryDurationInHours = 8761 }), []string{"retry_duration_in_hours"}},
		"a link":             {good(func(c *Config) { c.Options.LinkID = "l" }), []string{"link_id"}},
		"everything": {
			Config{Endpoint: providers.Endpoint{BaseURL: "x", MaxRecipients: -1, Timeout: -1, Concurrency: -1}, Format: "x", Options: Options{LinkID: "l", RetryDurationInHours: -1}},
			[]string{"username", "api_key", "format", "link_id", "retry_duration_in_hours", "max_recipients", "base_url", "timeout", "concurrency"},
		},
	} {
		p, err := New(tc.cfg)
		if got := mistakes(err); !slices.Equal(got, tc.want) || (p == nil) != (tc.want != nil) {
			t.Errorf("%s: got mistakes in %v, want %v", name, got, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: the error holds the key: %v", name, err)
		}
	}
}

func mistakes(err error) (fields []string) {
	for m := range providers.Mistakes(err) {
		fields = append(fields, m.Field)
	}
	return fields
}

func TestSettingsBecomeOptions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options  map[string]string
		want     string // the options on the wire
		accept   string
		mistaken []string
	}{
		"none":     {nil, "bulkSMSMode=1&enqueue=1", "application/json", nil},
		"all":      {map[string]string{"bulk_sms_mode": "false", "enqueue": "false", "keyword": "k", "retry_duration_in_hours": "24", "format": "xml"}, "bulkSMSMode=0&enqueue=0&keyword=k&retryDurationInHours=24", "application/xml", nil},
		"on":       {map[string]string{"bulk_sms_mode": "true", "enqueue": "true", "format": "json"}, "bulkSMSMode=1&enqueue=1", "application/json", nil},
		"mistakes": {map[string]string{"bulk_sms_mode": "1", "enqueue": "no", "retry_duration_in_hours": "0", "format": "JSON"}, "", "", []string{"format", "bulk_sms_mode", "enqueue", "retry_duration_in_hours"}},
		"unknown":  {map[string]string{"link_id": "l"}, "", "", []string{"link_id"}},
	} {
		p, err := Kind().Open(providers.Settings{Login: map[string]string{"username": "u"}, Secrets: map[string]providers.Secret{"api_key": apiKey}, Options: tc.options})
		if got := mistakes(err); !slices.Equal(got, tc.mistaken) {
			t.Errorf("%s: got mistakes in %v, want %v", name, got, tc.mistaken)
		}
		if err != nil {
			continue
		}
		at := p.(*Provider)
		if form := string(sendForm("u", providers.Batch{Body: "x", To: nums(one)}, Options{}.or(at.options))); !strings.HasSuffix(form, "&message=x&"+tc.want) || at.accept != tc.accept {
			t.Errorf("%s: got the form %s and Accept %s, want the values of the case", name, form, at.accept)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	p := open(t, Config{Username: "u", APIKey: apiKey})
	got := p.Info()
	want := providers.Info{Name: "africastalking", Fingerprint: got.Fingerprint, MaxRecipients: 200, SenderAlphaMax: 11, SenderOptional: true,
		DLRNamesRecipient: true, BlacklistBySender: true}
	if diff := cmp.Diff(want, got); diff != "" || got.Fingerprint == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	same := func(a, b Config) bool { return open(t, a).Info() == open(t, b).Info() }
	at := func(user, base string) Config {
		return Config{Endpoint: providers.Endpoint{BaseURL: base}, Username: user, APIKey: "k"}
	}
	if !same(at("u", ""), at("u", DefaultBaseURL)) || !same(at("sandbox", ""), at("sandbox", SandboxBaseURL+"/")) {
		t.Error("an empty BaseURL: got another fingerprint than for the default address, want the same")
	}
	if same(at("sandbox", ""), at("sandbox", DefaultBaseURL)) || same(at("u", ""), at("v", "")) {
		t.Error("another address or user: got the same fingerprint, want a different one")
	}
	if n := open(t, Config{Endpoint: providers.Endpoint{MaxRecipients: 20}, Username: "u", APIKey: "k"}).Info().MaxRecipients; n != 20 {
		t.Errorf("max_recipients 20: got MaxRecipients %d, want 20", n)
	}
}

func TestAProviderNeverPrintsItsLogin(t *testing.T) {
	t.Parallel()
	cfg := Config{Username: "u", APIKey: apiKey}
	p := open(t, cfg)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb, *p) + fmt.Sprintf(verb, p) + fmt.Sprintf(verb, cfg); strings.Contains(text, "s3cr3t") || strings.Contains(text, "733363723374") {
			t.Errorf("%s: the printed text holds the key: %s", verb, text)
		}
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

func TestInbox(t *testing.T) {
	t.Parallel()
	const body = `{"SMSMessageData":{"Messages":[
		{"linkId":"SampleLinkId123","text":"STOP \"it\" & <go> é漢😀\n","to":"28901","id":15071,"date":"2018-03-19T08:34:18.445Z","from":"+254711000001"},
		{"linkId":null,"text":"","to":"28901","id":"15072","date":"2018-03-19 08:34:18","from":"+254711000001"},
		{"text":254711000001,"id":18446744073709551615,"date":"yesterday","from":"Safaricom"}]}}`
	p, seen := answering(t, 200, "application/json", body)
	got, err := p.Inbox(t.Context(), "15070")
	want := []providers.Inbound{
		{ID: "15071", From: "+254711000001", To: "28901", Text: "STOP \"it\" & <go> é漢😀\n", LinkID: "SampleLinkId123", At: time.Date(2018, 3, 19, 8, 34, 18, 445e6, time.UTC)},
		{ID: "15072", From: "+254711000001", To: "28901", At: time.Date(2018, 3, 19, 8, 34, 18, 0, time.UTC), Fields: map[string]string{"date": "2018-03-19 08:34:18"}},
		{ID: "18446744073709551615", From: "Safaricom", Text: "254711000001", Fields: map[string]string{"date": "yesterday"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got the error %v (-want +got):\n%s", err, diff)
	}
	if r := <-seen; r.method != "GET" || r.uri != "/prefix/version1/messaging?username=acme+%26+co&lastReceivedId=15070" || r.header.Get("Apikey") != apiKey {
		t.Errorf("got the request %+v, want a GET with lastReceivedId=15070", r)
	}
	if _, err := p.Inbox(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if r := <-seen; !strings.HasSuffix(r.uri, "&lastReceivedId=0") {
		t.Errorf("got the request %+v, want lastReceivedId=0", r)
	}
	if got, ok := parseInbox([]byte(`{"SMSMessageData":{"Messages":[]}}`)); !ok || len(got) != 0 {
		t.Errorf("an empty inbox: got %v %v, want an empty list and true", got, ok)
	}
	for _, body := range []string{
		``, `{}`, `[]`, `<html>`, `{"SMSMessageData":{}}`, `{"SMSMessageData":{"Messages":null}}`, `{"SMSMessageData":{"Messages":{}}}`,
		`{"SMSMessageData":{"Messages":[1]}}`, `{"SMSMessageData":{"Messages":[{}]}}`, `{"SMSMessageData":{"Messages":[{"id":"x"}]}}`,
		`{"SMSMessageData":{"Messages":[{"id":1.5}]}}`, `{"SMSMessageData":{"Messages":[{"id":-1}]}}`, `{"SMSMessageData":{"Messages":[{"id":1e3}]}}`,
		`{"SMSMessageData":{"Messages":[{"id":1,"id":2}]}}`, `{"SMSMessageData":{"Messages":[{"id":1,"text":["x"]}]}}`,
		`{"SMSMessageData":{"Messages":[{"id":1},null]}}`, `{"SMSMessageData":{"Messages":[{"id":1}]}`,
	} {
		if got, ok := parseInbox([]byte(body)); ok {
			t.Errorf("%s: got %+v, want no inbox", body, got)
		}
	}
}

// FuzzParseQueries checks properties that every parsed balance and inbox must have.
func FuzzParseQueries(f *testing.F) {
	for _, seed := range []string{
		`{"UserData":{"balance":"KES 1785.50"}}`, `{"userData":{"balance":"0"}}`, `{"SMSMessageData":{"Messages":[]}}`,
		`{"SMSMessageData":{"Messages":[{"linkId":"l","text":"t","to":"28901","id":15071,"date":"2018-03-19T08:34:18.445Z","from":"+254711000001"}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if balance, ok := parseBalance(body); ok {
			if lower := strings.ToLower(string(body)); !strings.ContainsAny(lower, "0123456789") && !strings.Contains(lower, `\u`) || len(balance.Currency) != 0 && len(balance.Currency) != 3 {
				t.Fatalf("%q: got the balance %+v, want a number from the body and a currency of 0 or 3 letters", body, balance)
			}
		}
		messages, ok := parseInbox(body)
		if !ok && messages != nil {
			t.Fatalf("%q: not understood, but got messages %v, want none", body, messages)
		}
		for _, m := range messages {
			if n, ok := new(big.Int).SetString(m.ID, 10); !ok || n.Sign() < 0 || len(m.ID) > 20 {
				t.Fatalf("%q: got the message %+v, want an ID of at most 20 digits", body, m)
			}
		}
	})
}
